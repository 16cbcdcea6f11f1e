"""Tables of other libraries, column names that are not strings, and single rows, which are treated as in a table."""

import datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.encoding.table.validation import as_pandas
from tests.conftest import SMALL, make_frame


@pytest.fixture(scope="module")
def data():
    X, Y = make_frame(200)
    X["user"] = X["user"].astype(str).astype("category")
    return X, Y


def fit(X, Y, sample_weight=None, **params):
    return FSMDClassifier(**SMALL | {"max_epochs": 1} | params).fit(X, Y, sample_weight)


CONVERTERS = {
    "polars": lambda frame: pl.from_pandas(frame),
    "pyarrow": lambda frame: pa.Table.from_pandas(frame, preserve_index=False),
    "record batch": lambda frame: pa.RecordBatch.from_pandas(frame, preserve_index=False),
    "arrow dtypes": lambda frame: pa.Table.from_pandas(frame).to_pandas(types_mapper=pd.ArrowDtype),
}


@pytest.mark.parametrize("kind", CONVERTERS)
def test_tables_of_other_libraries_equal_those_of_pandas(kind, data):
    X, Y = data
    convert = CONVERTERS[kind]
    model, expected = fit(convert(X), convert(Y)), fit(X, Y)
    assert model.task_names_ == ["click", "conversion"]
    assert model.feature_names_in_.tolist() == list(X.columns)
    np.testing.assert_array_equal(model.predict_marginals(X), expected.predict_marginals(X))
    for n in (1, 5, 50):
        rows = convert(X[:n])
        np.testing.assert_array_equal(expected.predict_marginals(rows), expected.predict_marginals(X[:n]))
    assert model.score(convert(X), convert(Y)) == expected.score(X, Y)


def test_target_names_are_read_from_any_kind_of_table(data):
    X, Y = data
    model = fit(X, pl.from_pandas(Y))
    with pytest.raises(ValueError, match=r"The columns of Y must be those of fit, in their order, \['click', 'conv"):
        model.partial_fit(X, pl.from_pandas(Y[["conversion", "click"]]))
    weights = pl.DataFrame({"conversion": np.ones(200), "click": np.ones(200)})
    with pytest.raises(ValueError, match="columns of `sample_weight` must have the order of those of Y"):
        FSMDClassifier(**SMALL).fit(X, Y, weights)
    single_target = fit(X, pl.Series("watched", Y["click"].to_numpy()))
    assert single_target.task_names_ == ["watched"]


def test_unlabelled_rows_may_be_a_polars_table(data):
    X, Y = data
    params = SMALL | {"max_epochs": 1, "pretrain_epochs": 1}
    models = [FSMDClassifier(**params).fit(X, Y, X_unlabeled=more) for more in (X, pl.from_pandas(X))]
    np.testing.assert_array_equal(*(model.predict_marginals(X) for model in models))


class Stream:
    """An object that exports Arrow data and has no other methods."""

    def __init__(self, table):
        self.table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self.table.__arrow_c_stream__(requested_schema)


def test_any_object_that_exports_arrow_data_is_accepted(data):
    X, Y = data
    expected = fit(X, Y, sample_weight=np.linspace(0, 1, 200)).predict_marginals(X)
    weights = pa.table({"click": np.linspace(0, 1, 200), "conversion": np.linspace(0, 1, 200)})
    model = fit(Stream(pa.Table.from_pandas(X)), Stream(pa.Table.from_pandas(Y)), sample_weight=Stream(weights))
    np.testing.assert_array_equal(model.predict_marginals(Stream(pa.Table.from_pandas(X))), expected)
    reader = pa.Table.from_pandas(Y).to_reader()
    assert fit(pa.Table.from_pandas(X).to_reader(), reader).task_names_ == ["click", "conversion"]


def test_a_pandas_index_in_an_arrow_table_is_not_a_feature(data):
    X, Y = data
    shuffled = X.sample(frac=1, random_state=0)
    model = fit(pa.Table.from_pandas(shuffled), Y.loc[shuffled.index])
    assert model.n_features_in_ == 5
    np.testing.assert_array_equal(model.predict_marginals(X), fit(shuffled, Y.loc[shuffled.index]).predict_marginals(X))


def test_arrow_string_views_become_strings():
    table = pa.table({"a": pa.array(["x", None], pa.string_view()), "b": pa.array([b"x", None], pa.binary_view())})
    frame = as_pandas(table)
    assert frame["a"].tolist() == ["x", pd.NA]
    assert frame["b"].tolist() == [b"x", pd.NA]


def test_a_lazy_frame_is_refused(data):
    with pytest.raises(TypeError, match=r"A LazyFrame holds no data yet: pass LazyFrame.collect\(\)"):
        fit(pl.from_pandas(data[0]).lazy(), data[1])


