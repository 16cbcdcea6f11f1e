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
    """Mean absolute error of the values that were observed.

    Parameters
    ----------
    y : array-like of shape (n,), the observed values; NaN where there is none.
    value : array-like of shape (n,), the predicted ones.
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
    """Root of the mean squared error of the values that were observed.

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
    """Share of the pairs of unlike values that are predicted in their order: the AUC of a value.

    Parameters
    ----------
    y : array-like of shape (n,), the observed values; NaN where there is none.
    value : array-like of shape (n,)
        Predictions, or any score. A pair of equal ones counts one half.

    Returns
    -------
    share : float in [0, 1]; NaN, with a warning, if all values are alike.

    Notes
    -----
    It is (D + 1) / 2 with Somers' D, which is Kendall's τ_b times √(pairs of unlike scores / pairs of unlike values).

    Examples
    --------
    >>> from sklearn_fsmd.metrics import concordance
    >>> round(concordance([5.0, 10.0, 60.0], [1.0, 3.0, 2.0]), 4)  # two of three pairs
    0.6667
    """
    y, value, _ = observed(y, value, name="value")
    unlike, unlike_scores = _unlike_pairs(y), _unlike_pairs(value)
    if not unlike:
        return undefined("All values are alike: their concordance is not defined.")
    if not unlike_scores:
        return 0.5
    return float((kendalltau(y, value).statistic * np.sqrt(unlike_scores / unlike) + 1) / 2)


def decile_bias(y: Any, value: Any, *, n_bins: int = 10, sample_weight: Any = None) -> float:
    """How far the mean prediction is from the mean value, over bins of equally many rows by the prediction.

    Parameters
    ----------
    y, value : as in :func:`value_mae`.
    n_bins : int, default=10
        Rows of equal predictions share their mean value.
    sample_weight : array-like of shape (n,), default=None
        What each row counts within its bin and for the mean over the bins.

    Returns
    -------
    bias : float
        The mean over the bins of ``|mean prediction − mean value|``, weighted by what their rows weigh, in shares of
        the mean value of all; NaN, with a warning, if that is 0.

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


def _unlike_pairs(values: np.ndarray) -> int:
    n = len(values)
    ties = np.unique(values, return_counts=True)[1].astype(np.int64)
    return n * (n - 1) // 2 - int((ties * (ties - 1) // 2).sum())
