"""write_history: a log in files gets the same features as the same log in memory."""

import re
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.encoding.sources.schema import categories_of, merged_type
from sklearn_fsmd.history import HistoryFeatures, write_history
from sklearn_fsmd.history.events import sql_type
from sklearn_fsmd.history.output import _aligned_tables
from tests.conftest import SMALL, supported

KEYS = ["user", ["user", "tab"], "score"]


@pytest.fixture
def log(rng):
    n = 2000
    X = pd.DataFrame(
        {
            "when": pd.Timestamp("2026-01-01") + pd.to_timedelta(rng.randint(0, 2000, n) * 600, unit="s"),
            "user": pd.array(np.where(rng.uniform(size=n) < 0.05, pd.NA, rng.randint(0, 60, n)), dtype="Int64"),
            "tab": rng.choice(["home", "search", None], n),
            "score": rng.choice([0.5, 1.5, np.nan], n),
            'a "name"': rng.normal(size=n),
        }
    )
    click = (rng.uniform(size=n) < 0.4).astype(float)
    buy = click * (rng.uniform(size=n) < 0.3)
    click[rng.uniform(size=n) < 0.1] = np.nan
    buy[rng.uniform(size=n) < 0.3] = np.nan
    return X, pd.DataFrame({"click": click, "buy": buy})


def write_and_read(folder, log, history, **options):
    """Write the log into three files, add history features, and read the result."""
    X, Y = log
    frame = pd.concat([X, Y], axis=1)
    for i, rows in enumerate(np.array_split(np.arange(len(frame)), 3)):
        frame.iloc[rows].to_parquet(folder / f"log-{i}.parquet", index=False)
    n = write_history(history, folder / "log-*.parquet", folder / "past.parquet", targets=list(Y), **options)
    assert n == len(frame)
    return pd.read_parquet(folder / "past.parquet")


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"log": False, "smoothing": 0.0},
        {"half_life": [None, "1D"], "delay": "2h"},
        {"half_life": [None, "1D"], "delay": {"click": "2h", "buy": "30h"}},
        {"delay": {"click": "9h", "buy": "0s"}, "smoothing": 0.0},
        {"link": "independent", "drop": ["when", "tab"]},
        {"link": [None, None], "prefix": "past_"},
    ],
    ids=str,
)
def test_features_equal_those_computed_in_memory(tmp_path, log, params):
    compare_with_memory(tmp_path, log, params)


@pytest.mark.filterwarnings("ignore:Column 'buy' of Y has only one class")
@pytest.mark.parametrize("share", [0.0, 0.7], ids=["none", "early"])
def test_young_events_are_treated_as_in_memory(tmp_path, log, share):
    """Conversions are known for the early events, and 0 without a click."""
    X, Y = log
    is_old = X["when"] < X["when"].min() + share * (X["when"].max() - X["when"].min())
    known = Y.assign(buy=Y["buy"].where(is_old | (Y["click"] == 0)))
    compare_with_memory(tmp_path, (X, known), {"delay": {"click": "2h", "buy": "9h"}})


def compare_with_memory(tmp_path, log, params):
    history = HistoryFeatures(time="when", keys=KEYS, **params)
    actual = write_and_read(tmp_path, log, history, memory="1GB")
    expected = HistoryFeatures(time="when", keys=KEYS, **params).fit_transform(*log)
    features = [name for name in expected if name not in log[0]]
    assert list(actual) == [*(name for name in log[0] if name in expected), *log[1], *features]
    assert len(features) > 8
    for name in features:
        np.testing.assert_allclose(actual[name], expected[name], rtol=2e-6, atol=2e-6, err_msg=name)
        assert actual[name].dtype == np.float32
    np.testing.assert_array_equal(actual['a "name"'], log[0]['a "name"'])
    np.testing.assert_array_equal(actual["click"], log[1]["click"])
    assert not hasattr(history, "target_names_")


