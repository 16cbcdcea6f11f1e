"""A regression with a ridge penalty for each column of the data, whose strengths the data determine.

The weights of a column are assumed to be normal with mean 0 and a variance of its own, which is estimated with them
(empirical Bayes): with few rows a single strength either leaves too much to columns of noise or takes too much from the
others.

References
----------
.. [EB] D. J. C. MacKay, "Bayesian Interpolation", Neural Computation 4(3), 1992, pages 415-447.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.sparse import csr_matrix
from scipy.special import expit, logit

N_UPDATES, N_STEPS = 3, 20
"""How often the variances are estimated from new weights, and the number of steps of each estimate."""
VARIANCE, CERTAINTY = 0.1, 0.5
"""The variance that is expected of a weight, and as how many known weights this expectation counts."""
MAX_ITER, MAX_ITER_OF_UPDATE = 100, 30
"""Largest numbers of iterations of the last regression and of those before."""
LEAST_GAIN = 0.01
"""A regression ends once an iteration raises the sum of log-likelihood and log-prior by less than this, in nats."""
LEAST_RATE = 1e-12
"""The first intercept is that of a rate at least so far from 0 and 1, which it may round to with extreme weights."""
LARGEST_LOG = 30.0
"""The largest logarithm of a mean of the Poisson family, in units in which values have the mean 1."""

FamilyName = Literal["logistic", "normal", "poisson"]


def fit_ridge(
    x: csr_matrix, y: np.ndarray, weights: np.ndarray, sources: np.ndarray, family: FamilyName = "logistic"
) -> tuple[np.ndarray, float]:
    """Fit a regression whose ridge penalties are learned.

    The variance of the weights w of a source becomes Σ w² / Σ γ [EB]_, where γ, from 0 to 1, is how much the labels
    tell of a weight if its correlations with others are left out. Except in the "logistic" family, the variance of `y`
    is a multiple of that of the family, and is estimated too.

    Parameters
    ----------
    x : ``(n, C)``, rows.
    y : ``(n,)``, labels of two classes, 0 and 1; in the family "normal" any numbers, with about the spread 1; in the
        family "poisson" numbers that are not negative, with about the mean 1.
    weights : ``(n,)``, how often each row counts.
    sources : ``(C,)``, the index of the column of the data from which each column of `x` comes.
    family : what is linear in `x`: log-odds, a mean, or the logarithm of a mean.

    Returns
    -------
    coefficients : ``(C,)``
    intercept : float
    """
    rows = _Rows(x, y, weights, FAMILIES[family])
    coefficients = np.append(np.zeros(x.shape[1]), rows.family.link(np.average(y, weights=weights)))
    penalties = np.full(x.shape[1], 1 / VARIANCE)
    rows = rows.scaled(weights, coefficients, 1.0)
    precisions = rows.precisions(coefficients)
    for _ in range(N_UPDATES):
        coefficients = rows.most_probable(coefficients, penalties, precisions, MAX_ITER_OF_UPDATE)
        precisions = rows.precisions(coefficients)
        n_known = 1 + (precisions[:-1] / (precisions[:-1] + penalties)).sum()
        rows = rows.scaled(weights, coefficients, n_known)
        precisions = rows.precisions(coefficients)
        penalties = _updated(penalties, coefficients[:-1], precisions[:-1], sources)
    coefficients = rows.most_probable(coefficients, penalties, precisions, MAX_ITER)
    return coefficients[:-1], float(coefficients[-1])


class _Family(NamedTuple):
    """A distribution whose mean is a function of the sum `z` of linear terms, its natural parameter.

    Attributes
    ----------
    link : `z` of a mean.
    mean : the mean for `z`.
    loss : the negative log-likelihood of `y` for `z`, but for a constant.
    variance : the variance for a mean, but for a factor.
    has_factor : whether this factor has to be estimated; else it is 1.
    """

    link: Callable[[float], float]
    mean: Callable[[np.ndarray], np.ndarray]
    loss: Callable[[np.ndarray, np.ndarray], np.ndarray]
    variance: Callable[[np.ndarray], np.ndarray]
    has_factor: bool


def _exp(z: np.ndarray) -> np.ndarray:
    return np.exp(np.minimum(z, LARGEST_LOG))


def _integral_of_exp(z: np.ndarray) -> np.ndarray:
    return _exp(z) * (1 + np.maximum(z - LARGEST_LOG, 0))


FAMILIES = {
    "logistic": _Family(
        link=lambda mean: logit(np.clip(mean, LEAST_RATE, 1 - LEAST_RATE)),
        mean=expit,
        loss=lambda z, y: np.logaddexp(0, z) - y * z,
        variance=lambda mean: mean * (1 - mean),
        has_factor=False,
    ),
    "normal": _Family(
        link=lambda mean: mean,
        mean=lambda z: z,
        loss=lambda z, y: (z - y) ** 2 / 2,
        variance=np.ones_like,
        has_factor=True,
    ),
    "poisson": _Family(
        link=lambda mean: np.log(max(mean, LEAST_RATE)),
        mean=_exp,
        loss=lambda z, y: _integral_of_exp(z) - y * z,
        variance=lambda mean: mean,
        has_factor=True,
    ),
}


class _Rows(NamedTuple):
    """The rows of a regression. The last of its coefficients ``(C + 1,)`` is the intercept."""

    x: csr_matrix
    y: np.ndarray
    weights: np.ndarray
    family: _Family = FAMILIES["logistic"]

    def scaled(self, weights: np.ndarray, coefficients: np.ndarray, n_known: float) -> _Rows:
        """The rows with `weights` divided by the factor of the variance, of which at most half is said to be learned.

        `n_known` is how many coefficients the rows determine.
        """
        if not self.family.has_factor:
            return self
        means = self.family.mean(self.sums(coefficients))
        squares = weights @ ((self.y - means) ** 2 / self.family.variance(means))
        total = weights.sum()
        return self._replace(weights=weights / max(squares / max(total - n_known, total / 2), LEAST_RATE))

    def sums(self, coefficients: np.ndarray) -> np.ndarray:
        """The sums of linear terms, ``(n,)``."""
        return self.x @ coefficients[:-1].astype(self.x.dtype) + coefficients[-1]

    def precisions(self, coefficients: np.ndarray) -> np.ndarray:
        """How certain the labels make each coefficient if the others are known: the Hessian's diagonal."""
        information = self.family.variance(self.family.mean(self.sums(coefficients))) * self.weights
        return np.append(self.x.power(2).T @ information.astype(self.x.dtype), information.sum())

    def most_probable(
        self, coefficients: np.ndarray, penalties: np.ndarray, precisions: np.ndarray, max_iter: int
    ) -> np.ndarray:
        """The coefficients at which log-likelihood and prior are largest, by L-BFGS from `coefficients` on.

        With the `precisions` of these, it searches in coordinates in which the Hessian's diagonal is about 1. A value
        that is in half of the rows and one that is in ten are then learned equally fast.
        """
        scales = 1 / np.sqrt(precisions + np.append(penalties, 1))
        penalties = np.append(penalties, 0)

        def loss_and_gradient(scaled: np.ndarray) -> tuple[float, np.ndarray]:
            coefficients = scaled * scales
            z = self.sums(coefficients)
            loss = self.weights @ self.family.loss(z, self.y) + penalties @ coefficients**2 / 2
            residuals = self.weights * (self.family.mean(z) - self.y)
            gradient = np.append(self.x.T @ residuals.astype(self.x.dtype), residuals.sum())
            return float(loss), (gradient + penalties * coefficients) * scales

        start = coefficients / scales
        options = {"maxiter": max_iter, "gtol": 0, "ftol": LEAST_GAIN / max(abs(loss_and_gradient(start)[0]), 1)}
        return minimize(loss_and_gradient, start, method="L-BFGS-B", jac=True, options=options).x * scales


def _updated(penalties: np.ndarray, weights: np.ndarray, precisions: np.ndarray, sources: np.ndarray) -> np.ndarray:
    """The penalties from weights that were found with the former ones, and from how certain the labels make these.

    A variance that is halved also halves the weights, about, of which little is known. So it would take many
    regressions to find the variance of ids with few rows each. The steps assume instead that a weight is what it would
    be without a penalty, times how much is known of it.
    """
    known = precisions / (precisions + penalties)
    without_penalty = np.divide(weights, known, out=np.zeros(len(weights)), where=known > 0)
    for _ in range(N_STEPS):
        known = precisions / (precisions + penalties)
        of_squares = np.bincount(sources, (known * without_penalty) ** 2)
        variances = (of_squares + CERTAINTY * VARIANCE) / (np.bincount(sources, known) + CERTAINTY)
        penalties = 1 / variances[sources]
    return penalties
