"""Sources of rows, and errors that name the file."""

import os
import zipfile
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.encoding.sources import LeftOut, is_of, sizes
from sklearn_fsmd.encoding.sources.factory import FactorySource
from sklearn_fsmd.encoding.sources.files import find_files
from sklearn_fsmd.encoding.sources.parquet import ParquetSource
from sklearn_fsmd.scoring import score_file
from sklearn_fsmd.training.streaming import Dataset
from tests.conftest import make_frame
from tests.training.streaming.conftest import PARAMS, TARGETS, together, write

pytestmark = pytest.mark.usefixtures("_small_sizes")


def read(source, columns=("x",)):
    return pd.concat([block.frame for block in ParquetSource(source).blocks(list(columns))], ignore_index=True)


@pytest.fixture
def folder(tmp_path):
    """Three data files, one of them in a subfolder, and other files that are no data."""
    (tmp_path / "b").mkdir()
    (tmp_path / "_temporary").mkdir()
    for i, name in enumerate(("a.parquet", "b/c.parquet", "d.parquet")):
        pd.DataFrame({"x": np.arange(100) + 100 * i, "y": 1}).to_parquet(tmp_path / name, row_group_size=30)
    (tmp_path / "_temporary" / "e.parquet").write_bytes(b"")
    (tmp_path / "_SUCCESS").write_text("")
    return tmp_path


def test_reads_folders_globs_lists_and_urls(folder):
    for source in (
        folder,
        str(folder),
        [folder / "a.parquet", str(folder / "b" / "c.parquet"), folder / "d.parquet"],
        f"file://{folder}/**/[!e].parquet",
    ):
        assert sorted(read(source)["x"]) == list(range(300))
    assert read(folder)["x"].tolist() == list(range(300))
    assert read(f"{folder}/*.parquet")["x"].tolist() == [*range(100), *range(200, 300)]
    assert read([folder / "d.parquet", folder / "a.parquet"])["x"].tolist() == [*range(200, 300), *range(100)]


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_a_glob_that_matches_a_folder_reads_the_whole_folder(scheme, tmp_path):
    (tmp_path / "b.parquet").mkdir()  # as Spark writes
    for name in ("a.parquet", "b.parquet/part-0.parquet"):
        pd.DataFrame({"x": [name]}).to_parquet(tmp_path / name)
    assert read(f"{scheme}{tmp_path}/*.parquet")["x"].tolist() == ["a.parquet", "b.parquet/part-0.parquet"]
    assert read(f"{scheme}{tmp_path}/b*")["x"].tolist() == ["b.parquet/part-0.parquet"]


def test_reads_an_fsspec_file_system(data):
    import fsspec

    X, Y = data
    with fsspec.open("memory://log/a.parquet", "wb") as file:
        together(X, Y).to_parquet(file, index=False, row_group_size=100)
    found = ParquetSource("memory://log").n_rows, ParquetSource("memory://log/*.parquet").n_rows
    assert found == (len(X), len(X))
    model = FSMDClassifier(**PARAMS).fit_dataset("memory://log/a.parquet", TARGETS)
    assert model.predict_marginals(X).shape == (len(X), 2)


def test_the_index_column_of_pandas_is_left_out(tmp_path):
    frame = pd.DataFrame({"x": [1, 2]}, index=pd.Index([7, 8], name="row"))
    frame.to_parquet(tmp_path / "a.parquet")
    assert "row" in pq.read_schema(tmp_path / "a.parquet").names
    with pytest.warns(UserWarning, match="'row' of .*a.parquet was the index .* left out.* after reset_index"):
        assert ParquetSource(tmp_path / "a.parquet").columns == ["x"]
    frame.rename_axis(None).to_parquet(tmp_path / "a.parquet")
    assert ParquetSource(tmp_path / "a.parquet").columns == ["x"]


