"""Metrics of targets with values, such as a watch time."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import kendalltau
from sklearn.metrics import mean_absolute_error, root_mean_squared_error

from sklearn_fsmd.metrics._bins import distance_in_bins
from sklearn_fsmd.metrics._inputs import check_count, observed, undefined

UNOBSERVED = "No value was observed."


def value_mae(y: Any, value: Any, *, sample_weight: Any = None) -> float:
    """Compute the mean absolute error over the observed values.

    Parameters
    ----------
    y : array-like of shape (n,), the observed values; NaN where there is none.
    value : array-like of shape (n,), the predicted values.
    sample_weight : array-like of shape (n,), default=None

    Returns
    -------
    error : float, in the units of `y`; NaN, with a warning, if nothing was observed.

    Examples
    --------
    >>> from sklearn_fsmd.metrics import value_mae
    >>> value_mae([10.0, None, 30.0], [12.0, 5.0, 26.0])
    3.0
    """
    y, value, weights = observed(y, value, sample_weight, name="value")
    return float(mean_absolute_error(y, value, sample_weight=weights)) if len(y) else undefined(UNOBSERVED)


def value_rmse(y: Any, value: Any, *, sample_weight: Any = None) -> float:
    """Compute the root mean squared error over the observed values.

    Parameters
    ----------
    y, value, sample_weight : as in :func:`value_mae`.

    Returns
    -------
    error : float, in the units of `y`; NaN, with a warning, if nothing was observed.

    Examples
    --------
    >>> from sklearn_fsmd.metrics import value_rmse
    >>> round(value_rmse([10.0, None, 30.0], [12.0, 5.0, 26.0]), 3)
    3.162
    """
    y, value, weights = observed(y, value, sample_weight, name="value")
    return float(root_mean_squared_error(y, value, sample_weight=weights)) if len(y) else undefined(UNOBSERVED)


def concordance(y: Any, value: Any) -> float:
    """Compute the share of pairs of different values that are predicted in the right order: the AUC of a value.

    Parameters
    ----------
    y : array-like of shape (n,), the observed values; NaN where there is none.
    value : array-like of shape (n,)
        Predictions, or any score. A pair with equal predictions counts one half.

    Returns
    -------
    share : float in [0, 1]; NaN, with a warning, if all values are equal.

    Notes
    -----
    It equals (D + 1) / 2 with Somers' D, which is Kendall's τ_b times √(pairs of different predictions / pairs of
    different values).

    Examples
    --------
    >>> from sklearn_fsmd.metrics import concordance
    >>> round(concordance([5.0, 10.0, 60.0], [1.0, 3.0, 2.0]), 4)  # two of three pairs
    0.6667
    """
    y, value, _ = observed(y, value, name="value")
    n_pairs, n_predicted_pairs = _n_different_pairs(y), _n_different_pairs(value)
    if not n_pairs:
        return undefined("All values are equal: their concordance is not defined.")
    if not n_predicted_pairs:
        return 0.5
    return float((kendalltau(y, value).statistic * np.sqrt(n_predicted_pairs / n_pairs) + 1) / 2)


def decile_bias(y: Any, value: Any, *, n_bins: int = 10, sample_weight: Any = None) -> float:
    """Compute the relative bias of predicted values, in bins of equally many rows by prediction.

    Parameters
    ----------
    y, value : as in :func:`value_mae`.
    n_bins : int, default=10
        Rows with equal predictions all count with their mean value.
    sample_weight : array-like of shape (n,), default=None
        Weights of the rows, within a bin and in the mean over the bins.

    Returns
    -------
    bias : float
        The mean over the bins of ``|mean prediction − mean value|``, weighted by the total weight of their rows, and
        divided by the absolute mean value of all rows. NaN, with a warning, if that mean is 0.

    Raises
    ------
    ValueError
        If `n_bins` is less than 1.

    Examples
    --------
    >>> from sklearn_fsmd.metrics import decile_bias
    >>> decile_bias([0.0, 20.0, 40.0, 60.0], [10.0, 16.0, 40.0, 54.0], n_bins=2)
    0.1
    """
    check_count("n_bins", n_bins)
    y, value, weights = observed(y, value, sample_weight, name="value")
    mean = abs(np.average(y, weights=weights)) if len(y) else 0.0
    if not mean:
        return undefined("The mean value is 0: the bias relative to it is not defined.")
    return distance_in_bins(y, value, weights, n_bins) / float(mean)


def _n_different_pairs(values: np.ndarray) -> int:
    """Number of pairs of different values."""
    n = len(values)
    ties = np.unique(values, return_counts=True)[1].astype(np.int64)
    return n * (n - 1) // 2 - int((ties * (ties - 1) // 2).sum())
