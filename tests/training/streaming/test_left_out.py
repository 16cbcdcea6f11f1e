"""Invalid files raise an error that names the file, or are left out with one warning."""

import resource
import tempfile
import warnings
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sklearn_fsmd import FSMDClassifier, MultiTaskClassifier
from sklearn_fsmd.encoding.sources import sizes
from sklearn_fsmd.scoring import score_file
from sklearn_fsmd.training.streaming import Dataset, counting
from tests.conftest import make_frame
from tests.training.streaming.conftest import PARAMS, TARGETS, together, write
from tests.training.streaming.test_sources import damaged

FAULTS = ["truncated", "empty", "pages", "no target", "no feature", "one more", "strings", "lists", "infinity"]


@pytest.fixture
def log(tmp_path):
    """Two valid files, and between them one file with each fault."""
    X, Y = make_frame(600)
    write(tmp_path / "a.parquet", X[:300], Y[:300])
    for how in [*FAULTS, "another class"]:
        damaged(tmp_path / f"b_{how.replace(' ', '_')}.parquet", X[:300], Y[:300], how)
    write(tmp_path / "c.parquet", X[300:], Y[300:])
    return tmp_path


@pytest.mark.usefixtures("_small_sizes")
def test_invalid_files_are_left_out_and_named_in_one_warning(log):
    X, _ = make_frame(600)
    model = FSMDClassifier(**PARAMS)
    with pytest.warns(UserWarning, match="10 of 12 files are left out") as caught:
        model.fit_dataset(str(log), TARGETS, on_error="skip")
    texts = [str(one.message) for one in caught if "left out" in str(one.message)]
    assert len(texts) == 1
    for how in [*FAULTS, "another class"]:
        assert f"b_{how.replace(' ', '_')}.parquet" in texts[0]
    good = FSMDClassifier(**PARAMS).fit_dataset([log / "a.parquet", log / "c.parquet"], TARGETS)
    np.testing.assert_array_equal(model.predict_marginals(X), good.predict_marginals(X))  # as without these files
    with pytest.raises((ValueError, OSError), match="b_"):
        FSMDClassifier(**PARAMS).fit_dataset(log, TARGETS)


@pytest.mark.usefixtures("_small_sizes")
def test_missing_first_and_validation_files_are_left_out(log):
    X, Y = make_frame(600)
    damaged(log / "0.parquet", X, Y, "no target")  # the first file in sorted order
    source = [log / "0.parquet", log / "a.parquet", "nosuch://bucket/x.parquet", log / "nowhere.parquet"]
    with pytest.warns(UserWarning, match="3 of 4 files are left out") as caught:
        model = FSMDClassifier(**PARAMS).fit_dataset(source, TARGETS, on_error="skip")
    assert "nosuch://bucket/x.parquet cannot be reached" in str(caught[0].message)
    assert "0.parquet has no column 'click'" in str(caught[0].message)
    some = r"a.parquet of `validation` is in `source` too"
    with pytest.warns(UserWarning, match="9 of 12 files are left out"), pytest.warns(UserWarning, match=some):
        model.fit_dataset(log / "a.parquet", TARGETS, validation=str(log / "[abc]*"), on_error="skip")
    with pytest.warns(UserWarning, match="9 of 11 files are left out"):
        model.set_params(warm_start=True).fit_dataset([log / "a.parquet", *log.glob("b_*")], TARGETS, on_error="skip")


def test_an_error_lists_the_faults_if_no_file_is_left(tmp_path):
    X, Y = make_frame(300)
    for how in ("truncated", "infinity"):
        damaged(tmp_path / f"{how}.parquet", X, Y, how)
    with pytest.raises(ValueError, match=r"None of the 2 files can be learned from: .*truncated.*; .*infinity"):
        FSMDClassifier(**PARAMS).fit_dataset(tmp_path, TARGETS, on_error="skip")
    (tmp_path / "infinity.parquet").unlink()
    with pytest.raises(ValueError, match=r"None of the 1 files can be learned from"):
        FSMDClassifier(**PARAMS).fit_dataset(tmp_path, TARGETS, on_error="skip")
    with pytest.raises(ValueError, match="`on_error` must be 'raise' or 'skip'. Got 'ignore'"):
        FSMDClassifier(**PARAMS).fit_dataset(tmp_path, TARGETS, on_error="ignore")
    with pytest.raises(ValueError, match="on_error='skip' leaves out files, and a function returns tables"):
        FSMDClassifier(**PARAMS).fit_dataset(lambda: [together(X, Y)], TARGETS, on_error="skip")