def test_a_model_is_trained_on_the_output(tmp_path, log):
    X, Y = log
    Y = Y.fillna(0.0)
    write_and_read(
        tmp_path, (X, Y.assign(buy=Y["buy"] * Y["click"])), HistoryFeatures(time="when", keys=KEYS, drop=["when"])
    )
    model = FSMDClassifier(**supported(FSMDClassifier, SMALL))
    with pytest.warns(UserWarning, match="Column 'user' of X: whole numbers that look like ids"):
        model.fit_dataset(tmp_path / "past.parquet", targets=["click", "buy"])
    assert "user_events" in model.feature_names_in_


def test_times_that_are_numbers(tmp_path, log):
    X, Y = log
    X = X.assign(when=X["when"].astype("datetime64[s]").astype(np.int64))
    history = HistoryFeatures(time="when", unit="s", keys=["user"])
    actual = write_and_read(tmp_path, (X, Y), history)
    expected = history.fit_transform(X, Y)
    np.testing.assert_allclose(actual["user_seconds_since"], expected["user_seconds_since"], rtol=2e-6)


@pytest.mark.parametrize(
    ("params", "change", "message"),
    [
        ({"keys": ["usr"]}, {}, "Column 'usr', which 'keys' names, is not in the files"),
        ({"last": 3, "last_of": "tab"}, {}, "last=3: lists of the last items are not supported for files"),
        ({}, {"click": 2.0}, "Column 'click' of Y has the value 2.0; its classes are [0, 1]"),
        ({}, {"when": pd.NaT}, "Column 'when' has no time in 1 of"),
        ({}, {"when": "later"}, "Column 'when' must hold datetimes or numbers"),
        ({}, {"user_events": 1.0}, "The files have a column 'user_events'"),
        ({"keys": []}, {}, "The 'keys' parameter must name columns"),
    ],
)
def test_invalid_input_is_refused(tmp_path, log, params, change, message):
    X, Y = log
    for name, value in change.items():
        column = Y[name] if name in Y else X.get(name, pd.Series(0.0, X.index))
        column = column.astype(object) if isinstance(value, str) else column.copy()
        column.iloc[3] = value
        column = column.map(str) if isinstance(value, str) else column
        (Y if name in Y else X)[name] = column
    with pytest.raises(ValueError, match=re.escape(message)):
        write_and_read(tmp_path, (X, Y), HistoryFeatures(**{"time": "when", "keys": ["user"]} | params))
    assert not (tmp_path / "past.parquet").exists()


def test_a_target_without_a_label_is_refused_as_in_memory(tmp_path, log):
    X, Y = log
    Y["buy"], history = np.nan, HistoryFeatures(time="when", keys=["user"])
    with pytest.raises(ValueError, match="Column 'buy' of Y has no observed label"):
        history.fit_transform(X, Y)
    with pytest.raises(ValueError, match="Target 'buy' has no observed label in the files"):
        write_and_read(tmp_path, (X, Y), history)


def test_a_conversion_without_a_click_is_warned_of(tmp_path, log):
    X, Y = log
    with pytest.warns(UserWarning, match="have 'buy' = 1 though 'click'"):
        write_and_read(tmp_path, (X, Y.assign(click=0.0, buy=1.0)), HistoryFeatures(time="when", keys=["user"]))


EVENTS = pd.DataFrame(
    {
        "time": pd.date_range("2026-01-01", periods=6, freq="2h"),
        "user": list("aababa"),
        "click": [1, 0, 1, 1, 0, 1],
        "conversion": [0, 0, 1, 0, 0, 1],
    }
)
LABELS = ["click", "conversion"]


def file_and_memory(folder, *frames, history=None, source="log", targets=LABELS, **options):
    """Write files into a folder; return the output of write_history, and the features of the same rows in memory."""
    (folder / "log").mkdir(exist_ok=True)
    for i, frame in enumerate(frames):
        frame.to_parquet(folder / "log" / f"{i}.parquet")
    history = history or HistoryFeatures(keys=["user"], log=False)
    write_history(history, folder / source, folder / "past.parquet", targets=targets, **options)
    whole = pd.concat(frames, ignore_index=True)
    expected = history.fit_transform(whole.drop(columns=LABELS), whole[LABELS].astype(float))
    return pd.read_parquet(folder / "past.parquet"), expected[[name for name in expected if name not in whole]]


