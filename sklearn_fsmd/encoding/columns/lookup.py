"""Lookup of integers from a small range in a table, which is faster than hashing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sklearn_fsmd.encoding.columns.canonical import MISSING_CODES


def look_up(known: pd.Index, column: Any, first: int) -> np.ndarray | None:
    """Look up the codes of a numeric column, ``(n,)`` int32; None if a table cannot be used.

    Parameters
    ----------
    known : the known values; value `i` has the code ``first + i``, unknown values have the code 0.
    column : the values to look up. For other types, infinity, and ids that are not exact, None is returned.
    first : the code of the first known value; missing values have the code before it.
    """
    x = column.to_numpy() if isinstance(column, pd.Series) and isinstance(column.dtype, np.dtype) else column
    if not isinstance(x, np.ndarray) or x.dtype.kind not in "iuf" or x.dtype.itemsize > 8:
        return None
    if not len(known) or known.dtype != np.int64:
        return None
    values = known.to_numpy()
    low = int(values.min())
    span = int(values.max()) - low + 1
    if span > 4 * len(x) or not _is_exact(x):
        return None
    table = np.zeros(span + 1, dtype=np.int32)  # the last element is for values outside the range
    table[values - low] = np.arange(first, first + len(known))
    with np.errstate(invalid="ignore"):  # NaN becomes some integer, which is not equal to it
        whole = x.astype(np.int64)
    position = (whole - low).view(np.uint64)  # negative numbers become very large
    if x.dtype.kind == "f":
        position[whole != x] = span
    codes = table.take(np.minimum(position, np.uint64(span), out=position).view(np.int64))
    if first > 1:
        is_missing = np.isin(x, MISSING_CODES)
        codes[is_missing | np.isnan(x) if x.dtype.kind == "f" else is_missing] = first - 1
    return codes


def _is_exact(x: np.ndarray) -> bool:
    """Whether all numbers are 64-bit integers, or floats so small that neighbouring integers are distinct."""
    if x.dtype.kind == "f":
        return bool(np.fmax.reduce(np.abs(x)) < 2.0 ** (np.finfo(x.dtype).nmant + 1))
    return x.dtype != np.uint64 or bool(x.max() <= np.iinfo(np.int64).max)