@pytest.mark.usefixtures("_small_sizes")
def test_a_row_group_of_nulls_is_refused_only_for_a_single_target(tmp_path):
    """Features and labels of two targets may be missing; labels of a single target must be known."""
    X, Y = make_frame(600)
    frame = together(X, Y).astype({"click": "Int64", "conversion": "Int64"})
    table = pa.Table.from_pandas(frame, preserve_index=False)
    nulls = pa.table({f.name: pa.nulls(100, f.type) for f in table.schema}).cast(table.schema)
    path = tmp_path / "a.parquet"
    with pq.ParquetWriter(path, table.schema) as writer:
        for part in (table.slice(0, 300), nulls, table.slice(300)):
            writer.write_table(part)
    model = FSMDClassifier(**PARAMS).fit_dataset(path, TARGETS)
    assert model.score(X, Y) > 0.6
    with pytest.raises(ValueError, match="In .*a.parquet, rows 300 to 449 .*: Input y contains NaN"):
        MultiTaskClassifier(**PARAMS).fit_dataset(path, "click")
    write(tmp_path / "b.parquet", X, Y)
    with pytest.warns(UserWarning, match="1 of 2 files are left out: In .*a.parquet, rows 300 to 449 .*: Input y cont"):
        MultiTaskClassifier(**PARAMS).fit_dataset(tmp_path, "click", on_error="skip")


@pytest.mark.usefixtures("_small_sizes")
def test_a_file_that_changes_during_a_fit_is_never_skipped(tmp_path, monkeypatch):
    X, Y = make_frame(600)
    path = write(tmp_path / "a.parquet", X, Y)
    from sklearn_fsmd.estimators import fit_dataset

    scan = fit_dataset.scan

    def change(*args, **kwargs):
        write(path, X[:-1], Y[:-1])
        return scan(*args, **kwargs)

    monkeypatch.setattr(fit_dataset, "scan", change)
    model = FSMDClassifier(**PARAMS)
    with pytest.raises(ValueError, match="a.parquet has changed while it was being learned from. Fit again"):
        model.fit_dataset(path, TARGETS, on_error="skip")
    assert not hasattr(model, "net_")


@pytest.mark.usefixtures("_small_sizes")
def test_trains_on_thousands_of_tiny_files(tmp_path):
    X, Y = make_frame(1500)
    frame = together(X, Y)
    for i in range(1500):
        pq.write_table(pa.Table.from_pandas(frame[i : i + 1], preserve_index=False), tmp_path / f"{i:04}.parquet")
    model = FSMDClassifier(**PARAMS).fit_dataset(tmp_path, TARGETS)
    assert model.score(X, Y) > 0.6


