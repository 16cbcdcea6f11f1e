"""One value at a time: what the columns do to arrays, for the few rows of an online request.

A pass through arrays has a price a column, whatever their length. Here a plain value is looked up at once. Whatever is
not plain is left to the arrays' way, which alone knows all types and all errors.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Any

import numpy as np

from sklearn_fsmd.columns import UNKNOWN, CategoryColumn, NumericColumn

FEW_ROWS = 16
"""Up to so many rows this is the faster way."""

EXACT = 2.0**53
LARGEST = float(np.finfo(np.float32).max)


class NotPlainError(Exception):
    """The value has to go through the arrays."""


def code_of(column: CategoryColumn, value: Any) -> int:
    """What :meth:`CategoryColumn.encode` makes of `value`."""
    kind = type(value)
    if value is None:
        return UNKNOWN
    if kind is float:
        if value != value:
            return UNKNOWN
        if not (value.is_integer() and abs(value) < EXACT):
            raise NotPlainError
        value = int(value)
    elif kind is bool:
        value = int(value)
    elif not (kind is str or (kind is int and -(2**63) <= value < 2**63)):
        raise NotPlainError
    if column.kind != ("strings" if kind is str else "numbers"):
        raise NotPlainError
    try:
        return column.values.get_loc(value) + 1
    except KeyError:
        return UNKNOWN


def number_of(column: NumericColumn, value: Any) -> tuple[float, int]:
    """What :meth:`NumericColumn.encode` makes of `value`: the scaled number, and the bin."""
    if value is None:
        return 0.0, UNKNOWN
    if type(value) not in (float, int, bool):
        raise NotPlainError
    if value != value:
        return 0.0, UNKNOWN
    if not -LARGEST <= value <= LARGEST:
        raise NotPlainError
    bin_ = bisect_right(column.edges, value) + 1 if column.n_bins else UNKNOWN
    if column.scaling == "quantile":
        return float(np.interp(value, column.knots, column.ranks)), bin_
    if column.scaling == "standard":
        low, high = column.range
        return (min(max(value, low), high) - column.center) / column.scale, bin_
    return value, bin_
