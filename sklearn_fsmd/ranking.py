"""The ranking score of several probabilities, and the search for its exponents."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_consistent_length

from sklearn_fsmd.compose import fitted_model
from sklearn_fsmd.encoding.table import as_pandas
from sklearn_fsmd.encoding.warnings import warn_of_order
from sklearn_fsmd.metrics import check_count, predictions

__all__ = ["pareto_front", "tune_rank_weights", "weighted_product"]

STEPS = (0.2, 0.1, 0.05, 0.02, 0.01)
"""Amounts of weight that the search moves from one task to another, from coarse to fine."""
EFFICIENT = "efficient"
"""Column of the table of a front that marks the efficient points."""


def weighted_product(p: Any, weights: Sequence[float] | np.ndarray | Mapping[Any, float] | None = None) -> np.ndarray:
    """Compute the weighted product Π_k p_k^{α_k}, the fusion of Sec. II-A of the FSMD paper.

    Parameters
    ----------
    p : array-like of shape (n, K), probabilities.
        A negative value counts as 0. Values below 1.2e-38, the smallest normal float32, are raised to it, except that
        0 makes the product 0 if its exponent is positive.
    weights : array-like of shape (K,), or dict, default=None
        The exponents α; None means 1 for all. If `p` is a DataFrame, a dict or a Series may map the names of its
        columns to exponents; columns that it does not name get 0.

    Returns
    -------
    score : ndarray of shape (n,), float64

    Raises
    ------
    ValueError
        If `p` does not have two dimensions or holds anything but numbers; or if the weights are not one finite number
        per task, are all zero, or are so large that different products tie at 0 or infinity although their
        probabilities are not tiny.

    Examples
    --------
    >>> from sklearn_fsmd.ranking import weighted_product
    >>> weighted_product([[0.5, 0.2], [0.4, 0.3]], weights=[1, 1]).round(2)
    array([0.1 , 0.12])
    """
    p = as_pandas(p)
    if isinstance(p, pd.DataFrame):
        weights = _by_name(weights, list(p.columns))
    elif isinstance(weights, Mapping) or (
        isinstance(weights, pd.Series) and list(weights.index) != list(range(len(weights)))
    ):
        raise ValueError(
            f"`weights` are given by name, {list(weights.keys())}, and `p` has no names. Pass a DataFrame as `p`, or a "
            "list of weights in the order of its columns."
        )
    p = np.asarray(p)
    if p.dtype.kind != "f":
        try:
            p = p.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(f"`p` must hold a number in each cell: {error}.") from None
    if p.ndim != 2:
        raise ValueError(f"`p` must have the shape (n, K), with a column per task. Got the shape {p.shape}.")
    exponents = np.ones(p.shape[1]) if weights is None else exponents_of(weights, [p.shape[1]])
    if np.isnan(p).any():
        raise ValueError("`p` must hold a number in each cell, and has NaN.")
    tiny, float64 = np.finfo(np.float32).tiny, np.finfo(np.float64)
    logs = np.log(np.maximum(p, tiny), dtype=np.float64) @ exponents
    out_of_range = (logs < np.log(float64.tiny)) | (logs > np.log(float64.max))
    lost = out_of_range & (p > tiny)[:, exponents != 0].all(axis=1)
    if len(np.unique(logs[lost])) > 1:
        raise ValueError(
            f"`weights` are so large that products vanish or overflow, and rows tie: {weights!r}. The order depends on "
            f"their proportions alone: divide all by {np.abs(exponents).max():g}."
        )
    return np.where((p <= 0)[:, exponents > 0].any(axis=1), 0.0, np.exp(logs))


def exponents_of(weights: Any, lengths: Sequence[int], parameter: str = "weights") -> np.ndarray:
    """Check the exponents and return them as an array.

    Parameters
    ----------
    weights : array-like, the exponents.
    lengths : the numbers of exponents that are allowed: one per task, and perhaps one per task and value.
    parameter : name of the parameter in messages.

    Raises
    ------
    ValueError
        If they are not as many finite numbers, or all zero.
    """
    try:
        exponents = np.asarray(weights, dtype=float)
    except (TypeError, ValueError):
        exponents = np.empty(0)
    if exponents.shape not in [(n,) for n in lengths] or not np.isfinite(exponents).all():
        what = "one per task" + (", or one per task and value" if len(lengths) > 1 else "")
        raise ValueError(
            f"`{parameter}` must be {' or '.join(map(str, lengths))} finite numbers, {what}. Got {weights!r} instead."
        )
    if not exponents.any():
        raise ValueError(f"`{parameter}` must not all be zero: there would be nothing to rank by. Got {weights!r}.")
    return exponents


def listed(weights: Any, model: Any, parameter: str = "weights") -> Any:
    """Turn weights by name into a list with one for each task and value of `model`; those without a name are 0.

    Weights without names are returned unchanged.

    Raises
    ------
    ValueError
        If they contain an unknown name.
    """
    return _by_name(weights, [*model.task_names_, *model.value_names_], parameter)


def _by_name(weights: Any, names: list[Any], parameter: str = "weights") -> Any:
    if isinstance(weights, pd.Series):
        has_names = not pd.api.types.is_integer_dtype(weights.index) or set(weights.index) & set(names)
        if not has_names and list(weights.index) != list(range(len(weights))):
            raise ValueError(
                f"`{parameter}` is a Series with the index {list(weights.index)}, which neither names columns nor "
                f"counts them from 0. Use the names {', '.join(map(repr, names))}, or pass a list in this order."
            )
        weights = weights.to_dict() if has_names else weights
    if not isinstance(weights, Mapping):
        return weights
    if unknown := [name for name in weights if name not in names]:
        raise ValueError(f"`{parameter}` names {unknown[0]!r}. The names are {', '.join(map(repr, names))}.")
    return [weights.get(name, 0.0) for name in names]


def tune_rank_weights(estimator: Any, X: Any, Y: Any, utility: Callable[[Any, np.ndarray], float]) -> np.ndarray:
    """Search the exponents of `rank_score` that maximise a utility on validation data.

    The order of the rows depends only on the proportions of the weights, so the search is on the simplex. It starts
    from the best of equal weights and each task alone, and moves weight from one task to another as long as this
    helps, in ever smaller steps. There is no gradient to follow, since a utility that depends only on the order is
    piecewise constant.

    Parameters
    ----------
    estimator : fitted MultiTaskClassifier, a Pipeline or search that ends in one, or anything with `predict_marginals`.
    X, Y : validation data that the estimator was not trained on.
    utility : callable ``utility(Y, score) -> float``
        Utility of the ranking by `score`, of shape (n_samples,); higher is better. For instance
        ``lambda Y, score: ndcg_at_k(Y["click"] + 5 * Y["conversion"], score, X["user_id"], k=10)``.

    Returns
    -------
    weights : ndarray of shape (n_tasks + n_values,)
        Not negative, with the sum 1. The weights of the probabilities come first, then those of the expected values, if
        the estimator has any.

    Raises
    ------
    ValueError
        If the utility is NaN or infinite.
    TypeError
        If the utility is no number.

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
    warn_of_order(X, Y)
    P = _factors(estimator, X)
    check_consistent_length(P, Y)
    n_factors = P.shape[1]
    starts = [np.full(n_factors, 1 / n_factors), *np.eye(n_factors)]
    utilities = [_checked_utility(utility, Y, P, start) for start in starts]
    best, best_utility = starts[int(np.argmax(utilities))], max(utilities)
    for step in STEPS:
        has_improved = True
        while has_improved:
            has_improved = False
            for candidate in _neighbours(best, step):
                if (candidate_utility := _checked_utility(utility, Y, P, candidate)) > best_utility:
                    best, best_utility, has_improved = candidate, candidate_utility, True
                    break
    return best


