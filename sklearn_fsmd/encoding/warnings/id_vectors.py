"""A warning of lists of ids that became floats: lists of one length are read as vectors then."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sklearn_fsmd.encoding.columns import columns_of_x, evenly_spaced
from sklearn_fsmd.encoding.table import FeatureEncoder
from sklearn_fsmd.encoding.warnings.signs import FEW_VALUES
from sklearn_fsmd.parameters import warn

N_ROWS = 10_000
"""Largest number of rows that are inspected."""


def warn_of_id_vectors(encoder: FeatureEncoder, X: Any) -> None:
    """Warn, once for all of them, of vectors of many different whole numbers.

    A missing id makes its list one of floats, and lists that are padded to one length look like vectors.

    Parameters
    ----------
    encoder : fitted on X, with columns of vectors that the user has not named.
    X : DataFrame or 2-D array.
    """
    rows = evenly_spaced(len(X), N_ROWS)
    suspects = [
        X.columns[position]
        for position, column in encoder.vectors.items()
        if isinstance(X, pd.DataFrame) and _are_whole(column.read(X.iloc[rows, position]))
    ]
    if suspects:
        warn(
            f"{columns_of_x(suspects)}: lists of floats that are whole numbers, which are read as vectors. If they are "
            f"ids, pass list_features={[*(X.columns[i] for i in encoder.lists), *suspects]}, which has to name all "
            f"columns of lists. If they are quantities, vector_features={[X.columns[i] for i in encoder.vectors]}, and "
            "this warning is gone."
        )


def _are_whole(vectors: np.ndarray) -> bool:
    """Whether all components that are known are whole numbers, with many different values."""
    known = vectors[~np.isnan(vectors)]
    return bool((known == np.floor(known)).all()) and len(np.unique(known)) >= FEW_VALUES
