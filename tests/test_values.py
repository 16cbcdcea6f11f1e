"""A few rows go another way than many; both must say the same."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from sklearn_fsmd import MultiTaskClassifier
from sklearn_fsmd.encoding.single_rows import FEW_ROWS
from sklearn_fsmd.encoding.table_encoder import FeatureEncoder


def encoder(**params):
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
    "an id beside a known one": {"id": 2**60 + 2},
    "missing": {"text": None, "float id": np.nan, "half": np.nan, "number": np.nan, "gaps": None},
    "marked as unknown": {"id": -1, "float id": -2.0},
}


LEFT_TO_THE_ARRAYS = {"half", "binned", "mixed", "empty"}
"""Columns that hold what is not plain in some case."""


def through_arrays(made, rows):
    return made.encode(pd.concat([rows] * (FEW_ROWS + 1)))


@pytest.mark.parametrize("scaling", ["standard", "quantile", None])
@pytest.mark.parametrize("bins", [0, 5])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", FIT.columns)
def test_as_the_arrays_say(name, case, bins, scaling, monkeypatch):
    categories = [name] if name in CATEGORIES else []
    made = encoder(categorical_features=categories, numeric_bins=bins, numeric_scaling=scaling)
    made.fit_encode(FIT[[name]])
    row = FIT.iloc[[1]][[name]].copy()
    if name in CASES[case]:
        kept = FIT[name].dtype if name == "text" else None
        row[name] = pd.Series([CASES[case][name]], index=row.index, dtype=kept)
    many = through_arrays(made, row)
    if name not in LEFT_TO_THE_ARRAYS:
        monkeypatch.setattr(FeatureEncoder, "_encode", None)  # the arrays' way is closed
    for n in (1, 3):
        few = made.encode(pd.concat([row] * n))
        np.testing.assert_array_equal(few.codes, many.codes[:n])
        np.testing.assert_array_equal(few.numbers, many.numbers[:n])
        assert few.codes.dtype == many.codes.dtype
        assert few.numbers.dtype == many.numbers.dtype


@pytest.mark.parametrize("numeric", [{}, {"whole": "Int64", "gaps": "Float64"}, {"whole": "int64[pyarrow]"}], ids=str)
def test_a_row_of_several_types_is_read_at_once(numeric, monkeypatch):
    """An integer id and the half beside it stay what they are, whatever pandas would make of a row of numbers alone."""
    frame = FIT.drop(columns=list(LEFT_TO_THE_ARRAYS)).astype(numeric)
    made = encoder(categorical_features=[name for name in CATEGORIES if name in frame])
    many = made.fit_encode(frame)
    monkeypatch.setattr(FeatureEncoder, "_encode", None)
    monkeypatch.setattr("sklearn_fsmd.encoding.table_encoder.values_of", None)
    for n in (1, 3):
        for start in range(0, 8, n):
            few = made.encode(frame.iloc[start : start + n])
            np.testing.assert_array_equal(few.codes, many.codes[start : start + n])
            np.testing.assert_array_equal(few.numbers, many.numbers[start : start + n])


def test_rows_of_numbers_alone_and_of_objects_are_what_they_are_among_others():
    """Of an integer and a nullable float pandas makes a row of floats, in which large ids are one."""
    numbers = pd.DataFrame({"id": np.array([2**60, 2**60 + 1] * 20), "x": pd.array([0.5, None] * 20, dtype="Float64")})
    objects = pd.DataFrame({"o": np.array([np.float32(0.1), "a"] * 20, dtype=object), "t": ["b", "c"] * 20})
    for frame in (numbers, objects):
        made = encoder(categorical_features=[0, 1])
        many = made.fit_encode(frame)
        assert len(np.unique(many.codes[:, 0])) == 2
        for i in range(2):
            np.testing.assert_array_equal(made.encode(frame.iloc[[i]]).codes[0], many.codes[i])


@pytest.mark.parametrize("categories", [[0], []], ids=["category", "number"])
def test_lists_of_arrow_are_refused_alone_too_though_all_are_missing(categories):
    made = encoder(categorical_features=categories)
    made.fit_encode(pd.DataFrame({"x": [-2.0, -2.0, np.nan]}))
    lists = pd.DataFrame({"x": pd.array([None, None], dtype=pd.ArrowDtype(pa.list_(pa.int64())))})
    for n in (1, 2, FEW_ROWS + 1):
        with pytest.raises(TypeError, match="each argument must be a single string or number|is read as numbers but"):
            made.encode(pd.concat([lists] * n)[:n])


def test_one_column_that_is_not_plain_takes_the_row_to_the_arrays():
    made = encoder(categorical_features=CATEGORIES)
    made.fit_encode(FIT)
    row = FIT.iloc[[1]]
    few, many = made.encode(row), through_arrays(made, row)
    np.testing.assert_array_equal(few.codes, many.codes[:1])
    np.testing.assert_array_equal(few.numbers, many.numbers[:1])


def test_a_category_of_integers_that_is_missing_among_integers():
    # pandas 2.2 refuses to make a row of it
    X = pd.DataFrame({"size": pd.Categorical([3, None, 5, 3] * 10), "whole": np.arange(40, dtype=np.int8)})
    made = encoder()
    made.fit_encode(X)
    many = through_arrays(made, X)
    few = [made.encode(X[i : i + 1]) for i in range(4)]
    np.testing.assert_array_equal(np.concatenate([part.codes for part in few]), many.codes[:4])
    np.testing.assert_array_equal(np.concatenate([part.numbers for part in few]), many.numbers[:4])


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, object])
def test_arrays(dtype):
    X = np.random.default_rng(0).integers(0, 9, (50, 4)).astype(dtype)
    made = encoder(categorical_features=[0, 1])
    made.fit_encode(X)
    X[3, 1] = 77
    many = made.encode(X)
    few = [made.encode(X[i : i + 2]) for i in range(0, 50, 2)]
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
def test_one_row_is_refused_as_many_are(name, value):
    made = encoder(categorical_features=[name] if name in CATEGORIES else [])
    made.fit_encode(FIT[[name]])
    row = pd.DataFrame({name: pd.Series([value])})
    with pytest.raises((ValueError, TypeError)) as many:
        through_arrays(made, row)
    with pytest.raises(type(many.value)) as one:
        made.encode(row)
    assert str(one.value) == str(many.value)


def test_a_sparse_column_is_refused():
    made = encoder(categorical_features=CATEGORIES)
    made.fit_encode(FIT)
    row = FIT.iloc[[1]].astype({"number": pd.SparseDtype("float64")})
    with pytest.raises(TypeError, match="Sparse data was passed: column 'number'"):
        made.encode(row)