def pareto_front(
    estimator: Any,
    X: Any,
    Y: Any,
    utilities: Mapping[str, Callable[[Any, np.ndarray], float]],
    *,
    n_steps: int | None = None,
) -> pd.DataFrame:
    """Evaluate several utilities on a grid of exponents of `rank_score`, and mark the efficient points.

    The order of the rows depends only on the proportions of the weights, so the grid covers the simplex. With two
    probabilities it goes from the first alone, step by step, to the second alone.

    Parameters
    ----------
    estimator, X, Y : as in :func:`tune_rank_weights`.
    utilities : dict of name to callable ``utility(Y, score) -> float``
        At least two, each as in :func:`tune_rank_weights`; for instance the NDCG of the clicks, and of the conversions.
        The names "efficient" and "weight_<i>" are not allowed, since other columns of the table have them.
    n_steps : int, default=None
        Number of steps along an edge of the simplex. None means 20 for two factors, 10 for three and 4 for more.

    Returns
    -------
    points : DataFrame with a row per point of the grid
        ``weight_<i>`` of each factor, a column per utility, and ``efficient``: whether no other point is at least as
        good in all utilities and better in one. The factors are the probabilities and then the expected values.

    Raises
    ------
    ValueError
        If there are fewer than two utilities or fewer than two factors, if the name of a utility is not allowed, if
        `n_steps` is less than 1, or if a utility is NaN or infinite.
    TypeError
        If a utility is no number.

    Examples
    --------
    >>> from sklearn_fsmd import FSMDClassifier
    >>> from sklearn_fsmd.datasets import make_funnel
    >>> from sklearn_fsmd.metrics import ndcg_at_k
    >>> from sklearn_fsmd.ranking import pareto_front
    >>> X, Y = make_funnel(600, random_state=0, return_X_y=True)
    >>> model = FSMDClassifier(max_epochs=2, random_state=0).fit(X[:400], Y[:400])
    >>> segments = X["segment"][400:]
    >>> utilities = {
    ...     name: lambda Y, score, name=name: ndcg_at_k(Y[name], score, segments) for name in ("click", "conversion")
    ... }
    >>> points = pareto_front(model, X[400:], Y[400:], utilities, n_steps=4)
    >>> len(points), bool(points["efficient"].any())
    (5, True)
    """
    warn_of_order(X, Y)
    P = _factors(estimator, X)
    check_consistent_length(P, Y)
    n_factors = P.shape[1]
    if n_factors < 2:
        raise ValueError("One probability alone has no weights to move: a front needs two targets or more.")
    if len(utilities) < 2:
        raise ValueError(f"A front needs at least two utilities. Got {list(utilities)}.")
    if taken := [name for name in utilities if name == EFFICIENT or is_weight(name)]:
        raise ValueError(f"`utilities` has the name {taken[0]!r}, which is for another column of the table. Change it.")
    n_steps = {2: 20, 3: 10}.get(n_factors, 4) if n_steps is None else n_steps
    check_count("n_steps", n_steps)
    grid = np.array(list(_compositions(n_steps, n_factors)))[::-1] / n_steps
    values = np.array(
        [[_checked_utility(utility, Y, P, weights) for utility in utilities.values()] for weights in grid]
    )
    points = pd.DataFrame(grid, columns=[f"weight_{i}" for i in range(n_factors)])
    points[list(utilities)] = values
    return points.assign(**{EFFICIENT: efficient(values)})