def test_values_and_types_are_kept(tmp_path):
    frame = pd.DataFrame(
        {
            "id": pd.array([2**60 + 1, None, 2**60 + 3], dtype="Int64"),
            "number": [0.5, np.nan, 2.0],
            "word": ["a", None, "b"],
            "flag": [True, False, True],
            "tags": [[1, 2], [], None],
        }
    )
    frame.to_parquet(tmp_path / "a.parquet")
    found = read(tmp_path / "a.parquet", list(frame))
    assert found["id"].tolist()[::2] == [2**60 + 1, 2**60 + 3]
    assert found["id"].isna().tolist() == found["number"].isna().tolist() == [False, True, False]
    assert found["flag"].dtype == bool
    assert found["number"].dtype == np.float64
    assert [list(row) for row in found["tags"].iloc[:2]] == [[1, 2], []]


def test_thousands_of_tiny_files(tmp_path):
    table = pa.table({"x": [1.0, 2.0], "click": [0, 1]})
    for i in range(1200):
        pq.write_table(table, tmp_path / f"{i:04}.parquet")
    source = ParquetSource(tmp_path)
    assert source.n_rows == 2400
    assert max(len(block.frame) for block in source.blocks(["x"])) == sizes.BLOCK_ROWS
    assert sum(len(block.frame) for pool in source.pools(["x"], 0) for block in pool) == 2400


def test_one_giant_row_group_is_read_in_batches(tmp_path):
    pd.DataFrame({"x": np.arange(5000)}).to_parquet(tmp_path / "a.parquet", row_group_size=5000)
    source = ParquetSource(tmp_path / "a.parquet")
    pools = [block for pool in source.pools(["x"], 0) for block in pool]
    assert max(len(block.frame) for block in pools) == sizes.POOL_ROWS
    assert np.concatenate([block.frame["x"] for block in pools]).tolist() == list(range(5000))


def test_accepts_a_function_that_returns_frames(data):
    X, Y = data
    whole = together(X, Y)
    calls = []

    def make():
        calls.append(0)
        return (whole[start : start + 170] for start in range(0, len(whole), 170))

    model = FSMDClassifier(**PARAMS).fit_dataset(make, TARGETS)
    assert len(calls) == 3 + model.n_iter_  # counting, encoding, statistics, and one pass per epoch
    assert list(model.feature_names_in_) == list(X)
    assert model.score(X, Y) > 0.6
    source = FactorySource(make)
    assert sum(len(block.frame) for pool in source.pools(["price"], 0) for block in pool) == len(X)


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        ("nowhere.parquet", FileNotFoundError, "nowhere.parquet is not there"),
        ("nowhere/*.parquet", FileNotFoundError, "No file matches nowhere/"),
        ("nosuch://bucket/a.parquet", OSError, "nosuch://bucket/a.parquet cannot be reached"),
        ("http://127.0.0.1:9/a.parquet", (OSError, ImportError), "http://127.0.0.1:9/a.parquet cannot be reached"),
        ([], ValueError, "The list of files is empty"),
        (7, TypeError, "A data set is a path, a glob, .* Got int"),
        (pd.DataFrame({"click": [0]}), TypeError, "A DataFrame is for `fit`"),
        (iter([]), TypeError, "An iterator can be read only once"),
        (lambda: iter([]), ValueError, "returned no table with rows"),
        (lambda: 5, TypeError, "must return an iterator of DataFrames. It returned int"),
        (lambda: [{"a": 1}], TypeError, "Table 0 of the data set must be a DataFrame. Got dict"),
        (
            lambda: [pd.DataFrame({"a": [1], "click": [1]}), pd.DataFrame({"click": [1]})],
            ValueError,
            "Table 1 of the data set has the columns",
        ),
    ],
)
def test_invalid_sources_are_refused(source, error, message):
    model = FSMDClassifier(**PARAMS)
    with pytest.raises(error, match=message):
        model.fit_dataset(source, ["click"])
    assert not hasattr(model, "net_")


