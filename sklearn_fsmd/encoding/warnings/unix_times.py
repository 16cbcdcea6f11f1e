"""A warning of Unix times that are treated as quantities: all times of new rows are larger than those of fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sklearn_fsmd.encoding.columns import columns_of_x, evenly_spaced
from sklearn_fsmd.encoding.table import FeatureEncoder
from sklearn_fsmd.encoding.warnings.signs import N_ROWS, floats_of, is_name_of_ids, unit_of_times
from sklearn_fsmd.parameters import warn


def warn_of_unix_times(encoder: FeatureEncoder, X: Any, positions: np.ndarray) -> None:
    """Warn, once per unit, of numeric columns whose values are all times from 2000 to 2040, in seconds or less.

    Parameters
    ----------
    encoder : fitted on X.
    X : DataFrame or 2-D array.
    positions : the positions of the columns of X in the user's table.
    """
    is_frame = isinstance(X, pd.DataFrame)
    rows = evenly_spaced(len(X), N_ROWS)
    columns: dict[str, list[Any]] = {}
    for position, column in encoder.numeric.items():
        if is_frame and is_name_of_ids(column.name):
            continue
        x = floats_of(X.iloc[rows, position] if is_frame else X[rows, position])
        if x is not None and (unit := unit_of_times(x)) is not None:
            name = X.columns[position] if is_frame else f"x{positions[position]}"
            columns.setdefault(unit, []).append(name)
    for unit, names in columns.items():
        first = f"X[{names[0]!r}]"
        if is_frame:
            remedy = (
                f"{first} = pd.to_datetime({first}, unit={unit!r}), and `sklearn_fsmd.compose.TimeFeatures` before "
                "the model, gives it the hour and the like"
            )
        else:
            remedy = "take the hour and the like instead"
        warn(
            f"{columns_of_x(names)}: numbers that look like times in {unit} since 1970, and are taken as quantities. "
            f"Later times are larger than all that fit knows. Leave them out, or {remedy}. If they are quantities, "
            "list the categories in `categorical_features`; then this warning is gone."
        )
