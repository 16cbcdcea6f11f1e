"""Curves of one target over bins of rows: the reliability curve and the lift curve."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sklearn_fsmd.encoding.columns import shown
from sklearn_fsmd.metrics._inputs import check_count, observed

Z = 1.959964
"""Quantile of the normal distribution for a 95 % interval."""


def reliability_curve(
    y: Any, p: Any, *, n_bins: int = 10, min_bin_rows: int = 1, sample_weight: Any = None
) -> pd.DataFrame:
    """Compute the mean prediction and the observed mean of one target, in bins of equally many rows by prediction.

    Parameters
    ----------
    y : array-like of shape (n,), labels 0 and 1 or values; NaN where nothing was observed.
    p : array-like of shape (n,), probabilities or expected values.
    n_bins : int, default=10
        Number of bins. Rows with equal predictions stay in one bin, so there may be fewer.
    min_bin_rows : int, default=1
        Minimum number of rows of a bin, unless there are fewer in total.
    sample_weight : array-like of shape (n,), default=None

    Returns
    -------
    curve : DataFrame with a row per bin
        The number of rows ``n``, the mean prediction ``predicted``, the mean ``observed``, and the ends ``low`` and
        ``high`` of its 95 % interval: the Wilson interval for a rate, a normal interval for a mean of values, and NaN
        for a single value. A wide interval means that a bin has few rows, not that the model is bad.

    Raises
    ------
    ValueError
        If no label was observed, or a prediction is not finite.

    Examples
    --------
    >>> from sklearn_fsmd.metrics import reliability_curve
    >>> reliability_curve([0, 0, 1, 1], [0.1, 0.1, 0.5, 0.9], n_bins=2)["observed"].tolist()
    [0.0, 1.0]
    """
    check_count("min_bin_rows", min_bin_rows)
    check_count("n_bins", n_bins)
    y, p, weights = observed(y, p, sample_weight, labels=True)
    _refuse_empty(y)
    return _binned(y, y * y, p, weights, _bins(p, n_bins, min_bin_rows), _is_rate(y)).sort_values(
        "predicted", ignore_index=True
    )


def lift_curve(y: Any, score: Any, *, n_bins: int = 10, sample_weight: Any = None) -> pd.DataFrame:
    """Compute the lift of each bin of rows, ranked by `score`: the mean of the bin over the mean of all rows.

    Parameters
    ----------
    y : array-like of shape (n,), labels 0 and 1 or values that are not negative; NaN where nothing was observed.
    score : array-like of shape (n,)
        Score that ranks the rows, the highest first. Rows with equal scores all count with the mean of their `y`.
    n_bins : int, default=10
    sample_weight : array-like of shape (n,), default=None

    Returns
    -------
    curve : DataFrame with a row per bin
        The number of the ``bin``, 1 for the highest scores; the number of rows ``n``; the mean ``observed``; the
        ``lift`` with the ends ``low`` and ``high`` of its 95 % interval; and ``captured``, the share of all positives
        (or of the sum of all values) in this bin and those before it. The interval treats the mean of all rows as
        known, so it is too wide if there are only two or three bins, or if many rows tie. A bin can be empty if a
        row has more weight than a bin; the table leaves such a bin out.

    Raises
    ------
    ValueError
        If no label was observed, a value is negative, a score is not finite, or the overall mean is 0.

    Examples
    --------
    >>> from sklearn_fsmd.metrics import lift_curve
    >>> lift_curve([1, 1, 1, 0, 0, 0], [6, 5, 2, 4, 3, 1], n_bins=2)["lift"].round(3).tolist()
    [1.333, 0.667]
    """
    check_count("n_bins", n_bins)
    y, score, weights = observed(y, score, sample_weight, labels=True)
    _refuse_empty(y)
    if y.min() < 0:
        raise ValueError(f"`y` must not be negative. Got {shown(y.min())}.")
    overall = float(np.average(y, weights=weights))
    if not overall > 0:
        raise ValueError(f"The mean of `y` is {overall:.4g}: the lift is not defined.")
    # Rows with equal scores can fall into two bins. Each gets their mean and their mean square, and they are sorted by
    # weight, so that the result does not depend on the order of the rows.
    order = np.lexsort((weights, -score))
    means, squares = (_means_of_ties(moment, score, weights)[order] for moment in (y, y * y))
    score, weights = score[order], weights[order]
    before = np.cumsum(weights) - weights
    bins = np.minimum((before * n_bins / weights.sum() + 1e-9).astype(int), n_bins - 1)
    curve = _binned(means, squares, score, weights, bins, _is_rate(y))
    sums = np.bincount(bins, weights * means, minlength=n_bins)[curve.index]
    curve = curve.assign(bin=curve.index + 1, lift=curve["observed"] / overall, captured=np.cumsum(sums) / sums.sum())
    curve[["low", "high"]] /= overall
    return curve.reset_index(drop=True)[["bin", "n", "observed", "lift", "low", "high", "captured"]]


def _refuse_empty(y: np.ndarray) -> None:
    if not len(y):
        raise ValueError("`y` has no observed row with a weight above 0.")


def _is_rate(y: np.ndarray) -> bool:
    return bool(np.isin(y, (0, 1)).all())


def _bins(p: np.ndarray, n_bins: int, min_rows: int) -> np.ndarray:
    """For each row the number of its bin; rows with equal predictions are in one bin of at least `min_rows` rows.

    The cuts between bins are as near to equal shares of the rows as equal predictions allow.
    """
    _, distinct, counts = np.unique(p, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ideal = len(p) * np.arange(1, n_bins) / n_bins
    after = np.searchsorted(ends, ideal).clip(1, len(ends) - 1) if len(ends) > 1 else np.zeros(0, dtype=int)
    nearest = np.where(ideal - ends[after - 1] <= ends[after] - ideal, after - 1, after) if len(after) else after
    last_end, cuts = 0, []
    for cut in np.unique(nearest):
        if ends[cut] - last_end >= min_rows and len(p) - ends[cut] >= min_rows:
            last_end = ends[cut]
            cuts.append(cut)
    return np.searchsorted(cuts, distinct)


def _means_of_ties(y: np.ndarray, score: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """For each row the weighted mean of `y` over all rows with the same score."""
    _, group = np.unique(score, return_inverse=True)
    return (np.bincount(group, weights * y) / np.bincount(group, weights))[group]


def _binned(
    y: np.ndarray, squares: np.ndarray, p: np.ndarray, weights: np.ndarray, bins: np.ndarray, is_rate: bool
) -> pd.DataFrame:
    """Means of each bin and their intervals; `squares` are the squares of `y`, or their means over ties."""
    columns = {"w": weights, "wp": weights * p, "wy": weights * y, "wyy": weights * squares, "ww": weights**2}
    frame = pd.DataFrame(columns)
    sums = frame.groupby(bins).sum()
    counts = frame.groupby(bins).size()
    mean = sums["wy"] / sums["w"]
    n = sums["w"] ** 2 / sums["ww"]  # the effective sample size (Kish)
    if is_rate:
        low, high = wilson(mean.to_numpy(), n.to_numpy())
    else:
        variance_of_mean = (sums["wyy"] / sums["w"] - mean**2).clip(lower=0) / (n - 1).where(counts > 1)
        half_width = Z * np.sqrt(variance_of_mean).to_numpy()
        low, high = mean.to_numpy() - half_width, mean.to_numpy() + half_width
    return pd.DataFrame(
        {"n": counts, "predicted": sums["wp"] / sums["w"], "observed": mean, "low": low, "high": high},
    )


def wilson(rate: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the Wilson 95 % interval of rates that were observed in `n` rows."""
    centre = (rate + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half_width = Z / (1 + Z**2 / n) * np.sqrt(rate * (1 - rate) / n + Z**2 / (4 * n**2))
    return np.clip(centre - half_width, 0, 1), np.clip(centre + half_width, 0, 1)