ODD_NAMES = [
    "_t",
    "_before",
    "_n",
    "_tried0",
    "_yes0",
    "_key_user",
    "_row",
    "row",
    "t",
    "k0",
    "filename",
    "USER",
    'a"b',
]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_column_names_do_not_clash_with_those_of_the_query(tmp_path, name):
    actual, expected = file_and_memory(tmp_path, EVENTS.assign(**{name: range(6), "USER_EVENTS": 7}))
    assert list(actual) == [*EVENTS, name, "USER_EVENTS", *expected]
    pd.testing.assert_frame_equal(actual[[*expected]], expected, rtol=1e-6)
    assert actual[name].tolist() == list(range(6))


@pytest.mark.parametrize(
    "users",
    [
        [-1, -1, 3, -1, 3, -2],
        [-1.0, 0.5, 0.5, 2.0, 2.0, np.nan],
        [Decimal("-1"), Decimal("1.5"), Decimal("1.5"), None, Decimal("-1"), Decimal("2")],
        [True, False, True, True, False, True],
        pd.Categorical([7, 7, 8, 7, 8, None]),
        [b"a", b"a", b"b", b"a", None, b"a"],
        [None] * 6,
    ],
    ids=str,
)
def test_keys_match_and_are_missing_as_in_memory(tmp_path, users):
    actual, expected = file_and_memory(tmp_path, EVENTS.assign(user=users))
    pd.testing.assert_frame_equal(actual[[*expected]], expected, rtol=1e-6)


@pytest.mark.parametrize(
    "users",
    [
        pa.array([b"\xff" * 16, b"\xfe" * 16, b"\xff" * 16, None], pa.binary(16)),
        pa.array([Decimal(2**60 + 1), Decimal(2**60), Decimal(2**60 + 1), None], pa.decimal128(20, 0)),
    ],
    ids=["bytes", "decimals"],
)
def test_keys_of_other_types_are_exact(tmp_path, users):
    table = pa.table({"when": pa.array(pd.date_range("2026", periods=4)), "user": users, "click": [1, 0, 1, 0]})
    pq.write_table(table, tmp_path / "log.parquet")
    history = HistoryFeatures(time="when", keys=["user"])
    write_history(history, tmp_path / "log.parquet", tmp_path / "past.parquet", targets=["click"])
    actual, read = pd.read_parquet(tmp_path / "past.parquet"), pd.read_parquet(tmp_path / "log.parquet")
    expected = HistoryFeatures(time="when", keys=["user"]).fit_transform(read.drop(columns="click"), read[["click"]])
    features = [name for name in expected if name not in read]
    np.testing.assert_allclose(actual[features], expected[features].astype(np.float32), rtol=2e-6)
    assert actual[features].iloc[2].ne(actual[features].iloc[1]).any()


@pytest.mark.parametrize("whole", [pa.int8(), pa.int32(), pa.int64(), pa.uint64()], ids=str)
def test_decimals_and_whole_numbers_are_written_as_decimals(tmp_path, whole):
    when = pa.array(pd.date_range("2026", periods=2))
    table = pa.table({"when": when, "price": pa.array([Decimal("1.25")] * 2, pa.decimal128(10, 2)), "click": [1, 0]})
    pq.write_table(table, tmp_path / "log-0.parquet")
    pq.write_table(table.set_column(1, "price", pa.array([3, 4], whole)), tmp_path / "log-1.parquet")
    history = HistoryFeatures(time="when", keys=["click"])
    write_history(history, tmp_path / "log-*.parquet", tmp_path / "past.parquet", targets=["click"])
    assert pq.read_table(tmp_path / "past.parquet")["price"].to_pylist() == [*[Decimal("1.25")] * 2, 3, 4]


@pytest.mark.parametrize("kind", ["category", "int64"])
def test_files_with_values_decide_whether_a_column_is_categorical(tmp_path, kind):
    when = pd.date_range("2026", periods=3)
    frame = pd.DataFrame({"when": when, "shop": None, "click": [1, 0, 1]})
    lacking = frame if kind == "category" else frame.astype({"shop": "category"})
    lacking.to_parquet(tmp_path / "log-0.parquet")
    frame.assign(shop=pd.Series([1, 2, 1], dtype=kind)).to_parquet(tmp_path / "log-1.parquet")
    history = HistoryFeatures(time="when", keys=["click"])
    write_history(history, tmp_path / "log-*.parquet", tmp_path / "past.parquet", targets=["click"])
    assert categories_of(pq.read_schema(tmp_path / "past.parquet")) == (["shop"] if kind == "category" else [])


