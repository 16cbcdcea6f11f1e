"""Integers that lie close together are looked up in a table, which is faster than hashing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd


def look_up(known: pd.Index, column: Any) -> np.ndarray | None:
    """The codes of a numeric column, ``(n,)`` int32; None where a table is not the way.

    Parameters
    ----------
    known : the known values; value `i` has the code ``i + 1``, and what is not known the code 0.
    column : what hashing has to look at (other types, infinity, ids that are not exact) gets None.
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
    table = np.zeros(span + 1, dtype=np.int32)  # its last position is for what lies outside
    table[values - low] = np.arange(1, len(known) + 1)
    with np.errstate(invalid="ignore"):  # a missing number becomes some integer, which is not equal to it
        whole = x.astype(np.int64)
    position = (whole - low).view(np.uint64)  # what lies below is far above then
    if x.dtype.kind == "f":
        position[whole != x] = span
    return table.take(np.minimum(position, np.uint64(span), out=position).view(np.int64))


def _is_exact(x: np.ndarray) -> bool:
    """Whether all numbers that are there are integers of 64 bits, or close enough to 0 to be told from neighbours."""
    if x.dtype.kind == "f":
        return bool(np.fmax.reduce(np.abs(x)) < 2.0 ** (np.finfo(x.dtype).nmant + 1))
    return x.dtype != np.uint64 or bool(x.max() <= np.iinfo(np.int64).max)
