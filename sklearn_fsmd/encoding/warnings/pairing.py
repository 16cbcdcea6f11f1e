"""Warnings of mistakes in how X and Y were put together, with which a model would train without an error."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from sklearn_fsmd.encoding.columns import columns_of_x, shown
from sklearn_fsmd.encoding.targets import Targets
from sklearn_fsmd.encoding.warnings.signs import N_ROWS
from sklearn_fsmd.parameters import warn

FEW_LABELS = 8
"""Empty values that coincide with fewer labels of a class may do so by chance."""
CHANCE = 1e-6
"""If a column is empty in some of the rows in which a target has happened, chance must be less likely than this."""


def warn_of_order(X: Any, Y: Any, names: tuple[str, str] = ("X", "Y")) -> None:
    """Warn if the indexes of X and Y hold the same labels in different orders, or share half of them.

    Rows are paired by position, as everywhere in scikit-learn. Indexes with other labels, or with duplicates, do not
    show whether that is right. If they only share labels, there is no warning if these are in the same order, since Y
    may be the next row's, or if an index just counts the rows.

    Parameters
    ----------
    X, Y : as the user passed them, since converted tables have new indexes.
    names : the names of X and Y in the message.
    """
    if not all(isinstance(table, (pd.DataFrame, pd.Series)) for table in (X, Y)):
        return
    x_index, y_index = X.index, Y.index
    if x_index.equals(y_index) or len(x_index) != len(y_index) or x_index.nlevels != y_index.nlevels:
        return
    if not (x_index.is_unique and y_index.is_unique):
        return
    try:
        positions = x_index.get_indexer(y_index)
    except (TypeError, ValueError, pd.errors.InvalidIndexError):  # such as overlapping intervals
        return
    shared, (x, y) = positions >= 0, names
    if not shared.any():
        return
    row = int((positions != np.arange(len(positions))).argmax())
    rows = f"row {row} is {shown(x_index[row])} in {x} and {shown(y_index[row])} in {y}. Rows are paired by position."
    if_paired = f"if they are paired already, {y}.set_axis({x}.index), and this warning is gone."
    if shared.all():
        warn(
            f"The indexes of {x} and {y} hold the same labels in different orders: {rows} To pair them by label, pass "
            f"{y}.loc[{x}.index]; {if_paired}"
        )
    elif shared.mean() >= 0.5 and (np.diff(positions[shared]) < 0).any() and not _count(x_index, y_index):
        warn(
            f"The indexes of {x} and {y} share {shared.sum():,} of {len(shared):,} labels, in different orders: {rows} "
            f"To pair them by label, pass the rows of both in the order of labels = "
            f"{x}.index.intersection({y}.index); {if_paired}"
        )


def _count(*indexes: pd.Index) -> bool:
    """Whether one of the indexes counts the rows, as that of a table made of an array does."""
    return any(index.equals(pd.RangeIndex(len(index))) for index in indexes)


def warn_of_orders(**columns: Any) -> None:
    """Warn if the index of one of these named tables has the labels of the first table in another order."""
    (first, table), *others = columns.items()
    for name, other in others:
        warn_of_order(table, other, names=(first, name))


def warn_of_target_columns(X: Any, Y: Any) -> None:
    """Warn of columns of X that have the name of a column of Y.

    Names that are numbers are ignored: tables that were created from arrays number their columns.
    """
    if not isinstance(X, pd.DataFrame):
        return
    names = list(Y.columns) if isinstance(Y, pd.DataFrame) else [getattr(Y, "name", None)]
    if both := [name for name in X if isinstance(name, str) and name in names]:
        warn(
            f"{columns_of_x(both)}: the name of a target. If "
            f"it is the target, X contains the answer, which new rows do not have: X.drop(columns={both})."
        )


def warn_of_leaking_columns(X: Any, targets: Targets, names: Sequence[str]) -> None:
    """Warn of columns of X that are known, or not 0, only where a target has happened, as the revenue of a purchase is.

    Parameters
    ----------
    X : DataFrame; anything else is ignored.
    targets : the targets of the rows of X.
    names : the names of the targets; columns with such a name are left to :func:`warn_of_target_columns`.
    """
    if not isinstance(X, pd.DataFrame):
        return
    inspected = X.iloc[:N_ROWS]
    masks = {column: (_is_empty(values), bool(values.isna().any())) for column, values in inspected.items()}
    masks = {column: mask for column, mask in masks.items() if mask[0].any() and column not in names}
    found: dict[Any, tuple[float, str]] = {}  # for each column the target that most of its values go with
    for k, name in enumerate(names if masks else ()):
        is_observed = targets.full_weights[:N_ROWS, k] > 0
        has_happened = targets.labels[:N_ROWS, k][is_observed] != 0
        n_events, n = int(has_happened.sum()), len(has_happened)
        if not FEW_LABELS <= n_events <= n - FEW_LABELS:
            continue
        for column, (is_empty, has_missing) in masks.items():
            is_known = ~is_empty[is_observed]
            n_known, share = int(is_known.sum()), is_known.sum() / n_events
            by_chance = share < 1 and n_known * math.log(n_events / n) > math.log(CHANCE)
            if (is_known & ~has_happened).any() or n_known < FEW_LABELS or share < 0.5 or by_chance:
                continue
            known, empty = ("known", "missing") if has_missing else ("not 0", "0")
            where = f"is {known} where {name!r} has happened, and {empty} everywhere else"
            if share < 1:
                some = f"{n_known:,} of the {n_events:,} rows"
                where = f"is {known} in {some} where {name!r} has happened, and nowhere else"
            found[column] = max(found.get(column, (0.0, "")), (share, where))
    for column, (_, where) in found.items():
        warn(
            f"Column {column!r} of X {where}. So it contains the answer, which new rows do not have: "
            f"X.drop(columns={[column]}). To predict it, put it into Y, and name it in `value_targets`."
        )


def _is_empty(values: pd.Series) -> np.ndarray:
    """Which values are missing or, of a column of numbers without missing values, 0; False is a value of a flag."""
    is_missing, dtype = values.isna().to_numpy(), values.dtype
    if is_missing.any() or not pd.api.types.is_numeric_dtype(dtype) or pd.api.types.is_bool_dtype(dtype):
        return is_missing
    return (values == 0).to_numpy(dtype=bool)
