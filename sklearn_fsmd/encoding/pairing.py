"""Mistakes in how X and Y were put together, which a model learns from without a word."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from sklearn_fsmd.encoding.canonical import columns_of_x, shown
from sklearn_fsmd.encoding.ids import N_ROWS
from sklearn_fsmd.encoding.targets import Targets
from sklearn_fsmd.parameters import warn

FEW_LABELS = 30
"""Gaps that go with fewer labels of a kind may do so by chance."""


def warn_of_order(X: Any, Y: Any, names: tuple[str, str] = ("X", "Y")) -> None:
    """Warn if the indexes of X and Y hold the same labels in different orders.

    Rows are paired by position, as everywhere in scikit-learn. Indexes with other labels, or with one label twice, say
    nothing of that.

    Parameters
    ----------
    X, Y : as the user passed them: tables that have been converted have new indexes.
    names : of X and Y in the message.
    """
    if not all(isinstance(table, (pd.DataFrame, pd.Series)) for table in (X, Y)):
        return
    of_x, of_y = X.index, Y.index
    if of_x.equals(of_y) or len(of_x) != len(of_y) or of_x.nlevels != of_y.nlevels:
        return
    if not (of_x.is_unique and of_y.is_unique):
        return
    try:
        places = of_x.get_indexer(of_y)
    except (TypeError, ValueError, pd.errors.InvalidIndexError):  # such as of intervals that overlap
        return
    if (places >= 0).all():
        row, (x, y) = int((places != np.arange(len(places))).argmax()), names
        warn(
            f"The indexes of {x} and {y} hold the same labels in different orders: row {row} is {shown(of_x[row])} in "
            f"{x} and {shown(of_y[row])} in {y}. Rows are paired by position. To pair them by label, pass "
            f"{y}.loc[{x}.index]; if they are paired already, {y}.set_axis({x}.index), and this warning is gone."
        )


def warn_of_orders(**columns: Any) -> None:
    """Warn if the index of one of these tables, by name, holds the labels of the first one's in another order."""
    (first, table), *others = columns.items()
    for name, other in others:
        warn_of_order(table, other, names=(first, name))


def warn_of_answers(X: Any, Y: Any) -> None:
    """Warn of columns of X that have the name of a column of Y.

    Numbers are no names: tables that were made of arrays count their columns.
    """
    if not isinstance(X, pd.DataFrame):
        return
    names = list(Y.columns) if isinstance(Y, pd.DataFrame) else [getattr(Y, "name", None)]
    if both := [name for name in X if isinstance(name, str) and name in names]:
        warn(
            f"{columns_of_x(both)}: the name of a target. If "
            f"it is the target, the model is told the answer, which new rows do not have: X.drop(columns={both})."
        )


def warn_of_gaps(X: Any, targets: Targets, names: Sequence[str]) -> None:
    """Warn of columns of X that are known where a target has happened, and nowhere else: what a purchase brought.

    Parameters
    ----------
    X : DataFrame, or something else, which is left alone.
    targets : of the rows of X.
    names : of the targets.
    """
    if not isinstance(X, pd.DataFrame):
        return
    looked_at = X.iloc[:N_ROWS]
    gaps = {column: is_missing.to_numpy() for column, is_missing in looked_at.isna().items() if is_missing.any()}
    for k, name in enumerate(names if gaps else ()):
        is_observed = targets.full_weights[:N_ROWS, k] > 0
        has_not_happened = targets.labels[:N_ROWS, k][is_observed] == 0
        if not FEW_LABELS <= has_not_happened.sum() <= len(has_not_happened) - FEW_LABELS:
            continue
        for column, is_missing in gaps.items():
            if (is_missing[is_observed] == has_not_happened).all():
                warn(
                    f"Column {column!r} of X is known where {name!r} has happened, and missing everywhere else. So it "
                    f"tells the model the answer, which new rows do not have: X.drop(columns={[column]}). To predict "
                    "it, put it into Y, and name it in `value_targets`."
                )
