"""A logistic regression with a ridge penalty for each column of the data, whose strengths the data determine.

The weights of a column are assumed to be normal with mean 0 and a variance of its own, which is estimated with them
(empirical Bayes): with few rows a single strength either leaves too much to columns of noise or takes too much from the
others.

References
----------
.. [EB] D. J. C. MacKay, "Bayesian Interpolation", Neural Computation 4(3), 1992, pages 415-447.
"""

from __future__ import annotations

import warnings

import numpy as np
from scipy.sparse import csr_matrix, diags
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

N_UPDATES = 4
"""How often the variances are estimated anew."""
VARIANCE, CERTAINTY = 0.1, 0.5
"""The variance that is expected of a weight, and as how many known weights this expectation counts."""
MAX_ITER, MAX_ITER_OF_UPDATE, TOL = 200, 50, 1e-4
"""Largest numbers of iterations of the last regression and of those before, and the gradient at which they end.

The last, times the variance of the labels, becomes scikit-learn's `tol`, a gradient of the mean loss: if events are
rare, all gradients are small.
"""


def fit_ridge(x: csr_matrix, y: np.ndarray, weights: np.ndarray, sources: np.ndarray) -> tuple[np.ndarray, float]:
    """Fit a logistic regression whose ridge penalties are learned.

    The variance of the weights w of a source becomes Σ w² / Σ γ [EB]_, where γ, from 0 to 1, is how much the labels
    tell of a weight if its correlations with others are left out.

    Parameters
    ----------
    x : ``(n, C)``, rows.
    y : ``(n,)``, labels of two classes.
    weights : ``(n,)``, how often each row counts.
    sources : ``(C,)``, the index of the column of the data from which each column of `x` comes.

    Returns
    -------
    coefficients : ``(C,)``
    intercept : float
    """
    rate = np.average(y, weights=weights)
    regression = LogisticRegression(C=1.0, tol=TOL * rate * (1 - rate), warm_start=True)
    regression.coef_, regression.intercept_ = np.zeros((1, x.shape[1]), x.dtype), np.zeros(1, x.dtype)
    variances = np.full(sources.max() + 1, VARIANCE)
    scales = np.sqrt(variances)[sources].astype(x.dtype)  # the penalty is equal for columns that are multiplied by them

    def fit(max_iter: int) -> csr_matrix:
        scaled = (x @ diags(scales)).tocsr()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the numbers of iterations limit the time
            regression.set_params(max_iter=max_iter).fit(scaled, y, sample_weight=weights)
        return scaled

    for _ in range(N_UPDATES):
        scaled = fit(MAX_ITER_OF_UPDATE)
        p = regression.predict_proba(scaled)[:, 1].astype(np.float64)
        precisions = scaled.power(2).T @ (p * (1 - p) * weights)  # of scaled weights, which the penalty raises by 1
        known, coefficients = precisions / (precisions + 1), regression.coef_[0] * scales
        variances = _updated(coefficients.astype(np.float64) ** 2, known, sources)
        scales = np.sqrt(variances)[sources].astype(x.dtype)
        regression.coef_ = (coefficients / scales)[None]
    fit(MAX_ITER)
    return regression.coef_[0] * scales, float(regression.intercept_[0])


def _updated(squares: np.ndarray, known: np.ndarray, sources: np.ndarray) -> np.ndarray:
    """The variances of the columns, from the squared weights and from how much is known of each weight."""
    of_squares, of_known = np.bincount(sources, squares), np.bincount(sources, known)
    return (of_squares + CERTAINTY * VARIANCE) / (of_known + CERTAINTY)