def damaged(path, X, Y, how):
    """Write a file with the fault `how`."""
    frame = together(X, Y)
    change = {
        "no target": lambda: frame.drop(columns="click"),
        "no feature": lambda: frame.drop(columns="price"),
        "one more": lambda: frame.assign(extra=1),
        "strings": lambda: frame.assign(visits=frame["visits"].astype(str)),
        "lists": lambda: frame.assign(city=[["a"]] * len(frame)),
        "infinity": lambda: frame.assign(price=np.inf),
        "another class": lambda: frame.assign(click=7),
    }.get(how)
    (change() if change else frame).to_parquet(path, index=False)
    content = path.read_bytes()
    if how == "truncated":
        path.write_bytes(content[:-20])
    if how == "empty":
        path.write_bytes(b"")
    if how == "pages":
        path.write_bytes(content[:4] + b"\xff" * 3000 + content[3004:])


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("truncated", "b.parquet cannot be read"),
        ("empty", "b.parquet cannot be read as a Parquet file: Parquet file size is 0 bytes"),
        ("pages", "b.parquet cannot be read"),
        ("no target", "b.parquet has no column 'click', which .*a.parquet has"),
        ("no feature", "b.parquet has no column 'price', which .*a.parquet has"),
        ("one more", "b.parquet has the column 'extra', which .*a.parquet does not have"),
        ("strings", r"Column 'visits' is int64 in .*a.parquet and \w*string in .*b.parquet"),
        ("lists", r"Column 'city' is \w*string in .*a.parquet and list<.*> in .*b.parquet"),
        ("infinity", "In .*b.parquet, rows 300 to 449 .*: Input X contains infinity"),
        ("another class", "In .*b.parquet, rows 300 to 449 .*: Only binary .* Column 'click' of Y has 3 classes"),
    ],
)
def test_faulty_files_are_refused_and_named(how, message, tmp_path):
    X, Y = make_frame(300)
    write(tmp_path / "a.parquet", X, Y)
    damaged(tmp_path / "b.parquet", X, Y, how)
    model = FSMDClassifier(**PARAMS)
    with pytest.raises((ValueError, OSError), match=message):
        model.fit_dataset(tmp_path, TARGETS)
    assert not hasattr(model, "net_")


def test_number_types_may_differ_and_a_file_may_lack_values(tmp_path):
    """A column without values has no type in its file, and integers with missing values are stored as floats."""
    X, Y = make_frame(300)
    write(tmp_path / "b.parquet", X, Y)
    odd = X.assign(city=None, visits=X["visits"].astype(float), price=X["price"].astype(np.float32))
    write(tmp_path / "a.parquet", odd, Y)
    model = FSMDClassifier(**PARAMS).fit_dataset(tmp_path, TARGETS)
    city = next(column for column in model._encoder.main.categories.values() if column.name == "city")
    assert city.values.tolist() == ["Oslo", "Paris", "Rome"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"targets": ["clik"]}, "`targets` names 'clik', and the columns of .*a.parquet are"),
        ({"targets": []}, "`targets` names no column"),
        ({"targets": ["click", "click"]}, "`targets` names 'click' twice"),
        ({"sample_weight": "w"}, "`sample_weight` names 'w'"),
        ({"columns": ["price", "x"]}, "`columns` names 'x'"),
        ({"columns": ["price", "click"]}, "Column 'click' is one of `columns`, and a target"),
        ({"columns": []}, "has no columns except"),
    ],
)
def test_invalid_column_arguments_are_refused(arguments, message, tmp_path, data):
    path = write(tmp_path / "a.parquet", *data)
    with pytest.raises(ValueError, match=message):
        FSMDClassifier(**PARAMS).fit_dataset(path, **{"targets": TARGETS} | arguments)


def test_a_file_that_changes_between_passes_is_refused(tmp_path, data, monkeypatch):
    X, Y = data
    path = write(tmp_path / "a.parquet", X, Y)
    dataset = Dataset.from_source(path, None, TARGETS, None)
    assert sum(len(block.frame) for block in dataset.blocks()) == len(X)
    write(path, X[:-1], Y[:-1])
    with pytest.raises(ValueError, match="a.parquet has changed while it was being learned from"):
        next(iter(dataset.pools(0)))
    os.remove(path)
    with pytest.raises(FileNotFoundError, match="a.parquet is not there"):
        next(dataset.blocks())


