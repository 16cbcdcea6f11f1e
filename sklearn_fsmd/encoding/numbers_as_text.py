"""Text that looks like quantities but is taken as categories: one "n/a" in a file makes a column of prices text."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sklearn_fsmd._warn import warn
from sklearn_fsmd.encoding.table_encoder import FeatureEncoder

MANY_VALUES = 30
"""A column of fewer values is well off as categories."""
N_ROWS = 10_000
"""That many rows are looked at."""


def warn_of_numbers(encoder: FeatureEncoder, X: Any) -> None:
    """Warn, once for all of them, of columns of text in which nine of ten values are numbers, most with a fraction.

    Whole numbers as text are ids, as a rule. A column of category dtype is what the user has chosen.

    Parameters
    ----------
    encoder : fitted on X.
    X : DataFrame or 2-D array.
    """
    if not isinstance(X, pd.DataFrame):
        return
    rows = np.unique(np.linspace(0, len(X) - 1, N_ROWS).astype(int))
    found = [
        column.name
        for position, column in encoder.categories.items()
        if not isinstance(X.dtypes.iloc[position], pd.CategoricalDtype) and _are_quantities(X.iloc[rows, position])
    ]
    if found:
        first, names = repr(found[0]), ", ".join(map(repr, found))
        columns = f"{'Columns' if len(found) > 1 else 'Column'} {names} of X"
        warn(
            f"{columns}: most values are numbers, but some are text, so each is a category of its own. If they are "
            f"quantities, convert them: X[{first}] = pd.to_numeric(X[{first}], errors='coerce'). If not, "
            f"X.astype({dict.fromkeys(found, 'category')}), and this warning is gone."
        )


def _are_quantities(column: pd.Series) -> bool:
    values = column.dropna().unique()
    kinds = ("string", "mixed", "mixed-integer", "floating")
    if len(values) < MANY_VALUES or pd.api.types.infer_dtype(values) not in kinds:
        return False
    numbers = pd.to_numeric(pd.Series(values, dtype=object), errors="coerce").dropna()
    return len(numbers) >= 0.9 * len(values) and bool((numbers != np.floor(numbers)).mean() > 0.5)
