"""A warning of categories that are negative numbers, two of which are treated as missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from sklearn_fsmd.encoding.columns import MISSING_CODES, CategoryColumn, column_names, column_of, columns_of_x
from sklearn_fsmd.encoding.table import FeatureEncoder
from sklearn_fsmd.parameters import warn


def warn_of_missing_codes(encoder: FeatureEncoder, X: Any) -> None:
    """Warn, once for all of them, of categories with numbers below −2: their −1 and −2 may be ordinary values.

    Parameters
    ----------
    encoder : fitted on X.
    X : DataFrame or 2-D array.
    """
    names = X.columns.tolist() if isinstance(X, pd.DataFrame) else column_names(X)
    warn_of_codes([(names[i], column, column_of(X, i)) for i, column in encoder.categories.items()])


def warn_of_codes(columns: Sequence[tuple[Any, CategoryColumn, Any]]) -> None:
    """Do the same for triples of a name, a vocabulary, and the column from which it was learned."""
    suspects = [
        name
        for name, column, values in columns
        if column.kind == "numbers"
        and len(column.values)
        and np.min(column.values) < min(MISSING_CODES)
        and _holds(values, MISSING_CODES)
    ]
    if suspects:
        # Via Int64: else numbers would get a ".0" as text in a table with missing values, but not in a single row.
        warn(
            f"{columns_of_x(suspects)}: categories that are "
            "negative numbers. -1 and -2 are treated as missing, as encoders mark such values by them. If they are "
            f"values, pass text: X.astype({dict.fromkeys(suspects, 'Int64')})"
            f".astype({dict.fromkeys(suspects, 'string')}), and this warning is gone."
        )


def _holds(values: Any, numbers: Sequence[int]) -> bool:
    """Whether some of the values are among `numbers`."""
    values = pd.Series(values)
    if values.dtype == np.longdouble or str(values.dtype) == "halffloat[pyarrow]":  # which `isin` does not support
        values = pd.Series(values.to_numpy(dtype=np.float64, na_value=np.nan))
    return bool(values.isin(numbers).any())