def test_a_function_that_returns_other_rows_in_a_later_pass_is_refused(data):
    whole, calls = together(*data), []

    def make():
        calls.append(0)
        return iter([whole[len(calls) :]])

    with pytest.raises(ValueError, match="made 1199 rows in the first pass and 1198 in a later one"):
        FSMDClassifier(**PARAMS).fit_dataset(make, TARGETS)


def test_temporary_files_are_ignored_unless_they_are_named(folder):
    for name in ("_half.parquet", ".tmp.parquet", "b/_c.parquet"):
        (folder / name).write_bytes(b"half of it")
    for source in (folder, f"{folder}/**/*.parquet", f"file://{folder}", f"file://{folder}/**/*.parquet"):
        assert ParquetSource(source).n_rows == 300
    (folder / "a.parquet").rename(folder / "_a.parquet")
    for named in (folder / "_a.parquet", f"{folder}/_a*.parquet", f"file://{folder}/_a*"):
        assert ParquetSource(named).n_rows == 100  # a pattern that names it selects it


def test_column_names_may_be_a_list_tuple_or_index(tmp_path, data):
    X, Y = data
    path = write(tmp_path / "a.parquet", X.assign(w=2.0, v=1.0), Y)
    predictions = []
    for kind in (list, tuple, pd.Index):
        weights = kind(["w", "v"])
        model = FSMDClassifier(**PARAMS).fit_dataset(path, kind(TARGETS), sample_weight=weights, columns=kind([*X]))
        predictions.append(model.predict_marginals(X))
    np.testing.assert_array_equal(predictions[0], predictions[1])
    np.testing.assert_array_equal(predictions[0], predictions[2])
    assert FSMDClassifier(**PARAMS).fit_dataset(path, TARGETS, columns="user").n_features_in_ == 1


@pytest.mark.parametrize("parameter", ["targets", "sample_weight", "columns"])
@pytest.mark.parametrize("kind", [set, dict.fromkeys])
def test_column_names_without_an_order_are_refused(parameter, kind, tmp_path, data):
    path = write(tmp_path / "a.parquet", *data)
    given = {"targets": TARGETS} | {parameter: kind(["user", "city"])}
    with pytest.raises(TypeError, match=f"`{parameter}` must be a name or a list of names, whose order counts"):
        FSMDClassifier(**PARAMS).fit_dataset(path, **given)


def test_a_column_name_may_be_a_number():
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(400, 3))).assign(w=1.0).rename(columns={"w": 4})
    table[3] = np.arange(400) % 2
    model = FSMDClassifier(**PARAMS).fit_dataset(lambda: iter([table]), 3, sample_weight=4, columns=[0, 1, 2])
    assert model.task_names_ == ["3"]
    with pytest.raises(ValueError, match="`sample_weight` names 5, and the columns of"):
        FSMDClassifier(**PARAMS).fit_dataset(lambda: iter([table]), 3, sample_weight=5)


def test_errors_name_the_first_row_of_their_block(tmp_path, monkeypatch):
    monkeypatch.setattr(sizes, "BLOCK_ROWS", 100)
    table = pd.DataFrame({"price": np.arange(400.0), "click": np.arange(400) % 2})
    table.loc[350, "price"] = np.inf
    with pytest.raises(ValueError, match=r"rows 300 to 399 of the data set, here counted from 0: .* has inf in row 50"):
        FSMDClassifier(**PARAMS).fit_dataset(lambda: (table[i : i + 100] for i in range(0, 400, 100)), ["click"])


def test_decimals_mixed_with_categories_are_refused_in_any_order():
    """Decimals count as numbers, whichever table comes first."""
    whole = np.arange(400) % 7
    first = pd.DataFrame({"x": pd.Series([Decimal(int(i)) for i in whole], dtype=object), "click": np.arange(400) % 2})
    second = first.assign(x=pd.Series(whole).astype("category"))
    for tables in ([first, second], [second, first]):
        with pytest.raises(ValueError, match="Column 'x' holds numbers in some tables of the data set"):
            FSMDClassifier(**PARAMS).fit_dataset(lambda tables=tables: iter(tables), ["click"])


