"""Curves of one target over bins of rows: how true its predictions are, and what the best of them are worth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sklearn_fsmd.encoding import shown
from sklearn_fsmd.metrics._inputs import check_count, observed

Z = 1.959964
"""The normal quantile of an interval of 95 %."""


def reliability_curve(
    y: Any, p: Any, *, n_bins: int = 10, min_bin_rows: int = 1, sample_weight: Any = None
) -> pd.DataFrame:
    """Mean prediction and observed mean of one target, over bins of equally many rows by the prediction.

    Parameters
    ----------
    y : array-like of shape (n,), labels 0 and 1 or values; NaN where nothing was observed.
    p : array-like of shape (n,), probabilities or expected values.
    n_bins : int, default=10
        Rows of equal predictions are in one bin, so there may be fewer.
    min_bin_rows : int, default=1
        How many rows a bin has at least, unless there are fewer in all.
    sample_weight : array-like of shape (n,), default=None

    Returns
    -------
    curve : DataFrame with a row per bin
        ``n`` rows, the mean prediction ``predicted``, the mean ``observed``, and the ends ``low`` and ``high`` of its
        95 % interval: Wilson's of a rate, that of the normal distribution of a mean of values, NaN of a single one. A
        wide interval says that a bin has few rows, not that the model is bad.

    Raises
    ------
    ValueError
        If nothing was observed, or a prediction is not finite.

    Examples
    --------
    >>> from sklearn_fsmd.metrics import reliability_curve
    >>> reliability_curve([0, 0, 1, 1], [0.1, 0.1, 0.5, 0.9], n_bins=2)["observed"].tolist()
    [0.0, 1.0]
    """
    check_count("min_bin_rows", min_bin_rows)
    check_count("n_bins", n_bins)
    y, p, weights = observed(y, p, sample_weight, labels=True)
    _refuse_none(y)
    return _binned(y, y * y, p, weights, _bins(p, n_bins, min_bin_rows), _is_rate(y)).sort_values(
        "predicted", ignore_index=True
    )


def lift_curve(y: Any, score: Any, *, n_bins: int = 10, sample_weight: Any = None) -> pd.DataFrame:
    """Lift of each bin of rows, the best by `score` first: the mean of the bin over the mean of all rows.

    Parameters
    ----------
    y : array-like of shape (n,), labels 0 and 1 or values that are not negative; NaN where nothing was observed.
    score : array-like of shape (n,), by which rows are ranked; ties share what they have.
    n_bins : int, default=10
    sample_weight : array-like of shape (n,), default=None

    Returns
    -------
    curve : DataFrame with a row per bin
        The number of the ``bin``, 1 for the best; ``n`` rows, the mean ``observed``, its ``lift`` over the mean of all,
        with the ends ``low`` and ``high`` of its 95 % interval, and ``captured``, the share of all positives (or of the
        sum of all values) in this bin and those before it. The interval is that of the mean of the bin, as if the mean
        of all rows were known: it is too wide where there are two bins or three, or where many rows tie. A bin can be
        empty where a row weighs more than a bin has; then the table leaves its number out.

    Raises
    ------
    ValueError
        If nothing was observed, a value is negative, a score is not finite, or the overall mean is 0.

    Examples
    --------
    >>> from sklearn_fsmd.metrics import lift_curve
    >>> lift_curve([1, 1, 1, 0, 0, 0], [6, 5, 2, 4, 3, 1], n_bins=2)["lift"].round(3).tolist()
    [1.333, 0.667]
    """
    check_count("n_bins", n_bins)
    y, score, weights = observed(y, score, sample_weight, labels=True)
    _refuse_none(y)
    if y.min() < 0:
        raise ValueError(f"`y` must not be negative. Got {shown(y.min())}.")
    overall = float(np.average(y, weights=weights))
    if not overall > 0:
        raise ValueError(f"The mean of `y` is {overall:.4g}: there is nothing whose lift could be told.")
    # Rows of equal scores can fall into two bins. Each counts with their mean, and with their mean square; by their
    # weights they are sorted, so that it has no effect in which order they come.
    order = np.lexsort((weights, -score))
    shared, squares = (_means_of_ties(moment, score, weights)[order] for moment in (y, y * y))
    score, weights = score[order], weights[order]
    before = np.cumsum(weights) - weights
    bins = np.minimum((before * n_bins / weights.sum() + 1e-9).astype(int), n_bins - 1)
    curve = _binned(shared, squares, score, weights, bins, _is_rate(y))
    sums = np.bincount(bins, weights * shared, minlength=n_bins)[curve.index]
    curve = curve.assign(bin=curve.index + 1, lift=curve["observed"] / overall, captured=np.cumsum(sums) / sums.sum())
    curve[["low", "high"]] /= overall
    return curve.reset_index(drop=True)[["bin", "n", "observed", "lift", "low", "high", "captured"]]


def _refuse_none(y: np.ndarray) -> None:
    if not len(y):
        raise ValueError("`y` has no observed row with a weight above 0.")


def _is_rate(y: np.ndarray) -> bool:
    return bool(np.isin(y, (0, 1)).all())


def _bins(p: np.ndarray, n_bins: int, least: int) -> np.ndarray:
    """For each row the number of its bin, which has `least` rows or more; rows of equal predictions are in one.

    A bin ends where a prediction does, as near to an equal share of the rows as can be.
    """
    _, which, counts = np.unique(p, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    wanted = len(p) * np.arange(1, n_bins) / n_bins
    after = np.searchsorted(ends, wanted).clip(1, len(ends) - 1) if len(ends) > 1 else np.zeros(0, dtype=int)
    nearest = np.where(wanted - ends[after - 1] <= ends[after] - wanted, after - 1, after) if len(after) else after
    last, cuts = 0, []
    for end in np.unique(nearest):
        if ends[end] - last >= least and len(p) - ends[end] >= least:
            last = ends[end]
            cuts.append(end)
    return np.searchsorted(cuts, which)


def _means_of_ties(y: np.ndarray, score: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """For each row the mean of those that have its score."""
    _, group = np.unique(score, return_inverse=True)
    return (np.bincount(group, weights * y) / np.bincount(group, weights))[group]


def _binned(
    y: np.ndarray, squares: np.ndarray, p: np.ndarray, weights: np.ndarray, bins: np.ndarray, is_rate: bool
) -> pd.DataFrame:
    """The means of each bin and their intervals; `squares` are those of `y`, or their means over ties."""
    columns = {"w": weights, "wp": weights * p, "wy": weights * y, "wyy": weights * squares, "ww": weights**2}
    frame = pd.DataFrame(columns)
    sums = frame.groupby(bins).sum()
    counts = frame.groupby(bins).size()
    mean = sums["wy"] / sums["w"]
    n = sums["w"] ** 2 / sums["ww"]  # the effective sample size (Kish)
    if is_rate:
        low, high = wilson(mean.to_numpy(), n.to_numpy())
    else:
        variance = (sums["wyy"] / sums["w"] - mean**2).clip(lower=0) / (n - 1).where(counts > 1)  # of the mean
        half = Z * np.sqrt(variance).to_numpy()
        low, high = mean.to_numpy() - half, mean.to_numpy() + half
    return pd.DataFrame(
        {"n": counts, "predicted": sums["wp"] / sums["w"], "observed": mean, "low": low, "high": high},
    )


def wilson(rate: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The ends of Wilson's 95 % interval of rates that were observed in `n` rows."""
    middle = (rate + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * np.sqrt(rate * (1 - rate) / n + Z**2 / (4 * n**2))
    return np.clip(middle - half, 0, 1), np.clip(middle + half, 0, 1)