# --------------------------------------------------------------------------------------------------------------- names


@pytest.mark.parametrize(
    "names",
    [
        [10, 20, 30],
        pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)]),
        [1.5, 2.5, 3.5],
        [("x",), ("y",), ("z",)],
    ],
    ids=str,
)
def test_columns_in_another_order_are_refused_whatever_their_names(names, rng):
    X = pd.DataFrame(rng.normal(size=(60, 3)), columns=names)
    Y = (X.to_numpy()[:, :2] > 0).astype(int)
    Y[:, 1] &= Y[:, 0]
    model = fit(X, Y)
    reordered = X.iloc[:, [2, 0, 1]]
    for rows in (reordered, reordered[:1]):
        with pytest.raises(ValueError, match="The feature names should match those that were passed during fit"):
            model.predict(rows)
    with pytest.raises(ValueError, match="The feature names should match"):
        model.partial_fit(reordered, Y)
    renamed = X.set_axis([str(name) for name in X.columns], axis=1)
    with pytest.raises(ValueError, match="The feature names should match"):
        model.predict(renamed)
    with pytest.raises(ValueError, match="The feature names should match"):
        fit(renamed, Y).predict(X)
    np.testing.assert_array_equal(model.predict(X), model.predict(X.to_numpy()))
    assert model.fit(reordered, Y).predict(reordered).shape == (60, 2)


# -------------------------------------------------------------------------------------------------- one row, many rows


@pytest.mark.parametrize("later", ["object", "bool", "boolean", "with -1", "category", "bool[pyarrow]"])
@pytest.mark.parametrize("at_fit", ["with -1", "bool", "with an odd value"])
def test_flags_are_recognised_in_any_dtype(at_fit, later):
    flags = np.array([True, False] * 100, dtype=object)
    fitted = {"with -1": np.where(np.arange(200) == 7, -1, flags), "bool": flags.astype(bool)}
    fitted["with an odd value"] = np.where(np.arange(200) == 7, "odd", flags)
    Y = np.stack([flags, flags], axis=1).astype(int)
    X = pd.DataFrame({"flag": fitted[at_fit], "n": np.linspace(0, 1, 200)})
    model = fit(X, Y, max_epochs=20, lr=0.05)
    new = pd.DataFrame({"flag": flags[:40], "n": 0.5})
    if later == "with -1":
        new.loc[3, "flag"] = -1
    elif later != "object":
        new["flag"] = new["flag"].astype(bool).astype(later)
    p = model.predict_marginals(new)[:, 0]
    one_by_one = np.concatenate([model.predict_marginals(new[i : i + 1])[:, 0] for i in range(40)])
    np.testing.assert_allclose(one_by_one, p, atol=1e-6)
    known = np.arange(40) != 3
    assert (p[known & flags[:40].astype(bool)] > 0.7).all()
    assert (p[known & ~flags[:40].astype(bool)] < 0.3).all()


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.full((1, 2), 2.0**24, dtype=np.float32), "16777216 as float32"),
        (np.array([["2024-01-01", "2024-01-02"]], dtype="M8[ns]"), "dtype datetime64"),
    ],
)
def test_single_rows_of_an_array_are_validated_like_many_rows(array, message):
    X = np.arange(400).reshape(200, 2) % 9
    model = fit(X, np.stack([X[:, 0] > 4, X[:, 0] > 7], axis=1).astype(int), categorical_features=[0, 1])
    for n in (1, 50):
        with pytest.raises((TypeError, ValueError), match=message):
            model.predict(np.repeat(array, n, axis=0))


@pytest.mark.parametrize(
    "values",
    [
        [datetime.time(8, 0), datetime.time(20, 30)],
        [b"x", b"y"],
        ["a\udc80", "\ud800"],
    ],
    ids=["times", "bytes", "invalid Unicode"],
)
def test_unusual_categories(values, tmp_path):
    column = np.empty(100, dtype=object)
    column[:] = values * 50
    Y = np.stack([np.arange(100) % 2, np.arange(100) % 2], axis=1)
    X = pd.DataFrame({"c": pd.Series(column, dtype=object)})
    model = fit(X, Y, max_epochs=20, lr=0.05)
    p = model.predict_marginals(X)
    assert abs(p[0] - p[1]).min() > 0.3
    np.testing.assert_allclose(model.predict_marginals(X[:1]), p[:1], atol=1e-6)
    if not isinstance(values[0], bytes):
        model.save(tmp_path / "m")
        np.testing.assert_array_equal(FSMDClassifier.load(tmp_path / "m").predict_marginals(X), p)