def tables_of_dtypes(first, second):
    """Two tables of one log, whose column "visits" has these dtypes."""
    X, Y = make_frame(300)
    whole = X.assign(visits=np.arange(300) % 7)
    return [together(whole.astype({"visits": kind}), Y) for kind in (first, second)]


@pytest.mark.parametrize("on_error", ["raise", "skip"])
@pytest.mark.parametrize("first", ["category", "int64"])
def test_integers_must_be_categorical_in_all_files_or_in_none(first, on_error, tmp_path):
    tables = tables_of_dtypes(first, {"category": "int64", "int64": "category"}[first])
    for name, table in zip("ab", tables, strict=True):
        table.to_parquet(tmp_path / f"{name}.parquet")
    files = ("a", "b") if first == "category" else ("b", "a")
    message = r"Column 'visits' was a category of pandas when .*{}.parquet was written, and numbers when .*{}.parquet"
    for columns in (None, ["user", "visits"]):
        with pytest.raises(ValueError, match=message.format(*files)):
            FSMDClassifier(**PARAMS).fit_dataset(tmp_path, TARGETS, columns=columns, on_error=on_error)
        with pytest.raises(ValueError, match="Column 'visits' holds numbers in some tables of the data set"):
            FSMDClassifier(**PARAMS).fit_dataset(lambda: iter(tables), TARGETS, columns=columns)
    for source in (tmp_path, lambda: iter(tables)):
        FSMDClassifier(**PARAMS).fit_dataset(source, TARGETS, columns=["user", "price"])  # without the column "visits"
        categorical = [*tables[0].columns[:0], "user", "city", "visits"]
        model = FSMDClassifier(**PARAMS, categorical_features=categorical).fit_dataset(source, TARGETS)
        assert "visits" in [column.name for column in model._encoder.main.categories.values()]


@pytest.mark.parametrize("missing", [None, np.nan])
def test_a_column_without_values_in_one_table_may_have_any_type(missing, tmp_path):
    table, numbers = tables_of_dtypes("category", "int64")
    lacking = table.assign(visits=missing)
    for tables in ([table, lacking], [lacking, table]):
        for name, one in zip("ab", tables, strict=True):
            one.to_parquet(tmp_path / f"{name}.parquet")
        for source in (tmp_path, lambda tables=tables: iter(tables)):
            model = FSMDClassifier(**PARAMS).fit_dataset(source, TARGETS)
            assert "visits" in [column.name for column in model._encoder.main.categories.values()]
    numbers.to_parquet(tmp_path / "c.parquet")
    with pytest.raises(ValueError, match="'visits' was a category of pandas when .*b.parquet was written, and numbers"):
        FSMDClassifier(**PARAMS).fit_dataset(tmp_path, TARGETS)


@pytest.mark.parametrize("missing", [None, np.nan])
@pytest.mark.parametrize("kind", ["lists", "vectors", "categories"])
def test_later_tables_set_the_kind_of_a_column_that_is_missing_in_the_first(kind, missing):
    X, Y = make_frame(400)
    number = np.arange(400) % 7
    values_by_kind = {
        "lists": [[f"v{i}"] for i in number],
        "vectors": [[float(i), 0.5] for i in number],
        "categories": [f"v{i}" for i in number],
    }
    frame = together(X, Y).assign(more=pd.Series(values_by_kind[kind], dtype=object))
    tables = [frame[:200].assign(more=missing), frame[200:]]
    encoder = FSMDClassifier(**PARAMS).fit_dataset(lambda: iter(tables), TARGETS)._encoder.main
    position = X.shape[1]
    assert [name for name in values_by_kind if position in getattr(encoder, name)] == [kind]


@pytest.mark.parametrize("in_lists", [False, True])
def test_strings_that_files_cannot_store_are_accepted_as_in_a_table(in_lists):
    X, Y = make_frame(400)
    strings = [["\ud83d", f"v{i % 7}"] if in_lists else f"\ud83d{i % 7}" for i in range(400)]
    frame = X.assign(more=pd.Series(strings, dtype=object))
    streamed = FSMDClassifier(**PARAMS).fit_dataset(lambda: iter([together(frame, Y)]), TARGETS)
    assert streamed.predict_marginals(frame).shape == Y.shape
    assert FSMDClassifier(**PARAMS).fit(frame, Y).predict_marginals(frame[:3]).shape == (3, 2)