def test_the_error_of_a_damaged_log_names_the_log(tmp_path):
    frame = pd.DataFrame({"when": pd.date_range("2026", periods=300), "note": np.random.rand(300), "click": 1})
    frame.to_parquet(tmp_path / "log.parquet", index=False)
    content = bytearray((tmp_path / "log.parquet").read_bytes())
    column = pq.read_metadata(tmp_path / "log.parquet").row_group(0).column(1)
    start = column.dictionary_page_offset or column.data_page_offset
    content[start : start + column.total_compressed_size] = bytes(column.total_compressed_size)
    (tmp_path / "log.parquet").write_bytes(content)
    history = HistoryFeatures(time="when", keys=["click"])
    with pytest.raises(ValueError, match="log.parquet cannot be read"):
        write_history(history, tmp_path / "log.parquet", tmp_path / "past.parquet", targets=["click"])
    assert not (tmp_path / "past.parquet").exists()


@pytest.mark.parametrize("short", [0, 1], ids=["log", "features"])
def test_a_different_number_of_rows_and_features_is_an_error(short):
    """If a join has lost a row, or a file has shrunk, the longer side is not truncated."""
    schema = pa.schema([pa.field("a", pa.int64())])
    sides = [pa.RecordBatch.from_arrays([pa.array(np.arange(n))], schema=schema) for n in (5, 5)]
    assert [len(left) for left, _ in _aligned_tables(iter(sides[:1]), iter(sides[1:]))] == [5]
    sides[short] = sides[short][:3]
    with pytest.raises(RuntimeError, match=f"The {['log', 'history features'][short]} ended before the"):
        list(_aligned_tables(iter(sides[:1]), iter(sides[1:])))


def test_dates_are_refused_as_keys(tmp_path):
    with pytest.raises(TypeError, match="0.parquet: Column 'user' has dtype timestamp"):
        file_and_memory(tmp_path, EVENTS.assign(user=EVENTS["time"]))


def test_large_ids_in_one_file_and_floats_in_another_are_refused(tmp_path):
    integers, floats = EVENTS[:3].assign(user=[2**60 + 1, 2**60 + 2, 7]), EVENTS[3:].assign(user=[np.nan, 7.0, 8.0])
    with pytest.raises(ValueError, match="Column 'user' holds whole numbers beyond .* and floats in another file"):
        file_and_memory(tmp_path, integers, floats)


def test_columns_are_written_unchanged(tmp_path):
    frame = EVENTS.assign(
        hour=pd.Categorical([1, 2, 1, 2, 1, 2]),
        shop=pd.Categorical(list("xyxyxy")),
        small=np.arange(6, dtype=np.uint8),
        tags=[["a"], [], None, ["b", "c"], ["a"], []],
        price=[Decimal("1.10")] * 6,
    ).sample(frac=1, random_state=0)  # pandas writes the index too
    actual, expected = file_and_memory(tmp_path, frame[:4], frame[4:])
    assert list(actual) == [*frame, *expected]
    for name in ("hour", "shop", "small", "price", "time", "click"):
        assert actual[name].tolist() == frame[name].tolist(), name
        assert name == "hour" or actual[name].dtype == frame[name].dtype, name  # Parquet has no categories of numbers
    model = FSMDClassifier(**supported(FSMDClassifier, SMALL), early_stopping=False)
    model.fit_dataset(tmp_path / "past.parquet", LABELS, columns=["user", "hour", "shop", "user_events"])
    assert len(model._encoder.main.categories) == 3  # a category of whole numbers stays a category


