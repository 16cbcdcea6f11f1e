"""Random columns and tables: values of every kind, in every type and container that can hold them."""

import datetime
import enum
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa

NAN = float("nan")


class Colour(str, enum.Enum):  # noqa: UP042 (its str() is not its value)
    RED = "red"


class Level(enum.IntEnum):
    TOP = 3


POOLS = {
    "flags": [True, False],
    "small integers": [0, 1, 2, 3, 7],
    "negative integers": [-3, 0, 5, -128],
    "large ids": [2**53 - 1, 2**53, 2**53 + 1, 2**60, 2**60 + 1, 2**63 - 1, -(2**63)],
    "whole floats": [0.0, -0.0, 1.0, 7.0, 2.0**24 - 1],
    "fractions": [0.1, 0.5, -2.5, 1e-30, 123456.789],
    "large floats": [2.0**24, 2.0**53, 1e30, 3.4e38],
    "strings": ["a", "b", "", "1", "True", "nan", "-1", "12:30:00", "(0, 1]", "ä\N{SNOWMAN}", "a" * 40],
    "invalid Unicode": ["a", "\ud800", "x\udc80"],
    "bytes": [b"a", b"b", b"", b"\xff"],
    "decimals": [Decimal("1"), Decimal("0.50"), Decimal("2.25"), Decimal("-1")],
    "times": [datetime.time(12, 30), datetime.time(0, 0, 1)],
    "intervals": [pd.Interval(0, 1), pd.Interval(1, 2)],
    "tuples": [(1, 2), (1, 3), ("a",)],
    "numpy scalars": [np.int8(3), np.float64(0.5), np.bool_(True), np.str_("a"), np.uint64(7), np.float32(0.25)],
    "enums": [Colour.RED, Level.TOP],
    "rationals": [Fraction(1, 2), Fraction(1, 3), Fraction(4, 2)],
    "refused": [
        [1, 2],
        {"a": 1},
        datetime.date(2024, 1, 1),
        datetime.datetime(2024, 1, 1),
        datetime.timedelta(1),
        pd.Period("2024"),
        1 + 2j,
        float("inf"),
        2**64,
        Decimal("0.12345678901234567890"),
        np.longdouble(0.5),
        object(),
    ],
    "missing": [None, NAN, pd.NA, pd.NaT, -1, -2, -1.0, Decimal("NaN"), np.float32("nan")],
}

DTYPES = [
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "float32", "float64", "longdouble", "complex128", "object", "object", "object"),
    *("str", "string[python]", "string[pyarrow]", "category", "category"),
    *("Int8", "Int64", "UInt64", "Float32", "Float64", "boolean"),
    *("bool[pyarrow]", "int64[pyarrow]", "uint8[pyarrow]", "float[pyarrow]", "double[pyarrow]", "binary[pyarrow]"),
    *("decimal", "dictionary", "list", "time", "timestamp", "large string", "null"),
    *("datetime64[ns]", "timedelta64[s]", "period[D]", "Sparse[int]", "bytes"),
]
"""Types of random columns; the words of ARROW are types of Arrow."""

ARROW = {
    "decimal": pa.decimal128(30, 4),
    "dictionary": pa.dictionary(pa.int32(), pa.string()),
    "list": pa.list_(pa.int64()),
    "time": pa.time64("us"),
    "timestamp": pa.timestamp("us"),
    "large string": pa.large_string(),
    "null": pa.null(),
}
CONTAINERS = ["frame", "frame", "array", "arrow", "polars"]


def values_of(random, n):
    """Values of one or two pools, possibly with missing values."""
    names = list(random.choice(list(POOLS), size=random.choice([1, 1, 2])))
    pool = [value for name in names for value in POOLS[name]]
    size = random.randint(1, min(len(pool), 5) + 1)
    chosen = [pool[i] for i in random.choice(len(pool), size, replace=False)]
    if random.uniform() < 0.5:
        chosen += [POOLS["missing"][random.randint(len(POOLS["missing"]))]]
    return [chosen[i] for i in random.randint(len(chosen), size=n)]


REFUSALS = (TypeError, ValueError, OverflowError, IndexError, NotImplementedError, pa.ArrowException)
"""Errors of pandas and Arrow if a type cannot hold the values."""


def series_of(values, dtype):
    """A column; None if the type cannot hold the values."""
    try:
        column = _make_series(values, dtype)
        list(column)  # Arrow accepts integers as times, even if they are no valid times
    except REFUSALS:
        return None
    return column


def _make_series(values, dtype):
    if dtype in ARROW:
        plain = [None if _is_missing(value) else value for value in values]
        return pd.Series(pd.arrays.ArrowExtensionArray(pa.array(plain, ARROW[dtype])))
    if dtype == "bytes":
        return pd.Series(np.array(values, dtype="S"))
    if dtype == "longdouble":
        return pd.Series(np.array(values, dtype=np.longdouble))
    if dtype == "category":
        return pd.Series(pd.Categorical(pd.Series(values, dtype=object)))
    return pd.Series(values, dtype=dtype)


def _is_missing(value):
    return value is None or value is pd.NA or value is pd.NaT or value != value


def column_of(random, n, dtype=None):
    """Any column of `n` rows, of a type that can hold its values."""
    while True:
        column = series_of(values_of(random, n), dtype or DTYPES[random.randint(len(DTYPES))])
        if column is not None:
            return column
        dtype = dtype if random.uniform() < 0.9 else None


def table_of(columns, container):
    """Columns in a container; None if it cannot hold them."""
    frame = pd.DataFrame({f"c{i}": column for i, column in enumerate(columns)})
    try:
        if container == "array":
            return frame.to_numpy()
        if container in ("arrow", "polars"):
            table = pa.table({name: pa.array(frame[name], from_pandas=True) for name in frame})
            return table if container == "arrow" else pl.DataFrame(table)
    except (*REFUSALS, pl.exceptions.PolarsError):
        return None
    except BaseException as error:  # polars panics with its own exception if it has no type for the values
        if type(error).__name__ != "PanicException":
            raise
        return None
    return frame


def scalars(column):
    """The values of a column one by one, each in its original type."""
    if isinstance(column, np.ndarray):
        return list(column)
    if isinstance(column.dtype, pd.CategoricalDtype):
        levels = [*scalars(pd.Series(column.cat.categories)), None]
        return [levels[code] for code in column.cat.codes]
    if (
        getattr(column.dtype, "kind", "") == "f"
        and column.dtype.itemsize < 8
        and not isinstance(column.dtype, np.dtype)
    ):
        return [None if pd.isna(value) else np.dtype(f"f{column.dtype.itemsize}").type(value) for value in column]
    if isinstance(column.dtype, np.dtype):
        return list(column.to_numpy())
    return list(column)
