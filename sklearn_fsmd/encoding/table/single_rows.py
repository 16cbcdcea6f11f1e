"""Encoding value by value, for the few rows of an online request.

Encoding arrays has an overhead per column, whatever their length. Here each plain Python value is looked up directly.
:mod:`~sklearn_fsmd.encoding.columns.canonical` defines equality and missing values, as it does for arrays. Values of
other types, and invalid ones, are left to the encoding of arrays.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Any

import numpy as np
import pandas as pd

from sklearn_fsmd.encoding.columns import (
    LARGEST_FLOAT32,
    UNKNOWN,
    CategoryColumn,
    NumericColumn,
    canonical,
    holds_lists,
    kind_of,
)

FEW_ROWS = 16
"""Number of rows up to which this is faster."""
SINGLE_ROWS = 3
"""Number of rows up to which a table of several dtypes is read by row: creating a Series per column takes longer."""

PLAIN = {type(None), type(pd.NA), bool, int, float, str}


class NeedsArraysError(Exception):
    """The value cannot be encoded here, only as an array."""


def keeps_values(dtype: Any) -> bool:
    """Whether ``tolist()`` of a column of this dtype keeps all information.

    It does not for float32, whose precision would be treated as that of float64, and for dates, which may become
    integers.
    """
    if isinstance(dtype, pd.CategoricalDtype):
        dtype = dtype.categories.dtype
    return (dtype.kind in "biuOU" and not holds_lists(dtype)) or (dtype.kind == "f" and dtype.itemsize == 8)


def values_of(column: pd.Series) -> list[Any]:
    """Return the values of a column; for a Categorical, without converting all of its categories."""
    array = column.array
    if not isinstance(array, pd.Categorical):
        return column.tolist()
    values = [None if code < 0 else array.categories[code] for code in array.codes.tolist()]
    return [value.item() if isinstance(value, np.generic) else value for value in values]


def rows_of(X: pd.DataFrame, dtypes: list[Any]) -> list[list[Any]] | None:
    """Return :func:`values_of` of all columns, row by row; None if pandas would convert the values of a row."""
    types = [dtype.categories.dtype if isinstance(dtype, pd.CategoricalDtype) else dtype for dtype in dtypes]
    holds_objects = [dtype == np.dtype(object) for dtype in types]  # these values are not converted
    try:
        rows = [X.iloc[i] for i in range(len(X))]
    except ValueError:  # earlier versions of pandas fail for a missing category of integers
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
    """Encode `value` as :meth:`CategoryColumn.encode` does."""
    if type(value) not in PLAIN:
        raise NeedsArraysError
    try:
        form = canonical(value, column.name)
    except (TypeError, ValueError):
        raise NeedsArraysError from None
    if form is None:
        return column.missing
    if column.kind != kind_of(form):
        raise NeedsArraysError
    try:
        return column.values.get_loc(form) + column.first  # noqa: PD011 (an attribute of ours)
    except KeyError:
        return UNKNOWN


def codes_of(column: CategoryColumn, values: pd.Series) -> np.ndarray | None:
    """Encode a few values of a column; None if they must be encoded as an array."""
    if len(values) > FEW_ROWS or not keeps_values(values.dtype):
        return None
    try:
        return np.array([code_of(column, value) for value in values_of(values)], dtype=np.int64)
    except NeedsArraysError:
        return None


def number_of(column: NumericColumn, value: Any) -> tuple[float, int]:
    """Encode `value` as :meth:`NumericColumn.encode` does: return the scaled number and the bin."""
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
