"""Mistakes in how X and Y were put together, which a model learns from without a word."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sklearn_fsmd.encoding.canonical import shown
from sklearn_fsmd.runtime import warn


def warn_of_order(X: Any, Y: Any, names: tuple[str, str] = ("X", "Y")) -> None:
    """Warn if the indexes of X and Y hold the same labels in different orders.

    Rows are paired by position, as everywhere in scikit-learn. Indexes with other labels, or with one label twice, say
    nothing of that.

    Parameters
    ----------
    X, Y : as the user passed them: tables that have been converted have new indexes.
    names : of X and Y in the message.
    """
    if not (isinstance(X, pd.DataFrame) and isinstance(Y, (pd.DataFrame, pd.Series))):
        return
    of_x, of_y = X.index, Y.index
    if of_x.equals(of_y) or len(of_x) != len(of_y) or of_x.nlevels != of_y.nlevels:
        return
    if not (of_x.is_unique and of_y.is_unique):
        return
    places = of_x.get_indexer(of_y)
    if (places >= 0).all():
        row, (x, y) = int((places != np.arange(len(places))).argmax()), names
        warn(
            f"The indexes of {x} and {y} hold the same labels in different orders: row {row} is {shown(of_x[row])} in "
            f"{x} and {shown(of_y[row])} in {y}. Rows are paired by position. To pair them by label, pass "
            f"{y}.loc[{x}.index]; if they are paired already, {y}.set_axis({x}.index), and this warning is gone."
        )


def warn_of_answers(X: Any, Y: Any) -> None:
    """Warn of columns of X that have the name of a column of Y.

    Numbers are no names: tables that were made of arrays count their columns.
    """
    if not isinstance(X, pd.DataFrame):
        return
    names = list(Y.columns) if isinstance(Y, pd.DataFrame) else [getattr(Y, "name", None)]
    if both := [name for name in X if isinstance(name, str) and name in names]:
        warn(
            f"{'Columns' if len(both) > 1 else 'Column'} {', '.join(map(repr, both))} of X: the name of a target. If "
            f"it is the target, the model is told the answer, which new rows do not have: X.drop(columns={both})."
        )