def test_column_selectors_receive_the_first_rows():
    X, Y = make_frame(400)
    frame = together(X, Y).assign(more=pd.Series([f"v{i}" for i in range(400)], dtype=object))
    received = []

    def selector(rows):
        received.append(rows.copy())
        return ["user", "city", "more"]

    tables = [frame[:300], frame[300:]]
    FSMDClassifier(**PARAMS, categorical_features=selector).fit_dataset(lambda: iter(tables), TARGETS)
    assert len(received[0]) > 100
    pd.testing.assert_frame_equal(received[0], frame[received[0].columns][: len(received[0])])


def test_example_values_do_not_keep_their_table_in_memory():
    frame = pd.DataFrame(np.random.rand(1000, 3), columns=[*"abc"])
    for values in FactorySource(lambda: iter([frame])).examples.values():
        kept = values.to_numpy()
        assert (kept if kept.base is None else kept.base).size <= 100


def test_a_skipped_file_does_not_set_the_type_of_a_column(tmp_path):
    X, Y = make_frame(600)
    ids = np.where(np.arange(600) % 2, 2.0**60, 1.5)  # such floats are no categories, since they are not exact
    for name, rows in (("a", slice(0, 200)), ("b", slice(200, 400))):
        write(tmp_path / f"{name}.parquet", X[rows].assign(ids=ids[rows]), Y[rows])
    bad = X[400:].assign(ids=pd.Categorical(np.arange(200.0) % 3))
    write(tmp_path / "c.parquet", bad, Y[400:].assign(click=np.arange(200) % 3))
    with pytest.warns(UserWarning, match="1 of 3 files are left out"):
        FSMDClassifier(**PARAMS).fit_dataset(tmp_path, TARGETS, on_error="skip")


def test_a_memory_error_is_not_reported_as_invalid_data(monkeypatch):
    def factorize(column):
        raise MemoryError

    monkeypatch.setattr(pd, "factorize", factorize)
    X, Y = make_frame(100)
    with pytest.raises(MemoryError):
        FSMDClassifier(**PARAMS).fit_dataset(lambda: iter([together(X, Y)]), TARGETS)


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("*.parquet", "a.parquet", True),
        ("*.parquet", "a.parquet/part-0.parquet", True),
        ("*.parquet", "b/part-0.parquet", False),
        ("b/*.parquet", "b/c/a.parquet", False),
        ("day=*", "day=3/x.parquet", True),
        ("**/day=3", "log/day=3/x.parquet", True),
        ("**/b.parquet", "log/b.parquet/part.parquet", True),
        ("a/**/b/**/c.parquet", "a/b/x/c.parquet", True),
    ],
)
def test_is_of_agrees_with_the_files_that_a_glob_finds(pattern, path, expected, tmp_path):
    target = tmp_path / path
    assert is_of(target, str(tmp_path / pattern), []) == expected
    target.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame({"x": [1]}).to_parquet(target)
    try:
        names = [file.name for file in find_files(str(tmp_path / pattern))]
    except FileNotFoundError:
        names = []
    assert (str(target) in names) == expected


def test_a_column_of_none_in_the_first_table_takes_its_type_from_the_others():
    X, Y = make_frame(400)
    frame = together(X, Y)
    tables = [frame[:200].assign(price=None), frame[200:]]
    model = FSMDClassifier(**PARAMS).fit_dataset(lambda: iter(tables), TARGETS)
    assert [column.name for column in model._encoder.main.numeric.values()] == ["price", "visits"]
    assert tables[0]["price"].dtype == object


def test_duplicate_column_names_are_refused():
    frame = pd.DataFrame([[1, 2]], columns=["a", "a"])
    with pytest.raises(ValueError, match="Table 0 of the data set has more than one column named 'a'"):
        FSMDClassifier().fit_dataset(lambda: [frame], "a")


