"""The lookup table gives the same codes as hashing, and leaves other types to hashing."""

import numpy as np
import pandas as pd
import pytest

from sklearn_fsmd.encoding.columns import category as columns
from sklearn_fsmd.encoding.columns.category import CategoryColumn
from sklearn_fsmd.encoding.columns.lookup import look_up
from sklearn_fsmd.encoding.table.encoder import BLOCK, FeatureEncoder

EXTREMES = [-(2**63), -(2**63) + 1, -3, -2, -1, 0, 1, 4, 5, 6, 7, 8, 2**31, 2**62, 2**63 - 1]
DTYPES = ["int8", "uint8", "int16", "int32", "uint32", "int64", "uint64", "float32", "float64"]


def encode_by_hashing(column, x, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(columns, "look_up", lambda *_: None)
        return column.encode(x)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "known", [[5, 6, 8], [-7, 0, 7], [2**63 - 1], [2**63 - 3, 2**63 - 1], [-(2**63), -(2**63) + 2]]
)
@pytest.mark.parametrize("first", [1, 2])
def test_the_table_gives_the_codes_of_hashing(dtype, known, first, monkeypatch):
    column = CategoryColumn("id", knows_missing=True)
    column.fit_encode(pd.Series([*known, *[None] * (first - 1)], dtype=object))
    assert column.first == first
    limits = np.iinfo(dtype) if np.dtype(dtype).kind in "iu" else None
    fitting = [v for v in EXTREMES if limits.min <= v <= limits.max] if limits else [v for v in EXTREMES if abs(v) < 99]
    x = np.array(fitting + [np.nan, 5.5, -0.0, 6.000001] * (limits is None), dtype=dtype)
    for given in (x, pd.Series(x), x[::-2]):
        codes = look_up(column.values, given, first)
        assert codes is not None
        np.testing.assert_array_equal(codes, encode_by_hashing(column, given, monkeypatch))


@pytest.mark.parametrize(
    "x",
    [
        np.array([np.inf, 1.0]),
        np.array([2.0**53, 1.0]),
        np.array([2.0**24, 1.0], dtype=np.float32),
        np.array([2**63, 1], dtype=np.uint64),
        np.array(["1", "2"]),
        np.array([1, 2], dtype=object),
        pd.Series([1, 2], dtype="Int64"),
        pd.Series([1, 2], dtype="category"),
        np.array([True, False]),
        np.array([np.nan, np.nan]),
    ],
    ids=str,
)
def test_cases_that_are_left_to_hashing(x):
    assert look_up(pd.Index([1, 2]), x, 1) is None


def test_values_far_apart_or_of_other_types_do_not_use_a_table():
    assert look_up(pd.Index([1, 10**12]), np.arange(10), 1) is None
    assert look_up(pd.Index(["a"]), np.arange(10), 1) is None
    assert look_up(pd.Index([0.5, 1.5]), np.arange(10), 1) is None
    assert look_up(pd.Index([], dtype=np.int64), np.arange(10), 1) is None


def test_encoding_an_array_in_blocks_equals_encoding_it_at_once(rng, monkeypatch):
    n = BLOCK + 5
    X = np.column_stack([rng.randint(50, size=(n, 3)), rng.normal(size=(n, 2))])
    encoder = FeatureEncoder(
        [True, True, True, False, False], numeric_scaling="standard", numeric_bins=8, min_frequency=1
    )
    fitted = encoder.fit_encode(X)
    encoded = encoder.encode(X)
    for name in ("codes", "numbers"):
        assert getattr(encoded, name).flags["C_CONTIGUOUS"]
        np.testing.assert_array_equal(getattr(encoded, name), getattr(fitted, name))