def is_weight(column: Any) -> bool:
    """Whether a column of the table of :func:`pareto_front` holds the weights of a factor."""
    return re.fullmatch(r"weight_\d+", str(column)) is not None


def efficient(points: np.ndarray) -> np.ndarray:
    """Which of the points ``(n, U)`` are Pareto-efficient, ``(n,)``: no other point dominates them.

    A point dominates another one if it is at least as good in all columns and better in one.
    """
    is_efficient = np.ones(len(points), dtype=bool)
    front = np.empty((0, points.shape[1]))
    for i in np.lexsort(points.T)[::-1]:  # a point comes after all that dominate it
        is_efficient[i] = not ((front >= points[i]).all(axis=1) & (front > points[i]).any(axis=1)).any()
        if is_efficient[i]:
            front = np.vstack((front, points[i]))
    return is_efficient


def _compositions(total: int, n_parts: int) -> Iterator[tuple[int, ...]]:
    """Yield all ways to write `total` as a sum of `n_parts` whole numbers, in ascending order."""
    if n_parts == 1:
        yield (total,)
        return
    for first in range(total + 1):
        yield from ((first, *rest) for rest in _compositions(total - first, n_parts - 1))


def _factors(estimator: Any, X: Any) -> np.ndarray:
    """Predict the factors of the product: the marginals and the expected values, if there are any, clipped at 0."""
    is_foreign = hasattr(estimator, "predict_marginals") and not hasattr(estimator, "_marginals_and_values")
    if is_foreign:
        return estimator.predict_marginals(X)
    fitted_model(estimator)  # raises if it is no fitted classifier of this package
    return predictions(estimator, X).clip(min=0)


def _checked_utility(utility: Callable[[Any, np.ndarray], float], Y: Any, P: np.ndarray, weights: np.ndarray) -> float:
    """The utility of the ranking by these weights, checked to be a finite number."""
    value = utility(Y, weighted_product(P, weights))
    if not isinstance(value, Real):
        raise TypeError(f"The 'utility' must return a number. Got {value!r} instead.")
    if not np.isfinite(value):
        raise ValueError(f"The utility must be a finite number. Got {value} for the weights {weights.tolist()}.")
    return float(value)


def _neighbours(weights: np.ndarray, step: float) -> list[np.ndarray]:
    """All weights that result from moving `step` from one task to another."""
    neighbours = []
    for source in np.flatnonzero(weights > 0):
        for target in range(len(weights)):
            if target != source:
                amount = min(step, weights[source])
                moved = weights.copy()
                moved[source] -= amount
                moved[target] += amount
                neighbours.append(moved / moved.sum())
    return neighbours
