"""The first pass over files learns the same encoding, block by block, as a fit on a table in memory."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.datasets import make_funnel
from sklearn_fsmd.encoding import InputEncoder
from sklearn_fsmd.encoding.columns import CategoryColumn
from sklearn_fsmd.encoding.sources import sizes
from sklearn_fsmd.training.streaming import Dataset, HoldOut, counting, first_pass
from sklearn_fsmd.training.streaming.counting import Counter, CountsOnDisk
from sklearn_fsmd.training.streaming.first_pass import vocabularies_of
from sklearn_fsmd.training.streaming.numbers import SampledNumbers
from tests.conftest import make_frame
from tests.training.streaming.conftest import TARGETS, write

pytestmark = pytest.mark.usefixtures("_small_sizes")


def streamed_and_in_memory(path, X, Y, **params):
    write(path, X, Y)
    model = FSMDClassifier(**params)
    dataset = Dataset.from_source(path, None, list(Y), None)
    return first_pass(model, dataset, 0).encoder, InputEncoder(model), X


def assert_same_encoding(streamed, whole, X):
    expected = whole.fit_encode(X)
    for column, other in zip(*(vocabularies_of(encoder.main) for encoder in (streamed, whole)), strict=True):
        assert (column.name, column.kind) == (other.name, other.kind)
        assert column.values.equals(other.values), column.name
    for column, other in zip(streamed.main.numeric.values(), whole.main.numeric.values(), strict=True):
        np.testing.assert_array_equal(column.edges, other.edges)
        for name in ("center", "scale", "range", "knots", "ranks"):
            np.testing.assert_array_equal(getattr(column, name, 0), getattr(other, name, 0))
    for column, other in zip(streamed.main.vectors.values(), whole.main.vectors.values(), strict=True):
        for name in ("center", "scale", "low", "high"):
            np.testing.assert_allclose(getattr(column, name), getattr(other, name), rtol=1e-12)
    found = streamed.encode(X)
    np.testing.assert_array_equal(found.codes, expected.codes)
    np.testing.assert_allclose(found.numbers, expected.numbers, rtol=1e-6, atol=1e-6)
    for column, other in zip(found.lists or (), expected.lists or (), strict=True):
        np.testing.assert_array_equal(column.flat, other.flat)


@pytest.mark.parametrize("scaling", ["standard", "quantile", None])
def test_numbers_and_categories_are_encoded_as_in_memory(scaling, tmp_path, data):
    assert_same_encoding(*streamed_and_in_memory(tmp_path / "a.parquet", *data, numeric_scaling=scaling))


@pytest.mark.parametrize("min_frequency", [3, "auto"])
def test_lists_and_vectors_are_encoded_as_in_memory(min_frequency, tmp_path):
    X, Y = make_funnel(900, history=True, lists=True, random_state=0, return_X_y=True)
    X = X.drop(columns="time")
    lists = [name for name in X if isinstance(X[name].iloc[0], (list, np.ndarray))]
    assert lists
    random = np.random.RandomState(0)
    X["picture"] = pd.Series(list(random.normal(size=(900, 3)).astype(np.float32)), index=X.index)
    X.loc[X.index[5], "picture"] = None
    streamed, whole, X = streamed_and_in_memory(
        tmp_path / "a.parquet", X, Y, shared_embeddings={lists[0]: "item_id"}, min_frequency=min_frequency
    )
    assert len(streamed.main.lists) == len(streamed.main.vectors) == 1
    assert_same_encoding(streamed, whole, X)


def test_counts_on_disk_equal_counts_in_memory(monkeypatch):
    monkeypatch.setattr(counting, "MAX_PENDING", 50)
    random = np.random.RandomState(0)
    ids, words = random.zipf(1.3, 5000) % 3000, np.array([f"w{i}" for i in range(3000)], dtype=object)
    odd = pd.Series(["\ud800", "a"] * 20 + ["b"] * 60, dtype=object)  # a lone surrogate, which DuckDB cannot store
    columns = {
        "ids": pd.Series(np.where(ids < 5, -1, ids)),
        "words": pd.Series(words[ids]),
        "halves": pd.Series(ids / 2),  # whole numbers and others
        "missing": pd.Series([None] * 5000, dtype=object),
        "odd": pd.concat([odd] * 50, ignore_index=True),
        "rows": pd.Series([*range(3000), *range(400)]),
        "rows and surrogates": pd.Series([f"r{i}" for i in range(3000)] + ["\ud800"] * 2 + ["r0"] * 5, dtype=object),
    }
    are_on_disk = {"ids", "words", "rows", "rows and surrogates"}
    counter = Counter(1)
    for name, values in columns.items():
        for min_frequency in (1, 3, "auto"):
            whole, on_disk = CategoryColumn(name, min_frequency), CategoryColumn(name, min_frequency)
            on_disk.seen = CountsOnDisk(counter)
            whole.fit_encode(values)
            for start in range(0, len(values), 100):
                on_disk.update(values[start : start + 100])
            assert (on_disk.seen.table is not None) == (name in are_on_disk), name
            on_disk.finalize()
            assert on_disk.kind == whole.kind
            assert on_disk.min_frequency == whole.min_frequency
            assert on_disk.values.equals(whole.values), name
            assert on_disk.values.dtype == whole.values.dtype
    counter.close()


def test_a_column_that_changes_its_type_is_refused_on_disk_too(monkeypatch):
    monkeypatch.setattr(counting, "MAX_PENDING", 5)
    column = CategoryColumn("user")
    column.seen = CountsOnDisk(Counter(1))
    column.update(pd.Series(range(100)))
    with pytest.raises(ValueError, match="Column 'user' held numbers in the rows before and holds strings"):
        column.update(pd.Series(["a"]))


def test_many_numbers_give_an_even_sample_and_exact_moments(monkeypatch):
    monkeypatch.setattr(sizes, "SAMPLE_NUMBERS", 2000)
    numbers = np.arange(50_000.0)  # sorted: a sample of the first numbers would not represent the rest
    seen = SampledNumbers(0)
    for start in range(0, len(numbers), 700):
        seen.add(numbers[start : start + 700])
    again = SampledNumbers(0)
    again.add(numbers)
    sample = seen.sample()
    assert len(sample) == 2000
    assert (np.diff(sample) > 0).all()
    assert np.abs(np.quantile(sample, [0.1, 0.5, 0.9]) - [5000, 25_000, 45_000]).max() < 2000
    expected = numbers.mean(), numbers.std(), 0.0, 49_999.0
    np.testing.assert_allclose(seen.moments(sample), expected, rtol=1e-12)
    np.testing.assert_allclose(again.moments(again.sample()), expected, rtol=1e-12)
    np.testing.assert_array_equal(again.sample(), sample)  # the sample does not depend on the blocks


def test_classes_are_learned_from_all_rows(tmp_path):
    """The first blocks have one class only, and the last block has a missing label."""
    X, Y = make_frame(900)
    order = np.argsort(Y["click"], kind="stable")
    X, Y = X.iloc[order], Y.iloc[order].astype({"conversion": float})
    Y.iloc[-1, 1] = np.nan
    write(tmp_path / "a.parquet", X, Y)
    model = FSMDClassifier(max_epochs=1, embedding_dim=2, expert_dims=(4,), random_state=0)
    model.fit_dataset(tmp_path / "a.parquet", TARGETS)
    assert [list(two) for two in model.classes_] == [[0, 1], [0, 1]]
    assert model.classes_[0].dtype.kind == "i"
    words = Y.assign(click=np.where(Y["click"] == 1, "yes", "no"))
    write(tmp_path / "b.parquet", X, words)
    assert list(model.fit_dataset(tmp_path / "b.parquet", TARGETS).classes_[0]) == ["no", "yes"]


def test_sampled_blocks_keep_only_the_categories_of_their_rows(tmp_path, monkeypatch):
    """Otherwise memory would grow with the number of rows, for columns of dictionaries."""
    monkeypatch.setattr(sizes, "SAMPLE_ROWS", 50)
    user = pd.Series([f"user {i}" for i in range(2000)], dtype="category")
    X, Y = pd.DataFrame({"user": user}), pd.DataFrame({"click": np.arange(2000) % 2})
    dataset = Dataset.from_source(write(tmp_path / "a.parquet", X, Y, rows=200), None, ["click"], None)
    dataset = replace(dataset, held=HoldOut(2000, 0, 0.1))
    scanned = first_pass(FSMDClassifier(), dataset, 0)
    blocks = [*scanned.sample, *scanned.valid]
    assert {block.frame["user"].dtype.name for block in blocks} == {"category"}
    assert sum(len(block.frame["user"].cat.categories) for block in blocks) == sum(len(b.frame) for b in blocks) > 100


def test_the_types_of_many_files_are_in_memory_once(tmp_path):
    X, Y = make_frame(20)
    for name in "abc":
        write(tmp_path / f"{name}.parquet", X, Y)
    footers = Dataset.from_source(tmp_path, None, TARGETS, None).source.footers
    assert len(footers) == 3
    assert len({id(footer.types) for footer in footers}) == 1