def test_files_need_the_columns_of_the_first_and_compatible_types(tmp_path):
    actual, _ = file_and_memory(tmp_path, EVENTS[:3].assign(price=[1, 2, 3]), EVENTS[3:].assign(price=[1.5, 2.5, 3.5]))
    assert actual["price"].tolist() == [1, 2, 3, 1.5, 2.5, 3.5]
    actual, _ = file_and_memory(tmp_path, EVENTS[:3].assign(note=None), EVENTS[3:].assign(note="x"))
    assert actual["note"].isna().tolist() == [True] * 3 + [False] * 3
    for change, message in {
        "drop": "1.parquet has no column 'user', which",
        "add": "1.parquet has the column 'more', which",
        "text": "Column 'click' is int64 in",
        "label": "Column 'conversion' of Y has the value 0.6",
    }.items():
        second = {
            "drop": EVENTS[3:].drop(columns="user"),
            "add": EVENTS[3:].assign(more=1),
            "text": EVENTS[3:].astype({"click": str}),
            "label": EVENTS[3:].assign(conversion=0.6),
        }[change]
        with pytest.raises(ValueError, match=message):
            file_and_memory(tmp_path, EVENTS[:3], second)


def test_names_of_folders_and_files_have_no_meaning(tmp_path):
    (tmp_path / "hive" / "user=zzz").mkdir(parents=True)
    EVENTS.to_parquet(tmp_path / "hive/user=zzz/x[1].parquet")
    EVENTS.to_parquet(tmp_path / "hive/user=zzz/x1.parquet")
    history = HistoryFeatures(keys=["user"], log=False)
    write_history(history, tmp_path / "hive/user=zzz/x[1].parquet", tmp_path / "past.parquet", targets="click")
    actual = pd.read_parquet(tmp_path / "past.parquet")
    assert actual["user"].tolist() == list("aababa")
    assert actual["user_events"].tolist() == [0, 1, 0, 2, 1, 3]


def test_the_log_is_not_overwritten(tmp_path):
    (tmp_path / "log").mkdir()
    EVENTS.to_parquet(tmp_path / "log/0.parquet")
    (tmp_path / "links").mkdir()
    (tmp_path / "links/0.arrow").symlink_to(tmp_path / "log/0.parquet")
    history = HistoryFeatures(keys=["user"])
    for source, sink in {
        "log/0.parquet": "log/../log/0.parquet",
        "log": "log/past.parquet",
        "log/*.parquet": "log/past.parquet",
        "log/0.*": "links/0.arrow",
        "log/**/*.parquet": "log/past.parquet",
        "**/*.parquet": "log/past.parquet",
    }.items():
        with pytest.raises(
            ValueError, match="is one of the files of the log, or would become one. Choose another sink"
        ):
            write_history(history, str(tmp_path / source), tmp_path / sink, targets=LABELS)
    assert write_history(history, tmp_path / "log", tmp_path / "log/_past.parquet", targets=LABELS) == 6
    assert write_history(history, tmp_path / "log", tmp_path / "log/_past.parquet", targets=LABELS) == 6
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "log/0.parquet"), EVENTS)


@pytest.mark.parametrize("dtype", ["int32", "uint32", "int64", "float32", "float64"])
def test_times_may_have_any_numeric_dtype(tmp_path, dtype):
    seconds = (np.arange(6) * 7200).astype(dtype)
    history = HistoryFeatures(keys=["user"], unit="s", log=False)
    actual, expected = file_and_memory(tmp_path, EVENTS.assign(time=seconds), history=history)
    pd.testing.assert_frame_equal(actual[[*expected]], expected, rtol=1e-6)
    days = HistoryFeatures(keys=["user"], unit="D", delay="1D", log=False)
    features = days.fit_transform(
        pd.DataFrame({"time": (20_000 + np.arange(6)).astype(dtype), "user": "a"}), EVENTS["click"]
    )
    assert features["user_seconds_since"].tolist()[1:] == [86_400.0] * 5


@pytest.mark.parametrize("first", ["float16", "float32"])
def test_fractions_of_files_with_several_types_stay_one_category(tmp_path, first):
    (tmp_path / "log").mkdir()
    for i, dtype in enumerate((first, "float64")):
        EVENTS.assign(size=np.array([0.1, 0.3, 0.1, np.nan, 0.3, 2.5], dtype)).to_parquet(tmp_path / f"log/{i}.parquet")
    history = HistoryFeatures(keys=["size"], log=False)
    write_history(history, tmp_path / "log", tmp_path / "past.parquet", targets=LABELS)
    sizes = pd.read_parquet(tmp_path / "past.parquet")["size"]
    assert sizes.value_counts().to_dict() == {0.1: 4, 0.3: 4, 2.5: 2}
    assert sizes.isna().sum() == 2


