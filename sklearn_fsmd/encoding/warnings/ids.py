"""A warning of integers that look like ids but are treated as quantities, the commonest mistake with a table of ids."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from sklearn_fsmd.encoding.columns import NumericColumn, columns_of_x, evenly_spaced
from sklearn_fsmd.encoding.table import FeatureEncoder
from sklearn_fsmd.encoding.targets import Targets
from sklearn_fsmd.encoding.warnings.signs import FEW_VALUES, N_ROWS, floats_of, is_name_of_ids, unit_of_times
from sklearn_fsmd.parameters import warn

MANY_VALUES = 500
"""A column with fewer values is warned of only because of its name."""


def warn_of_ids(
    encoder: FeatureEncoder, X: Any, targets: Targets, positions: np.ndarray, others: Sequence[int]
) -> None:
    """Warn, once for all of them, of numeric columns whose integers look like ids.

    A column looks like ids by its name. It also does if it has many values, spread over their range, large ones as
    frequent as small ones, and the rates of the targets differ between neighbouring values. In an array of objects,
    neither names nor types distinguish ids from quantities, so all integers with many values are warned of.

    Parameters
    ----------
    encoder : fitted on X.
    X : DataFrame or 2-D array.
    targets : the targets of the rows of X.
    positions : the positions of the columns of X in the user's table.
    others : the positions of the categories in that table that are not in X.
    """
    rows = evenly_spaced(len(X), N_ROWS) if len(X) > N_ROWS else slice(None)
    is_frame = isinstance(X, pd.DataFrame)
    is_mixed = not is_frame and X.dtype.kind == "O"
    suspects = []
    for position, column in encoder.numeric.items():
        values = X.iloc[:, position] if is_frame else X[:, position]
        whole = _whole_numbers(values[rows] if isinstance(values, np.ndarray) else values.iloc[rows])
        if whole is None:
            continue
        has_id_name = is_frame and is_name_of_ids(column.name)
        if not has_id_name and unit_of_times(whole) is not None:
            continue  # of these there is a warning of their own
        if has_id_name or is_mixed or _has_no_order(column, whole, targets, rows):
            suspects.append(position)
    if not suspects:
        return
    if is_frame:
        names = X.columns[suspects].tolist()
        remedy = (
            f"If they are ids, say so: X.astype({dict.fromkeys(names, 'category')}), or as strings. If they are "
            "quantities, list the categories, and not these, in `categorical_features`; then this warning is gone."
        )
        of_rows = [X.columns[position] for position in suspects if _names_rows(X.iloc[:, position])]
        if of_rows:
            remedy += f" Hardly a value of {of_rows} occurs twice: what identifies rows is to be left out."
    else:
        user_positions, categories = (
            [int(positions[position]) for position in group] for group in (suspects, encoder.categories)
        )
        names = [f"x{position}" for position in user_positions]
        remedy = (
            f"Say which are: categorical_features={sorted([*categories, *others])} is how it is now. Add those "
            f"of {user_positions} that are ids, and this warning is gone; the rest stay quantities."
        )
    if is_mixed:
        remedy += ' A DataFrame keeps the types: ColumnTransformer(…).set_output(transform="pandas").'
    warn(
        f"{columns_of_x(names)}: whole numbers that "
        f"{'may be' if is_mixed else 'look like'} ids, and are taken as quantities. {remedy}"
    )


def _whole_numbers(column: Any) -> np.ndarray | None:
    """Convert a column to floats, NaN where missing; None unless it holds many different integers."""
    if (x := floats_of(column)) is None:
        return None
    known = x[~np.isnan(x)]
    if (known != np.floor(known)).any() or len(np.unique(known)) < FEW_VALUES:
        return None
    return x


def _names_rows(column: pd.Series) -> bool:
    """Whether nine of ten values are there once."""
    return column.nunique() > 0.9 * max(int(column.notna().sum()), 1)


def _has_no_order(column: NumericColumn, x: np.ndarray, targets: Targets, rows: Any) -> bool:
    """Whether a target depends on the values, but neither their frequency nor a target on their size."""
    values, counts = np.unique(x[~np.isnan(x)], return_counts=True)
    if len(values) < MANY_VALUES or counts.min() == counts.max():
        return False
    if np.histogram(values)[0].max() > len(values) / 2 or abs(spearmanr(values, counts).statistic) > 0.1:
        return False  # quantities are usually dense somewhere, mostly near 0
    weights = targets.full_weights
    known = ~np.isnan(x)
    return any(
        _depends_on_value(column, x[counted], targets.labels[rows, k][counted])
        for k, counted in enumerate((weights[rows] > 0).T & known)
    )


def _depends_on_value(column: NumericColumn, x: np.ndarray, y: np.ndarray) -> bool:
    """Whether the values explain five times as much of the variance of the labels as their bins do.

    What as many random groups would explain is subtracted from both. The difference must be significant, by an analysis
    of variance.
    """
    values, inverse, counts = np.unique(x, return_inverse=True, return_counts=True)
    bins = np.searchsorted(column.edges, values, side="right")
    in_bin = np.bincount(bins, weights=counts)
    n_bins, n_values, n = np.count_nonzero(in_bin), len(values), len(x)
    if n < 2 * n_values or n_values - n_bins < FEW_VALUES:
        return False  # hardly any value occurs twice, or hardly any bin has two values
    rate = np.bincount(inverse, weights=y) / counts
    rate_of_bin = np.bincount(bins, weights=rate * counts) / np.maximum(in_bin, 1)
    noise = counts @ (rate * (1 - rate)) / (n - n_values)
    explained_by_bins = in_bin @ (rate_of_bin - y.mean()) ** 2 - (n_bins - 1) * noise
    explained_by_values = counts @ (rate - rate_of_bin[bins]) ** 2
    ratio = float(explained_by_values) / (n_values - n_bins) / max(float(noise), 1e-12)
    is_chance = ratio - 1 < 8 * math.sqrt(2 / (n_values - n_bins) + 2 / (n - n_values))
    excess = float(explained_by_values) - (n_values - n_bins) * float(noise)
    return not is_chance and bool(excess > 5 * max(float(explained_by_bins), 0.0))