def test_linked_folders_are_read(tmp_path):
    for name in ("log/day1/x", "elsewhere/y"):
        (tmp_path / name).parent.mkdir(parents=True)
        pd.DataFrame({"x": [name]}).to_parquet(tmp_path / f"{name}.parquet")
    (tmp_path / "log" / "day2").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "log" / "loop").symlink_to(tmp_path / "log")
    for source in (tmp_path / "log", f"file://{tmp_path}/log", f"{tmp_path}/l*"):
        assert read(source)["x"].tolist() == ["log/day1/x", "elsewhere/y"]


def test_a_folder_and_a_glob_have_the_same_order(tmp_path):
    for name in ("d/d/x", "d/d-1"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        pd.DataFrame({"x": [name]}).to_parquet(tmp_path / f"{name}.parquet")
    for source in ("d", "d/*", "d/**/*.parquet"):
        assert read(f"{tmp_path}/{source}")["x"].tolist() == read(f"file://{tmp_path}/{source}")["x"].tolist()
        assert read(f"{tmp_path}/{source}")["x"].tolist() == read(tmp_path / "d")["x"].tolist()


@pytest.mark.parametrize("how", ["list", "path", "folder", "glob", "URL"])
def test_a_file_that_is_found_twice_is_refused(how, folder):
    first = folder / "a.parquet"
    twice = {
        "list": [first, f"{folder}/*.parquet"],
        "folder": folder,
        "glob": f"{folder}/*",
        "URL": [f"file://{folder}"],
    }
    twice["path"] = [first, first]
    if how not in ("list", "path"):
        (folder / "latest.parquet").symlink_to(first)
    with pytest.raises(ValueError, match=r"parquet is in the data set twice.*name it once"):
        ParquetSource(twice[how])


def test_warns_of_files_for_both_training_and_validation(tmp_path, data):
    X, Y = data
    paths = [write(tmp_path / f"{i}.parquet", X[600 * i : 600 * i + 600], Y[600 * i : 600 * i + 600]) for i in (0, 1)]
    with pytest.warns(UserWarning, match="1.parquet of `validation` is in `source` too"):
        FSMDClassifier(**PARAMS).fit_dataset(paths, TARGETS, validation=paths[1])
    FSMDClassifier(**PARAMS).fit_dataset(paths[0], TARGETS, validation=paths[1])  # a warning would be an error


def test_a_target_as_sample_weight_is_refused(tmp_path, data):
    path = write(tmp_path / "log.parquet", *data)
    with pytest.raises(ValueError, match="Column 'click' is one of `targets`, and `sample_weight` too"):
        FSMDClassifier(**PARAMS).fit_dataset(path, TARGETS, sample_weight="click")


@pytest.mark.parametrize("swapped", [False, True])
def test_numbers_mixed_with_objects_are_refused_in_any_order(swapped):
    numbers = pd.DataFrame({"u": np.arange(200) % 9, "click": np.arange(200) % 2})
    tables = [numbers, numbers.astype({"u": object})]
    with pytest.raises(ValueError, match="Column 'u' holds numbers in some tables of the data set, and categories"):
        FSMDClassifier(**PARAMS).fit_dataset(lambda: iter(tables[::-1] if swapped else tables), ["click"])


def test_dictionary_encoded_lists_in_several_row_groups(tmp_path, data):
    """Polars writes lists of categories this way; pyarrow cannot join them across row groups."""
    X, Y = data
    tags = [[f"t{i % 5}", f"t{i % 3}"] for i in range(len(X))]
    kind = pa.list_(pa.dictionary(pa.int32(), pa.string()))
    plain = pa.Table.from_pandas(together(X, Y), preserve_index=False)
    for name, column in (("plain", pa.array(tags)), ("odd", pa.array(tags).cast(kind))):
        pq.write_table(plain.append_column("tags", column), tmp_path / f"{name}.parquet", row_group_size=250)
    models = [FSMDClassifier(**PARAMS).fit_dataset(tmp_path / f"{name}.parquet", TARGETS) for name in ("plain", "odd")]
    X = X.assign(tags=tags)
    np.testing.assert_array_equal(*(model.predict_marginals(X) for model in models))
    score_file(models[0], tmp_path / "odd.parquet", tmp_path / "scores.parquet")
    scores = pd.read_parquet(tmp_path / "scores.parquet")
    np.testing.assert_allclose(scores["p_click"], models[0].predict_marginals(X)[:, 0], rtol=1e-5)


def test_a_broken_link_is_an_error(tmp_path):
    table = pd.DataFrame({"p": np.arange(10.0), "y": [0, 1] * 5})
    table.to_parquet(tmp_path / "day1.parquet")
    (tmp_path / "day2.parquet").symlink_to(tmp_path / "nowhere" / "day2.parquet")
    with pytest.raises(FileNotFoundError, match="day2.parquet is not there"):
        FSMDClassifier(max_epochs=1).fit_dataset(str(tmp_path), ["y"])


def test_a_folder_without_read_permission_is_an_error(tmp_path, monkeypatch):
    for day in ("day1", "day2"):
        (tmp_path / day).mkdir()
        pd.DataFrame({"p": np.arange(10.0), "y": [0, 1] * 5}).to_parquet(tmp_path / day / "a.parquet")
    scandir = os.scandir

    def refuse(where):
        if str(where).endswith("day2"):
            raise PermissionError(13, "Permission denied", str(where))
        return scandir(where)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(PermissionError, match="day2"):
        FSMDClassifier(max_epochs=1).fit_dataset(str(tmp_path), ["y"])


def test_a_file_with_damaged_pandas_metadata_is_refused_and_named(tmp_path):
    path = tmp_path / "day.parquet"
    table = pa.table({"u": list("abcd") * 5, "y": [0, 1] * 10})
    pq.write_table(table.replace_schema_metadata({b"pandas": b"{"}), path)
    with pytest.raises(ValueError, match="day.parquet cannot be read as a Parquet file"):
        FSMDClassifier(max_epochs=1).fit_dataset(str(path), ["y"])


@pytest.mark.parametrize(
    "categorical_features", ["all", np.array([True, True]), ["u", "p"]], ids=["all", "mask", "names"]
)
def test_dtypes_may_differ_if_categorical_features_are_given(categorical_features):
    table = pd.DataFrame({"u": np.arange(300) % 20, "p": np.arange(300) % 5, "y": [0, 1] * 150})
    first, second = table[:150].astype({"u": "category"}), table[150:]
    model = FSMDClassifier(categorical_features=categorical_features, max_epochs=1)
    model.fit_dataset(lambda: iter([first, second]), ["y"])
    assert [len(column.values) for column in model._encoder.main.categories.values()] == [20, 5]


def test_files_with_the_same_name_in_two_archives_are_different(tmp_path):
    paths = []
    for i in range(2):
        pd.DataFrame({"x": np.arange(10.0) + i, "y": [0, 1] * 5}).to_parquet(tmp_path / "log.parquet")
        with zipfile.ZipFile(tmp_path / f"day{i}.zip", "w") as archive:
            archive.write(tmp_path / "log.parquet", "log.parquet")
        paths.append(f"zip://log.parquet::{tmp_path}/day{i}.zip")
    assert ParquetSource(paths).n_rows == 20
    with pytest.raises(ValueError, match="is in the data set twice"):
        ParquetSource([paths[0], paths[0]])


def test_an_error_counts_all_tables_including_empty_ones():
    table = pd.DataFrame({"p": np.arange(300.0), "y": [0, 1] * 150})

    def tables():
        yield table[:0]
        yield table[:100]
        yield table[100:].assign(p=np.inf)

    with pytest.raises(ValueError, match="In table 2 of the data set"):
        FSMDClassifier(max_epochs=1).fit_dataset(tables, ["y"])


def test_a_missing_installation_is_not_left_out_as_a_damaged_file():
    """It concerns all files of that kind: a fit on the others would silently be one on other data."""
    left_out = LeftOut("skip")
    with pytest.raises(ImportError, match="Install s3fs"), left_out.trying("s3://bucket/a.parquet"):
        raise ImportError("Install s3fs to access S3")
    with left_out.trying("a.parquet"):
        raise OSError("damaged")
    assert left_out.reasons == {"a.parquet": "damaged"}