def test_nan_labels_are_missing(tmp_path):
    conversion = pa.array([0.0, np.nan, 1.0, 0.0, np.nan, 1.0])  # NaN, and not null
    table = pa.Table.from_pandas(EVENTS).set_column(3, "conversion", conversion)
    (tmp_path / "log").mkdir()
    pq.write_table(table, tmp_path / "log/0.parquet")
    frame = table.to_pandas()
    history = HistoryFeatures(keys=["user"], log=False)
    write_history(history, tmp_path / "log", tmp_path / "past.parquet", targets=LABELS)
    expected = history.fit_transform(frame[["time", "user"]], frame[LABELS])
    actual = pd.read_parquet(tmp_path / "past.parquet")[[*expected.columns[2:]]]
    pd.testing.assert_frame_equal(actual, expected[[*actual]], rtol=1e-6)


def test_an_invalid_size_of_memory_is_refused(tmp_path):
    with pytest.raises(ValueError, match="`memory` must be a size such as '4GB'. Got 'lots'"):
        file_and_memory(tmp_path, EVENTS, memory="lots")


def test_value_targets_are_left_out(tmp_path):
    events = EVENTS.assign(watch=[12.5, 0.0, 3.0, 0.0, 7.0, 1.0])
    history = HistoryFeatures(keys=["user"], log=False, value_targets=["watch"])
    (tmp_path / "log").mkdir()
    events.to_parquet(tmp_path / "log/0.parquet")
    for targets in (LABELS, [*LABELS, "watch"]):
        write_history(history, tmp_path / "log", tmp_path / "past.parquet", targets=targets)
    actual = pd.read_parquet(tmp_path / "past.parquet")
    with pytest.raises(ValueError, match="The 'targets' parameter must name columns. Got none"):
        write_history(history, tmp_path / "log", tmp_path / "past.parquet", targets="watch")
    expected = history.fit_transform(events[["time", "user"]], events[[*LABELS, "watch"]])
    assert list(actual) == [*events, *list(expected)[2:]]
    pd.testing.assert_frame_equal(actual[list(expected)[2:]], expected[list(expected)[2:]], rtol=1e-6)


def test_duplicate_and_unordered_targets_are_refused(tmp_path, log):
    X, Y = log
    X.join(Y).to_parquet(tmp_path / "log.parquet")
    history = HistoryFeatures(time="when", keys=["user"])
    with pytest.raises(ValueError, match="The 'targets' parameter names 'click' twice"):
        write_history(history, tmp_path / "log.parquet", tmp_path / "past.parquet", targets=["click", "click"])
    with pytest.raises(TypeError, match="targets"):
        write_history(history, tmp_path / "log.parquet", tmp_path / "past.parquet", targets={"click", "conversion"})


def test_dropping_all_columns_is_refused(tmp_path):
    with pytest.raises(ValueError, match="The 'drop' parameter names all columns of the files. Keep one"):
        file_and_memory(tmp_path, EVENTS, history=HistoryFeatures(keys=["user"], drop=list(EVENTS)))


def test_lists_of_numbers_are_written_with_the_wider_type(tmp_path):
    def table(kind, values):
        return pa.Table.from_pandas(EVENTS[:3]).append_column("prices", pa.array([values] * 3, pa.list_(kind)))

    (tmp_path / "log").mkdir()
    for i, (kind, values) in enumerate([(pa.int32(), [1, 2]), (pa.int64(), [3 * 10**9]), (pa.int32(), [])]):
        pq.write_table(table(kind, values), tmp_path / f"log/{i}.parquet")
    write_history(HistoryFeatures(keys=["user"]), tmp_path / "log", tmp_path / "past.parquet", targets=LABELS)
    assert pq.read_table(tmp_path / "past.parquet")["prices"].to_pylist()[2:4] == [[1, 2], [3 * 10**9]]
    assert str(merged_type(pa.list_(pa.float32()), pa.large_list(pa.float64()))) == "large_list<item: double>"
    assert merged_type(pa.list_(pa.float32(), 2), pa.list_(pa.float64(), 2)) == pa.list_(pa.float64(), 2)
    for other in (pa.list_(pa.float32(), 3), pa.list_(pa.null())):
        assert (
            merged_type(pa.list_(pa.float32(), 2), other)
            == merged_type(other, pa.list_(pa.float32(), 2))
            == pa.list_(pa.float32())
        )


