"""Segments of rows by a column of X or by another array, and their names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from sklearn_fsmd.encoding.table import as_pandas
from sklearn_fsmd.encoding.warnings import warn_of_order
from sklearn_fsmd.metrics._inputs import as_column


def column_named(X: Any, column: Any, parameter: str) -> Any:
    """The column of X with the name `column`, or `column` itself if it is an array with a value per row.

    Parameters
    ----------
    X : the table.
    column : a name, a list with one name, or an array.
    parameter : name of the parameter in messages.

    Raises
    ------
    ValueError
        If X has no such column, or `column` is a single number or a list of several names.
    """
    if isinstance(column, (list, tuple)) and len(column) == 1 and isinstance(column[0], str):
        column = column[0]
    table = as_pandas(X)
    columns = list(table.columns) if isinstance(table, pd.DataFrame) else []
    if not np.isscalar(column):
        are_names = isinstance(column, (list, tuple)) and all(isinstance(x, str) and x in columns for x in column)
        if are_names and 0 < len(column) != len(table):
            raise ValueError(f"`{parameter}` takes one column, and {list(column)} are {len(column)}. Call it for each.")
        warn_of_order(X, column, names=("X", parameter))
        return column
    if column in columns:
        return table[column]
    known = columns or "no names"
    raise ValueError(f"`{parameter}` names {column!r}, and X has {known}. Pass an array for values that X lacks.")


def cuts_of(by: Any, X: Any) -> dict[str, Any]:
    """The columns by which X is cut into segments, by name; the name of a single unnamed cut is "".

    Parameters
    ----------
    by : None, the name of a column, an array, several names, or a dict of names and arrays.
    """
    if isinstance(by, (list, tuple)) and 1 < len(by) != len(X) and all(isinstance(name, str) for name in by):
        by = {name: name for name in by}
    cuts = by if isinstance(by, Mapping) else {} if by is None else {"": by}
    parameter = "by[{!r}]" if isinstance(by, Mapping) else "by"
    return {name: column_named(X, cut, parameter.format(name)) for name, cut in cuts.items()}


def sizes_of(names: pd.Series) -> pd.Series:
    """Number of rows of each segment, the largest first; segments of equal size in the order of their first rows."""
    return names.value_counts(sort=False).sort_values(ascending=False, kind="stable")


def segments_by_name(by: Any) -> pd.Series:
    """For each row the name of its segment; missing values are the segment "missing".

    Raises
    ------
    ValueError
        If two values have the same name, such as 1 and "1", or None and "missing".
    """
    values = pd.Series(as_column(by, "by"), dtype=object)
    names = values.where(values.notna(), "missing").astype(str)
    try:
        numbers, _ = pd.factorize(values)
    except TypeError:  # lists have no hash
        numbers, _ = pd.factorize(values.map(repr))
    segments = pd.DataFrame({"name": names, "number": numbers}).drop_duplicates()
    if (is_repeated := segments["name"].duplicated()).any():
        name = segments["name"][is_repeated].iloc[0]
        one, other = (values[row] for row in segments.index[segments["name"] == name][:2])
        raise ValueError(f"`by` holds {one!r} and {other!r}, which would be one segment {name!r}. Rename one of them.")
    return names