def test_a_full_disk_while_values_are_counted_is_reported(tmp_path, monkeypatch):
    """The size of files is limited for this process. The error names the folder, and no file is left in it."""
    monkeypatch.setattr(counting, "MAX_PENDING", 200)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "spill"))
    (tmp_path / "spill").mkdir()
    n = 60_000
    frame = pd.DataFrame({"id": pd.Categorical(np.arange(n)), "x": 1.0, "click": np.arange(n) % 2})
    frame["id"] = [f"a rather long name of number {i}" for i in range(n)]
    frame.to_parquet(tmp_path / "a.parquet", index=False)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
    try:
        with pytest.raises(OSError, match="are counted in .*spill.*, and that failed: .*TMPDIR"):
            FSMDClassifier(**PARAMS).fit_dataset(tmp_path / "a.parquet", ["click"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list((tmp_path / "spill").iterdir()) == []


# -------------------------------------------------------------------------------------------------------- row groups


def test_warns_once_of_few_large_row_groups(tmp_path, monkeypatch):
    X, Y = make_frame(1200)
    monkeypatch.setattr(sizes, "POOL_ROWS", 300)
    large, later = (write(tmp_path / f"{name}.parquet", X, Y, rows=400) for name in ("large", "later"))
    small = write(tmp_path / "small.parquet", X, Y, rows=100)
    with pytest.warns(
        UserWarning, match=r"has 3 row groups, of up to 400 rows \(.*large.parquet\).*row_group_size"
    ) as caught:
        FSMDClassifier(**PARAMS).fit_dataset(large, TARGETS, validation=later)
    assert sum("row groups" in str(one.message) for one in caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        FSMDClassifier(**PARAMS).fit_dataset(small, TARGETS)
        monkeypatch.setattr(sizes, "FEW_GROUPS", 3)
        FSMDClassifier(**PARAMS).fit_dataset(large, TARGETS)


# ----------------------------------------------------------------------------------------------------------- scoring


@pytest.mark.parametrize("how", ["truncated", "empty", "pages", "no feature", "infinity"])
def test_a_faulty_file_is_not_scored(how, tmp_path):
    X, Y = make_frame(400)
    model = FSMDClassifier(**PARAMS).fit(X, Y)
    damaged(tmp_path / "in.parquet", X, Y, how)
    source, sink = tmp_path / "in.parquet", tmp_path / "out.parquet"
    with pytest.raises(ValueError, match=str(source)):
        score_file(model, source, sink)
    with pytest.warns(UserWarning, match=f"{source} is left out, and {sink} is not written"):
        assert score_file(model, source, sink, on_error="skip") == 0
    assert sorted(path.name for path in Path(tmp_path).iterdir()) == ["in.parquet"]
    with pytest.raises(ValueError, match="`on_error` must be"):
        score_file(model, source, sink, on_error=None)


def test_a_dataset_lists_the_files_that_it_leaves_out(tmp_path):
    X, Y = make_frame(300)
    write(tmp_path / "a.parquet", X, Y)
    damaged(tmp_path / "b.parquet", X, Y, "one more")
    dataset = Dataset.from_source(tmp_path, None, TARGETS, None, "skip")
    assert list(dataset.source.left_out.reasons) == [str(tmp_path / "b.parquet")]
    assert dataset.source.n_rows == 300


def test_a_skipped_first_file_does_not_affect_the_model(tmp_path):
    X, Y = make_frame(600)
    write(tmp_path / "b.parquet", X[:300], Y[:300])
    write(tmp_path / "c.parquet", X[300:], Y[300:])
    bad = X[:50].assign(price=np.inf)
    write(tmp_path / "a.parquet", bad, Y[:50])
    with pytest.warns(UserWarning, match="1 of 3 files are left out"):
        model = FSMDClassifier(**PARAMS).fit_dataset(tmp_path, TARGETS, on_error="skip")
    good = FSMDClassifier(**PARAMS).fit_dataset([tmp_path / "b.parquet", tmp_path / "c.parquet"], TARGETS)
    np.testing.assert_array_equal(model.predict_marginals(X), good.predict_marginals(X))
    write(tmp_path / "a.parquet", bad.assign(visits=pd.Categorical(bad["visits"])), Y[:50])
    with pytest.warns(UserWarning, match="1 of 3 files are left out"):
        model = FSMDClassifier(**PARAMS).fit_dataset(tmp_path, TARGETS, on_error="skip")
    np.testing.assert_array_equal(model.predict_marginals(X), good.predict_marginals(X))
    write(tmp_path / "a.parquet", bad[bad.columns[::-1]], Y[:50])
    expected = "a.parquet is the first file, which says what the columns are, and it cannot be learned from"
    with pytest.warns(UserWarning, match="files are left out"), pytest.raises(ValueError, match=expected):
        FSMDClassifier(**PARAMS).fit_dataset(tmp_path, TARGETS, on_error="skip")


@pytest.mark.parametrize("target", TARGETS)
def test_a_file_with_a_third_class_is_named_and_left_out(target, tmp_path):
    X, Y = make_frame(600)
    write(tmp_path / "a.parquet", X[:300], Y[:300])
    write(tmp_path / "b.parquet", X[300:], Y[300:].assign(**{target: np.arange(300) % 3}))
    with pytest.raises(ValueError, match=f"b.parquet: Only binary classification is supported.*{target}"):
        FSMDClassifier(**PARAMS).fit_dataset(tmp_path, TARGETS)
    with pytest.warns(UserWarning, match="1 of 2 files are left out: .*b.parquet, rows 300 to 599 .*: Only binary"):
        FSMDClassifier(**PARAMS).fit_dataset(tmp_path, TARGETS, on_error="skip")


@pytest.mark.usefixtures("_small_sizes")
@pytest.mark.parametrize("fault", ["weight", "no weight", "negative", "too large", "text", "vector"])
def test_files_with_invalid_weights_values_or_vectors_are_left_out(fault, tmp_path):
    X, Y = make_frame(600)
    X = X.assign(picture=[[0.1 * i, 1.0, 2.0] for i in range(600)])
    Y = Y.assign(watch=np.where(Y["click"] == 1, 5.0, np.nan), weight=1.0)
    for i in range(3):
        write(tmp_path / f"{i}.parquet", X[200 * i : 200 * (i + 1)], Y[200 * i : 200 * (i + 1)])
    bad_X, bad_Y = X[200:400].copy(), Y[200:400].copy()
    row = bad_Y.index[bad_Y["click"] == 1][0]
    if fault == "vector":
        bad_X["picture"] = [[1.0 * i, 2.0] for i in range(200)]
    elif fault == "text":
        bad_Y["watch"] = "long"
    else:
        column = "weight" if "weight" in fault else "watch"
        bad_Y.loc[row, column] = {"weight": -1.0, "no weight": np.nan, "negative": -1.0, "too large": 1e39}[fault]
    write(tmp_path / "1.parquet", bad_X, bad_Y)
    model = FSMDClassifier(**PARAMS, value_targets=["watch"], value_parents={"watch": "click"})
    with pytest.warns(UserWarning, match="1 of 3 files are left out: .*1.parquet"):
        model.fit_dataset(tmp_path, [*TARGETS, "watch"], sample_weight="weight", on_error="skip")


def test_a_first_file_that_differs_from_all_others_is_an_error(tmp_path):
    X, Y = make_frame(600)
    write(tmp_path / "0.parquet", X[:200].assign(price="n/a"), Y[:200])
    for i in (1, 2):
        write(tmp_path / f"{i}.parquet", X[200 * i : 200 * (i + 1)], Y[200 * i : 200 * (i + 1)])
    with pytest.raises(
        ValueError, match=r"2 files have the same columns, and not those of .*0.parquet, which is the first"
    ):
        FSMDClassifier(**PARAMS).fit_dataset(tmp_path, TARGETS, on_error="skip")


@pytest.mark.parametrize("fault", ["price", "click"])
def test_an_empty_file_does_not_count_as_agreeing_with_a_first_file(fault, tmp_path):
    X, Y = make_frame(600)
    first = X[:200].assign(price="n/a"), Y[:200]
    if fault == "click":
        first = X[:200], 2 * Y[:200]
    write(tmp_path / "0.parquet", *first)
    write(tmp_path / "3.parquet", first[0][:0], first[1][:0])
    for i in (1, 2):
        write(tmp_path / f"{i}.parquet", X[200 * i : 200 * (i + 1)], Y[200 * i : 200 * (i + 1)])
    with (
        pytest.warns(UserWarning, match="left out") if fault == "click" else nullcontext(),
        pytest.raises(ValueError, match=r"2 files have the same columns, and not those of .*0.parquet"),
    ):
        FSMDClassifier(**PARAMS).fit_dataset(tmp_path, TARGETS, on_error="skip")


def test_several_old_files_after_two_valid_files_are_left_out(tmp_path):
    X, Y = make_frame(600)
    for i in range(2):
        write(tmp_path / f"{i}.parquet", X[200 * i : 200 * (i + 1)], Y[200 * i : 200 * (i + 1)])
    for i in range(2, 5):
        write(tmp_path / f"{i}.parquet", X[400:].drop(columns="price"), Y[400:])
    for columns in (None, ["price", "city"]):
        with pytest.warns(UserWarning, match="3 of 5 files are left out"):
            FSMDClassifier(**PARAMS).fit_dataset(tmp_path, TARGETS, columns=columns, on_error="skip")


@pytest.mark.parametrize("fault", ["label", "vector"])
def test_a_first_file_with_other_labels_or_vectors_is_an_error(fault, tmp_path):
    X, Y = make_frame(600)
    X = X.assign(picture=[[0.1 * i, 1.0, 2.0] for i in range(600)])
    odd = {
        "label": (X, Y.assign(click=2 * Y["click"])),
        "vector": (X.assign(picture=[[0.1 * i] for i in range(600)]), Y),
    }
    for i in range(3):
        frame, labels = odd[fault] if i == 0 else (X, Y)
        write(tmp_path / f"{i}.parquet", frame[200 * i : 200 * (i + 1)], labels[200 * i : 200 * (i + 1)])
    with (
        pytest.warns(UserWarning, match="2 of 3 files are left out"),
        pytest.raises(ValueError, match=r"2 files have the same columns, and not those of .*0.parquet"),
    ):
        FSMDClassifier(**PARAMS).fit_dataset(tmp_path, TARGETS, on_error="skip")


def test_a_skipped_file_does_not_set_a_column_type(tmp_path):
    X, Y = make_frame(600)
    bad = X[200:400].assign(extra=3, price=np.inf)
    good = [X[:200].assign(extra=None), X[400:].assign(extra=None)]
    for i, frame in enumerate((good[0], bad, good[1])):
        write(tmp_path / f"{i}.parquet", frame, Y[200 * i : 200 * (i + 1)])
    with pytest.warns(UserWarning, match="1 of 3 files are left out"):
        model = FSMDClassifier(**PARAMS).fit_dataset(tmp_path, TARGETS, on_error="skip")
    without = FSMDClassifier(**PARAMS).fit_dataset([tmp_path / "0.parquet", tmp_path / "2.parquet"], TARGETS)
    np.testing.assert_array_equal(model.predict_marginals(good[0]), without.predict_marginals(good[0]))
    write(tmp_path / "3.parquet", X[:200].assign(extra="x"), Y[:200])
    with (
        pytest.warns(UserWarning, match="2 of 4 files are left out"),
        pytest.raises(ValueError, match=r"says that column 'extra' is int64, and other files were compared with that"),
    ):
        FSMDClassifier(**PARAMS).fit_dataset(tmp_path, TARGETS, on_error="skip")


def test_validation_files_are_compared_with_the_training_files(tmp_path):
    """Two files that agree with each other, but not with the training rows, do not make the first file an error."""
    X, Y = make_frame(800)
    for i in range(4):
        labels = Y.assign(click=2 * Y["click"]) if i > 1 else Y
        write(tmp_path / f"{i}.parquet", X[200 * i : 200 * (i + 1)], labels[200 * i : 200 * (i + 1)])
    validation = [tmp_path / f"{i}.parquet" for i in (1, 2, 3)]
    model = FSMDClassifier(**PARAMS)
    with pytest.warns(UserWarning, match="2 of 3 files are left out"):
        model.fit_dataset(tmp_path / "0.parquet", TARGETS, validation=validation, on_error="skip")


@pytest.mark.parametrize("on_error", ["raise", "skip"])
@pytest.mark.filterwarnings("error")
def test_types_of_unused_columns_may_differ(on_error, tmp_path):
    X, Y = make_frame(600)
    for i, note in enumerate([1, "x", 2.5]):
        write(tmp_path / f"{i}.parquet", X[200 * i : 200 * (i + 1)].assign(note=note), Y[200 * i : 200 * (i + 1)])
    model = FSMDClassifier(**PARAMS).fit_dataset(tmp_path, TARGETS, columns=list(X.columns), on_error=on_error)
    assert model.n_features_in_ == X.shape[1]


def test_an_error_names_the_file_that_sets_the_type_of_a_column(tmp_path):
    X, Y = make_frame(600)
    for i, value in enumerate([None, 1, "x"]):
        write(tmp_path / f"{i}.parquet", X[200 * i : 200 * (i + 1)].assign(extra=value), Y[200 * i : 200 * (i + 1)])
    with pytest.raises(ValueError, match=r"Column 'extra' is int64 in .*1.parquet and .*string in .*2.parquet"):
        FSMDClassifier(**PARAMS).fit_dataset(tmp_path, TARGETS)