@pytest.mark.parametrize("source", ["/log/0.parquet", "/log", "/log/*.parquet"])
def test_the_log_is_not_overwritten_through_a_url(source, tmp_path):
    (tmp_path / "log").mkdir()
    EVENTS.to_parquet(tmp_path / "log/0.parquet")
    sink = tmp_path / "log" / ("0.parquet" if source.endswith("0.parquet") else "past.parquet")
    with pytest.raises(ValueError, match="is one of the files of the log, or would become one"):
        write_history(HistoryFeatures(keys=["user"]), f"file://{tmp_path}{source}", sink, targets=LABELS)


def test_an_error_that_more_memory_would_fix_names_the_parameter(tmp_path, log):
    with pytest.raises(OSError, match="that failed: .* Give it more by `memory`, or take a smaller `n_threads`"):
        write_and_read(tmp_path, log, HistoryFeatures(time="when", keys=KEYS), memory="1MB")


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.binary(2), pa.binary_view()], ids=str)
def test_keys_of_bytes_have_the_sql_type_blob(kind):
    """Only the types are tested: the oldest supported pyarrow cannot write binary views to files."""
    assert sql_type(kind) == sql_type(pa.dictionary(pa.int32(), kind)) == "BLOB"


def test_something_else_than_a_history_is_refused(tmp_path):
    with pytest.raises(TypeError, match="`history` must be a HistoryFeatures, .* Got 'x'"):
        write_history("x", tmp_path / "log.parquet", tmp_path / "past.parquet", targets=["click"])


def test_a_function_is_refused_as_a_log(tmp_path, log):
    with pytest.raises(TypeError, match="`write_history` reads files: .* Got a function"):
        write_history(HistoryFeatures(keys=["user"]), lambda: iter(log), tmp_path / "past", targets=["click"])


def test_a_log_beyond_2000_half_lives_is_refused(tmp_path, log):
    history = HistoryFeatures(time="when", keys=["user"], half_life="60s")
    with pytest.raises(ValueError, match="span .* times the half-life of 60 s"):
        write_and_read(tmp_path, log, history)
    assert not (tmp_path / "past.parquet").exists()


def test_rates_without_smoothing_do_not_underflow(tmp_path, log):
    X, Y = log
    history = HistoryFeatures(time="when", keys=["user"], half_life="15min", smoothing=0.0)
    X = X.assign(when=X["when"].where(X.index < 1990, pd.Timestamp("2026-01-16")))
    past = write_and_read(tmp_path, (X, Y), history)
    expected = HistoryFeatures(**history.get_params()).fit_transform(X, Y)
    rates = [name for name in expected if "_rate" in name]
    np.testing.assert_allclose(past[rates], expected[rates], rtol=1e-5)
    assert past[rates][-10:].notna().any().all()


@pytest.mark.parametrize("units", [("ns", "us"), ("us", "ns"), ("ms", "s")])
def test_times_of_two_units_are_merged_into_one_column(units, tmp_path, log):
    X, Y = log
    frame = pd.concat([X, Y], axis=1)
    for i, unit in enumerate(units):
        part = frame[1000 * i : 1000 * i + 1000]
        part.assign(when=part["when"].dt.as_unit(unit)).to_parquet(tmp_path / f"log-{i}.parquet", index=False)
    history = HistoryFeatures(time="when", keys=["user"])
    write_history(history, tmp_path / "log-*.parquet", tmp_path / "past.parquet", targets=list(Y))
    expected = HistoryFeatures(**history.get_params()).fit_transform(X, Y)
    past = pd.read_parquet(tmp_path / "past.parquet")
    np.testing.assert_allclose(past["user_events"], expected["user_events"], rtol=1e-5)
    assert (past["when"] == X["when"]).all()