def test_decimals_are_numbers():
    prices = pd.Series(pd.arrays.ArrowExtensionArray(pa.array(map(Decimal, range(100)), pa.decimal128(12, 2))))
    X = pd.DataFrame({"price": prices, "zero": pd.Series([0.0, -0.0] * 50, dtype="double[pyarrow]")})
    Y = np.stack([np.arange(100) > 50, np.arange(100) > 70], axis=1).astype(int)
    model = fit(X, Y)
    assert [column.name for column in model._encoder.main.numeric.values()] == ["price", "zero"]
    expected = fit(X.astype({"price": float, "zero": float}), Y).predict_marginals(X)
    np.testing.assert_array_equal(model.predict_marginals(X), expected)
    assert fit(X, Y, categorical_features="all", min_frequency=1)._encoder.main.cardinalities == [101, 2]


@pytest.mark.parametrize(
    "values",
    [pa.array([{"a": 1}] * 100), pa.DictionaryArray.from_arrays([0] * 100, [["a"]])],
    ids=["structs", "lists as categories"],
)
@pytest.mark.parametrize("selector", ["from_dtype", "all", None])
def test_nested_values_are_refused(values, selector):
    Y = np.stack([np.arange(100) % 2, np.arange(100) % 2], axis=1)
    message = "Column 'tags' holds values of the type .*, but here each argument must be .* Give each row one value"
    with pytest.raises(TypeError, match=message):
        fit(pa.table({"tags": values}), Y, categorical_features=selector)


@pytest.mark.parametrize(
    "values",
    [pa.array([0, 10**12], pa.time64("us")).dictionary_encode(), pa.DictionaryArray.from_arrays([0, 1], ["a", "a"])],
    ids=["time after 24:00", "duplicate category"],
)
def test_the_error_of_unreadable_arrow_data_names_the_column(values):
    with pytest.raises(ValueError, match="Column 'b' of the Arrow data cannot be read"):
        as_pandas(pa.table({"a": [1, 2], "b": values}))


@pytest.mark.parametrize(
    "dtype",
    [pa.list_(pa.string()), pa.list_(pa.float64(), 2), pa.dictionary(pa.int32(), pa.string())],
    ids=["lists", "vectors", "a dictionary"],
)
def test_arrow_tables_made_from_frames_with_arrow_dtypes(dtype):
    values = ["a", "b"] if pa.types.is_dictionary(dtype) else [[1.0, 2.0], [3.0, 4.0]]
    if dtype == pa.list_(pa.string()):
        values = [["a"], ["b", "c"]]
    frame = pd.DataFrame({"x": [0.5, 1.5], "own": pd.Series(pa.array(values, dtype), dtype=pd.ArrowDtype(dtype))})
    frame["id"] = ["u", "v"]
    read = as_pandas(pa.Table.from_pandas(frame.set_index("id")))
    assert read.index.tolist() == ["u", "v"]
    assert read["x"].tolist() == [0.5, 1.5]
    assert [value if isinstance(value, str) else list(value) for value in read["own"]] == values


@pytest.mark.parametrize("values", [[[None, None], []], [[None], None]])
@pytest.mark.parametrize("table", [pl.DataFrame, pa.table], ids=["polars", "arrow"])
def test_lists_that_hold_only_missing_values(values, table):
    read = as_pandas(table({"b": values}))["b"]
    assert [None if value is pd.NA else list(value) for value in read] == values


@pytest.mark.parametrize(
    ("dtype", "values", "message"),
    [
        ("Object", ["a", "b"], "has the type Object, which Arrow does not have. Convert it by `.to_pandas"),
        ("Int128", [1, 2], "has the type Int128, which Arrow does not have. Cast it to Int64"),
        ("UInt128", [1, 2], "has the type UInt128, which Arrow does not have. Cast it to Int64"),
    ],
)
def test_the_error_of_a_polars_type_unknown_to_arrow_names_the_column(dtype, values, message):
    if not hasattr(pl, dtype):
        pytest.skip(f"this polars has no {dtype}")
    column = pl.Series("b", values, dtype=getattr(pl, dtype))
    for data in (column, pl.DataFrame({"a": [1.0, 2.0], "b": column})):
        with pytest.raises(TypeError, match=f"Column 'b' {message}"):
            as_pandas(data)
    if dtype == "Int128":
        with pytest.raises(TypeError, match=r"Column 'b' has the type List\(Int128\)"):
            as_pandas(pl.DataFrame({"b": [values]}, schema={"b": pl.List(pl.Int128)}))
    named = pl.Series("b", ["Object", "Int128"], dtype=pl.Enum(["Object", "Int128"]))
    assert as_pandas(named).tolist() == ["Object", "Int128"]
