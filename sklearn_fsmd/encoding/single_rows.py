"""One value at a time, for the few rows of an online request.

A pass through arrays has a price per column, whatever their length. Here a plain Python value is looked up at once.
What it is equal to, and whether it is missing, :mod:`~sklearn_fsmd.encoding.canonical` says, as it does for arrays.
Whatever is not plain, or would be refused, is left to the arrays' way.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Any

import numpy as np
import pandas as pd

from sklearn_fsmd.encoding.canonical import LARGEST_FLOAT32, canonical, holds_lists, kind_of
from sklearn_fsmd.encoding.columns import UNKNOWN, CategoryColumn
from sklearn_fsmd.encoding.numeric import NumericColumn

FEW_ROWS = 16
"""Up to so many rows this is the faster way."""
SINGLE_ROWS = 3
"""So few rows of columns of several types are read row by row: a Series takes longer to make than a row to read."""

PLAIN = {type(None), type(pd.NA), bool, int, float, str}


class NeedsArraysError(Exception):
    """The value has to go through the arrays."""


def keeps_values(dtype: Any) -> bool:
    """Whether ``tolist()`` of a column of this type gives its values and all that they say.

    It does not for a float32, whose exactness would be taken for that of a float64, nor for a date, which may become
    an integer.
    """
    if isinstance(dtype, pd.CategoricalDtype):
        dtype = dtype.categories.dtype
    return (dtype.kind in "biuOU" and not holds_lists(dtype)) or (dtype.kind == "f" and dtype.itemsize == 8)


def values_of(column: pd.Series) -> list[Any]:
    """The values of a column; of a list of categories only those that are there are looked at."""
    array = column.array
    if not isinstance(array, pd.Categorical):
        return column.tolist()
    values = [None if code < 0 else array.categories[code] for code in array.codes.tolist()]
    return [value.item() if isinstance(value, np.generic) else value for value in values]


def rows_of(X: pd.DataFrame, dtypes: list[Any]) -> list[list[Any]] | None:
    """What :func:`values_of` says of all columns, row by row; None where pandas would give a row a type of its own."""
    types = [dtype.categories.dtype if isinstance(dtype, pd.CategoricalDtype) else dtype for dtype in dtypes]
    holds_objects = [dtype == np.dtype(object) for dtype in types]  # which are left as they are
    try:
        rows = [X.iloc[i] for i in range(len(X))]
    except ValueError:  # former versions of pandas want an integer for a category of integers that is missing
        return None
    if any(row.dtype != np.dtype(object) for row in rows):
        return None
    return [
        [
            value.item() if isinstance(value, np.generic) and not is_object else value
            for value, is_object in zip(row.array, holds_objects, strict=True)
        ]
        for row in rows
    ]


def code_of(column: CategoryColumn, value: Any) -> int:
    """What :meth:`CategoryColumn.encode` makes of `value`."""
    if type(value) not in PLAIN:
        raise NeedsArraysError
    try:
        form = canonical(value, column.name)
    except (TypeError, ValueError):
        raise NeedsArraysError from None
    if form is None:
        return UNKNOWN
    if column.kind != kind_of(form):
        raise NeedsArraysError
    try:
        return column.values.get_loc(form) + 1  # noqa: PD011 (an attribute of ours)
    except KeyError:
        return UNKNOWN


def codes_of(column: CategoryColumn, values: pd.Series) -> np.ndarray | None:
    """The codes of a few values of a column; None if they have to go through the arrays."""
    if len(values) > FEW_ROWS or not keeps_values(values.dtype):
        return None
    try:
        return np.array([code_of(column, value) for value in values_of(values)], dtype=np.int64)
    except NeedsArraysError:
        return None


def number_of(column: NumericColumn, value: Any) -> tuple[float, int]:
    """What :meth:`NumericColumn.encode` makes of `value`: the scaled number, and the bin."""
    if value is None or value is pd.NA:
        return column.filling, UNKNOWN
    if type(value) not in (float, int, bool):
        raise NeedsArraysError
    if value != value:
        return column.filling, UNKNOWN
    if not -LARGEST_FLOAT32 <= value <= LARGEST_FLOAT32:
        raise NeedsArraysError
    bin_ = bisect_right(column.edges, value) + 1 if column.n_bins else UNKNOWN
    if column.scaling == "quantile":
        return float(np.interp(value, column.knots, column.ranks)), bin_
    if column.scaling == "standard":
        low, high = column.range
        return (min(max(value, low), high) - column.center) / column.scale, bin_
    return value, bin_
