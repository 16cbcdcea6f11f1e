"""A few rows are encoded by a faster path than many rows; both must give the same result."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from sklearn_fsmd import MultiTaskClassifier
from sklearn_fsmd.encoding.table.encoder import FeatureEncoder
from sklearn_fsmd.encoding.table.single_rows import FEW_ROWS


def make_encoder(**params):
    return FeatureEncoder.from_params(MultiTaskClassifier(**params))


FIT = pd.DataFrame(
    {
        "text": ["a", "b", "c", None] * 10,
        "id": np.array([2**60, 2**60 + 1, 5, 7] * 10),
        "float id": [1.0, 2.0, np.nan, 4.0] * 10,
        "flag": [True, False] * 20,
        "half": [0.5, 1.5, 2.0, 0.5] * 10,
        "level": pd.Categorical(["x", "y", "x", "z"] * 10),
        "binned": pd.cut(np.arange(40), 4),
        "nullable": pd.array([1, 2, None, 3] * 10, dtype="Int64"),
        "empty": pd.Series([None] * 40, dtype=object),
        "mixed": ["a", 1, "b", 2] * 10,
        "number": np.linspace(-3, 3, 40),
        "whole": np.arange(40),
        "gaps": [1.0, np.nan, 3.0, 4.0] * 10,
    }
)
CATEGORIES = list(FIT.columns[:10])
CASES = {
    "known": {},
    "unseen": {"text": "zz", "id": 11, "float id": 9.0, "half": 2.25, "number": 99.0, "whole": -50},
    "an id next to a known one": {"id": 2**60 + 2},
    "missing": {"text": None, "float id": np.nan, "half": np.nan, "number": np.nan, "gaps": None},
    "marked as unknown": {"id": -1, "float id": -2.0},
}


SLOW_PATH_COLUMNS = {"half", "binned", "mixed", "empty"}
"""Columns with values that the fast path does not support in at least one case."""


def encode_as_arrays(encoder, rows):
    return encoder.encode(pd.concat([rows] * (FEW_ROWS + 1)))


@pytest.mark.parametrize("scaling", ["standard", "quantile", None])
@pytest.mark.parametrize("bins", [0, 5])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", FIT.columns)
def test_few_rows_are_encoded_like_many(name, case, bins, scaling, monkeypatch):
    categories = [name] if name in CATEGORIES else []
    encoder = make_encoder(categorical_features=categories, numeric_bins=bins, numeric_scaling=scaling)
    encoder.fit_encode(FIT[[name]])
    row = FIT.iloc[[1]][[name]].copy()
    if name in CASES[case]:
        kept = FIT[name].dtype if name == "text" else None
        row[name] = pd.Series([CASES[case][name]], index=row.index, dtype=kept)
    many = encode_as_arrays(encoder, row)
    if name not in SLOW_PATH_COLUMNS:
        monkeypatch.setattr(FeatureEncoder, "_encode", None)  # the path of many rows must not be used
    for n in (1, 3):
        few = encoder.encode(pd.concat([row] * n))
        np.testing.assert_array_equal(few.codes, many.codes[:n])
        np.testing.assert_array_equal(few.numbers, many.numbers[:n])
        assert few.codes.dtype == many.codes.dtype
        assert few.numbers.dtype == many.numbers.dtype


@pytest.mark.parametrize("numeric", [{}, {"whole": "Int64", "gaps": "Float64"}, {"whole": "int64[pyarrow]"}], ids=str)
def test_a_row_of_several_types_takes_the_fast_path(numeric, monkeypatch):
    """Integer ids stay exact next to fractions, although pandas would convert a row of numbers to floats."""
    frame = FIT.drop(columns=list(SLOW_PATH_COLUMNS)).astype(numeric)
    encoder = make_encoder(categorical_features=[name for name in CATEGORIES if name in frame])
    many = encoder.fit_encode(frame)
    monkeypatch.setattr(FeatureEncoder, "_encode", None)
    monkeypatch.setattr("sklearn_fsmd.encoding.table.encoder.values_of", None)
    for n in (1, 3):
        for start in range(0, 8, n):
            few = encoder.encode(frame.iloc[start : start + n])
            np.testing.assert_array_equal(few.codes, many.codes[start : start + n])
            np.testing.assert_array_equal(few.numbers, many.numbers[start : start + n])


def test_rows_of_numbers_or_of_objects_are_encoded_like_many():
    """pandas converts a row of an integer and a nullable float to floats, in which large ids become equal."""
    numbers = pd.DataFrame({"id": np.array([2**60, 2**60 + 1] * 20), "x": pd.array([0.5, None] * 20, dtype="Float64")})
    objects = pd.DataFrame({"o": np.array([np.float32(0.1), "a"] * 20, dtype=object), "t": ["b", "c"] * 20})
    for frame in (numbers, objects):
        encoder = make_encoder(categorical_features=[0, 1])
        many = encoder.fit_encode(frame)
        assert len(np.unique(many.codes[:, 0])) == 2
        for i in range(2):
            np.testing.assert_array_equal(encoder.encode(frame.iloc[[i]]).codes[0], many.codes[i])


@pytest.mark.parametrize("categories", [[0], []], ids=["category", "number"])
def test_missing_arrow_lists_are_refused_in_single_rows_too(categories):
    encoder = make_encoder(categorical_features=categories)
    encoder.fit_encode(pd.DataFrame({"x": [-2.0, -2.0, np.nan]}))
    lists = pd.DataFrame({"x": pd.array([None, None], dtype=pd.ArrowDtype(pa.list_(pa.int64())))})
    for n in (1, 2, FEW_ROWS + 1):
        with pytest.raises(TypeError, match="each argument must be a single string or number|is read as numbers but"):
            encoder.encode(pd.concat([lists] * n)[:n])


def test_a_row_with_columns_for_the_slow_path_is_encoded_like_many(monkeypatch):
    encoder = make_encoder(categorical_features=CATEGORIES)
    encoder.fit_encode(FIT)
    row = FIT.iloc[[1]]
    few, many = encoder.encode(row), encode_as_arrays(encoder, row)
    np.testing.assert_array_equal(few.codes, many.codes[:1])
    np.testing.assert_array_equal(few.numbers, many.numbers[:1])
    monkeypatch.setattr(FeatureEncoder, "_encode", None)
    with pytest.raises(TypeError, match="not callable"):
        encoder.encode(row)


def test_a_missing_integer_category_next_to_integers():
    # pandas 2.2 cannot convert such a row to one array
    X = pd.DataFrame({"size": pd.Categorical([3, None, 5, 3] * 10), "whole": np.arange(40, dtype=np.int8)})
    encoder = make_encoder()
    encoder.fit_encode(X)
    many = encode_as_arrays(encoder, X)
    few = [encoder.encode(X[i : i + 1]) for i in range(4)]
    np.testing.assert_array_equal(np.concatenate([part.codes for part in few]), many.codes[:4])
    np.testing.assert_array_equal(np.concatenate([part.numbers for part in few]), many.numbers[:4])


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, object])
def test_few_rows_of_arrays_are_encoded_like_many(dtype):
    X = np.random.default_rng(0).integers(0, 9, (50, 4)).astype(dtype)
    encoder = make_encoder(categorical_features=[0, 1])
    encoder.fit_encode(X)
    X[3, 1] = 77
    many = encoder.encode(X)
    few = [encoder.encode(X[i : i + 2]) for i in range(0, 50, 2)]
    np.testing.assert_array_equal(np.concatenate([part.codes for part in few]), many.codes)
    np.testing.assert_array_equal(np.concatenate([part.numbers for part in few]), many.numbers)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("text", 3),
        ("id", "5"),
        ("id", 2.0**60),
        ("id", np.inf),
        ("id", 2**63),
        ("half", 1 + 2j),
        ("number", "three"),
        ("number", np.inf),
        ("number", 1e300),
        ("whole", pd.Timestamp("2024-01-01")),
        ("text", ["a list"]),
    ],
)
def test_one_row_is_refused_with_the_message_for_many(name, value):
    encoder = make_encoder(categorical_features=[name] if name in CATEGORIES else [])
    encoder.fit_encode(FIT[[name]])
    row = pd.DataFrame({name: pd.Series([value])})
    with pytest.raises((ValueError, TypeError)) as many:
        encode_as_arrays(encoder, row)
    with pytest.raises(type(many.value)) as one:
        encoder.encode(row)
    assert str(one.value) == str(many.value)


def test_a_sparse_column_is_refused():
    encoder = make_encoder(categorical_features=CATEGORIES)
    encoder.fit_encode(FIT)
    row = FIT.iloc[[1]].astype({"number": pd.SparseDtype("float64")})
    with pytest.raises(TypeError, match="Sparse data was passed: column 'number'"):
        encoder.encode(row)
