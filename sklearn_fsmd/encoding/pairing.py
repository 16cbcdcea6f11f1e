"""Mistakes in how X and Y were put together, which a model learns from without a word."""

from __future__ import annotations

from typing import Any

import pandas as pd
from sklearn.utils.validation import check_consistent_length

from sklearn_fsmd.encoding.canonical import shown
from sklearn_fsmd.runtime import warn


def check_paired(X: Any, Y: Any) -> None:
    """Raise if X and Y have different numbers of rows, and warn if their indexes say that the rows are not the same.

    Rows are paired by position, as everywhere in scikit-learn.

    Raises
    ------
    ValueError
        If the numbers of rows differ.
    """
    check_consistent_length(X, Y)
    if not (isinstance(X, pd.DataFrame) and isinstance(Y, (pd.DataFrame, pd.Series))) or X.index.equals(Y.index):
        return
    if X.index.isin(Y.index).all() and Y.index.isin(X.index).all():
        row = int((X.index != Y.index).argmax())
        of_x, of_y = shown(X.index[row]), shown(Y.index[row])
        warn(
            f"The indexes of X and Y hold the same labels in different orders: row {row} is {of_x} in X and {of_y} in "
            "Y. Rows are paired by position. To pair them by label, pass Y.loc[X.index]; if they are paired already, "
            "Y.set_axis(X.index), and this warning is gone."
        )


def warn_of_answers(X: Any, Y: Any) -> None:
    """Warn of columns of X that have the name of a column of Y."""
    if not isinstance(X, pd.DataFrame):
        return
    names = list(Y.columns) if isinstance(Y, pd.DataFrame) else [getattr(Y, "name", None)]
    if both := [name for name in X if name in names]:
        warn(
            f"{'Columns' if len(both) > 1 else 'Column'} {', '.join(map(repr, both))} of X: the name of a target. If "
            f"it is the target, the model is told the answer, which new rows do not have: X.drop(columns={both})."
        )
