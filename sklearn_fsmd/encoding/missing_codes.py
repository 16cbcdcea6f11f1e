"""Categories that are negative numbers, of which two are taken for missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from sklearn_fsmd.encoding.canonical import MISSING_CODES, columns_of_x
from sklearn_fsmd.encoding.column_selection import column_names, column_of
from sklearn_fsmd.encoding.columns import CategoryColumn
from sklearn_fsmd.encoding.table_encoder import FeatureEncoder
from sklearn_fsmd.parameters import warn


def warn_of_missing_codes(encoder: FeatureEncoder, X: Any) -> None:
    """Warn, once for all of them, of categories with numbers below −2: there −1 and −2 may be values like others.

    Parameters
    ----------
    encoder : fitted on X.
    X : DataFrame or 2-D array.
    """
    names = X.columns.tolist() if isinstance(X, pd.DataFrame) else column_names(X)
    warn_of_codes([(names[place], column, column_of(X, place)) for place, column in encoder.categories.items()])


def warn_of_codes(columns: Sequence[tuple[Any, CategoryColumn, Any]]) -> None:
    """The same of vocabularies and the columns that they were learned from, with their names."""
    found = [
        name
        for name, column, values in columns
        if column.kind == "numbers"
        and len(column.values)
        and np.min(column.values) < min(MISSING_CODES)
        and _holds(values, MISSING_CODES)
    ]
    if found:
        # By way of Int64: numbers with gaps would be text with ".0" in a table, and without in a row that has none.
        warn(
            f"{columns_of_x(found)}: categories that are "
            "negative numbers. -1 and -2 are taken for missing, as encoders mark what they do not know. If they are "
            f"values, pass text: X.astype({dict.fromkeys(found, 'Int64')}).astype({dict.fromkeys(found, 'string')}), "
            "and this warning is gone."
        )


def _holds(values: Any, numbers: Sequence[int]) -> bool:
    """Whether some of the values are among `numbers`; of long doubles pandas cannot say it."""
    values = pd.Series(values)
    return bool((values.astype(float) if values.dtype == np.longdouble else values).isin(numbers).any())
