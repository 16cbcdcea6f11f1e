"""One score out of several probabilities, and how to find its exponents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any

import numpy as np
from sklearn.utils.validation import check_consistent_length

__all__ = ["tune_rank_weights", "weighted_product"]

STEPS = (0.2, 0.1, 0.05, 0.02, 0.01)
"""How much weight is moved from one task to another, from the coarse search to the fine."""


def weighted_product(p: Any, weights: Sequence[float] | np.ndarray | None = None) -> np.ndarray:
    """Π_k p_k^{α_k}, the fusion of Sec. II-A.

    Parameters
    ----------
    p : array-like of shape (n, K), probabilities.
    weights : array-like of shape (K,), default=None
        The exponents α; None takes 1 for all.

    Returns
    -------
    score : ndarray of shape (n,), float64

    Raises
    ------
    ValueError
        If the weights are not one finite number per task, or all zero.

    Examples
    --------
    >>> from sklearn_fsmd.ranking import weighted_product
    >>> weighted_product([[0.5, 0.2], [0.4, 0.3]], weights=[1, 1]).round(2)
    array([0.1 , 0.12])
    """
    p = np.asarray(p)
    try:
        exponents = np.ones(p.shape[1]) if weights is None else np.asarray(weights, dtype=float)
    except (TypeError, ValueError):
        exponents = np.empty(0)
    if exponents.shape != (p.shape[1],) or not np.isfinite(exponents).all():
        raise ValueError(f"`weights` must be {p.shape[1]} finite numbers, one per task. Got {weights!r} instead.")
    if not exponents.any():
        raise ValueError(f"`weights` must not all be zero: nothing would be ranked by. Got {weights!r}.")
    logs = np.log(np.maximum(p, np.finfo(np.float32).tiny), dtype=np.float64)
    return np.exp(logs @ exponents)


def tune_rank_weights(estimator: Any, X: Any, Y: Any, utility: Callable[[Any, np.ndarray], float]) -> np.ndarray:
    """The exponents of `rank_score` that serve a stated objective best, on validation data.

    Only the proportions of the weights decide about an order, so they are sought on the simplex: from the best of equal
    weights and each task alone, weight moves from one task to another as long as that helps, in ever smaller steps.
    An objective that looks at the order alone is piecewise constant, so there is no gradient to follow.

    Parameters
    ----------
    estimator : fitted MultiTaskClassifier, or anything with `predict_marginals`.
    X, Y : validation data, that the estimator was not trained on.
    utility : callable ``utility(Y, score) -> float``
        What the ranking by `score`, of shape (n_samples,), is worth; higher is better. For instance
        ``lambda Y, score: ndcg_at_k(Y["click"] + 5 * Y["conversion"], score, X["user_id"], k=10)``.

    Returns
    -------
    weights : ndarray of shape (n_tasks,), not negative, with the sum 1. Those of expected values, if the estimator has
        some, follow those of the probabilities.

    Raises
    ------
    ValueError
        If the utility is not a finite number.

    Examples
    --------
    >>> from sklearn_fsmd import FSMDClassifier
    >>> from sklearn_fsmd.datasets import make_funnel
    >>> from sklearn_fsmd.metrics import ndcg_at_k
    >>> from sklearn_fsmd.ranking import tune_rank_weights
    >>> X, Y = make_funnel(600, random_state=0, return_X_y=True)
    >>> model = FSMDClassifier(max_epochs=2, random_state=0).fit(X[:400], Y[:400])
    >>> X_val, Y_val = X[400:], Y[400:]
    >>> weights = tune_rank_weights(
    ...     model, X_val, Y_val, lambda Y, score: ndcg_at_k(Y["conversion"], score, X_val["segment"], k=10)
    ... )
    >>> float(weights.sum().round(6))
    1.0
    """
    P = estimator.predict_marginals(X)
    if getattr(estimator, "value_targets", None):
        P = np.hstack((P, estimator.predict_values(X).clip(min=0)))
    check_consistent_length(P, Y)
    n_tasks = P.shape[1]

    def worth(weights: np.ndarray) -> float:
        value = utility(Y, weighted_product(P, weights))
        if not isinstance(value, Real):
            raise TypeError(f"The 'utility' must return a number. Got {value!r} instead.")
        if not np.isfinite(value):
            raise ValueError(f"The utility must be a finite number. Got {value} for the weights {weights.tolist()}.")
        return value

    starts = [np.full(n_tasks, 1 / n_tasks), *np.eye(n_tasks)]
    values = [worth(start) for start in starts]
    best, value = starts[int(np.argmax(values))], max(values)
    for step in STEPS:
        moved = True
        while moved:
            moved = False
            for candidate in _moves(best, step):
                if (found := worth(candidate)) > value:
                    best, value, moved = candidate, found, True
                    break
    return best


def _moves(weights: np.ndarray, step: float) -> list[np.ndarray]:
    """All weights that differ by `step`, taken from one task and given to another."""
    moves = []
    for source in np.flatnonzero(weights > 0):
        for target in range(len(weights)):
            if target != source:
                amount = min(step, weights[source])
                moved = weights.copy()
                moved[source] -= amount
                moved[target] += amount
                moves.append(moved / moved.sum())
    return moves
