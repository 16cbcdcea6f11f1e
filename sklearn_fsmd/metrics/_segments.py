"""What tells rows apart: a column of X or an array beside it, and the names of the segments that it makes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from sklearn_fsmd.encoding import as_pandas, warn_of_order
from sklearn_fsmd.metrics._inputs import as_column


def column_named(X: Any, given: Any, parameter: str) -> Any:
    """The column of X that `given` names, also as a list of one, or `given` itself: something of each row.

    Raises
    ------
    ValueError
        If X has no such column, or `given` is a single number or a list of several names.
    """
    if isinstance(given, (list, tuple)) and len(given) == 1 and isinstance(given[0], str):
        given = given[0]
    table = as_pandas(X)
    columns = list(table.columns) if isinstance(table, pd.DataFrame) else []
    if not np.isscalar(given):
        are_names = isinstance(given, (list, tuple)) and all(isinstance(x, str) and x in columns for x in given)
        if are_names and 0 < len(given) != len(table):
            raise ValueError(f"`{parameter}` takes one column, and {list(given)} are {len(given)}. Call it for each.")
        warn_of_order(X, given, names=("X", parameter))
        return given
    if given in columns:
        return table[given]
    known = columns or "no names"
    raise ValueError(f"`{parameter}` names {given!r}, and X has {known}. Of what X does not hold give an array.")


def cuts_of(by: Any, X: Any) -> dict[str, Any]:
    """What `by` cuts X by, under its name; "" is the name of a single cut that has none.

    Parameters
    ----------
    by : None, the name of a column or a column, several names, or a dict of either.
    """
    if isinstance(by, (list, tuple)) and 1 < len(by) != len(X) and all(isinstance(name, str) for name in by):
        by = {name: name for name in by}
    cuts = by if isinstance(by, Mapping) else {} if by is None else {"": by}
    parameter = "by[{!r}]" if isinstance(by, Mapping) else "by"
    return {name: column_named(X, cut, parameter.format(name)) for name, cut in cuts.items()}


def sizes_of(names: pd.Series) -> pd.Series:
    """How many rows each segment has, the largest first; of equally large ones the one that comes first."""
    return names.value_counts(sort=False).sort_values(ascending=False, kind="stable")


def segments_by_name(by: Any) -> pd.Series:
    """For each row the name of its segment; that of a missing value is "missing".

    Raises
    ------
    ValueError
        If two values have one name, such as 1 and "1", or None and "missing".
    """
    values = pd.Series(as_column(by, "by"), dtype=object)
    names = values.where(values.notna(), "missing").astype(str)
    try:
        numbers, _ = pd.factorize(values)
    except TypeError:  # lists have no hash
        numbers, _ = pd.factorize(values.map(repr))
    of_names = pd.DataFrame({"name": names, "number": numbers}).drop_duplicates()
    if (twice := of_names["name"].duplicated()).any():
        name = of_names["name"][twice].iloc[0]
        one, other = (values[row] for row in of_names.index[of_names["name"] == name][:2])
        raise ValueError(f"`by` holds {one!r} and {other!r}, which would be one segment {name!r}. Rename one of them.")
    return names
