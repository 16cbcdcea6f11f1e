"""One score out of several probabilities, and how to find its exponents."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_consistent_length

from sklearn_fsmd.compose import fitted_model
from sklearn_fsmd.encoding import as_pandas, warn_of_order
from sklearn_fsmd.metrics import check_count, predictions

__all__ = ["pareto_front", "tune_rank_weights", "weighted_product"]

STEPS = (0.2, 0.1, 0.05, 0.02, 0.01)
"""How much weight is moved from one task to another, from the coarse search to the fine."""
EFFICIENT = "efficient"
"""The column that says of each point of a front whether it is efficient."""


def weighted_product(p: Any, weights: Sequence[float] | np.ndarray | Mapping[Any, float] | None = None) -> np.ndarray:
    """Π_k p_k^{α_k}, the fusion of Sec. II-A. A negative p counts as 0.

    Parameters
    ----------
    p : array-like of shape (n, K), probabilities.
        One below 1.2e-38, the smallest normal float32, counts as this; 0 counts as 0 where its exponent is positive.
    weights : array-like of shape (K,), or dict, default=None
        The exponents α; None takes 1 for all. Where `p` is a DataFrame, a dict or a Series may have them by the names
        of its columns; what it does not name has 0.

    Returns
    -------
    score : ndarray of shape (n,), float64

    Raises
    ------
    ValueError
        If `p` has not two dimensions or holds what is no number, or the weights are not one finite number per task, or
        all zero, or so large that unlike products tie at 0 or infinity, though their probabilities are not tiny.

    Examples
    --------
    >>> from sklearn_fsmd.ranking import weighted_product
    >>> weighted_product([[0.5, 0.2], [0.4, 0.3]], weights=[1, 1]).round(2)
    array([0.1 , 0.12])
    """
    p = as_pandas(p)
    if isinstance(p, pd.DataFrame):
        weights = _by_name(weights, list(p.columns))
    p = np.asarray(p)
    if p.dtype.kind != "f":
        try:
            p = p.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(f"`p` must hold a number in each place: {error}.") from None
    if p.ndim != 2:
        raise ValueError(f"`p` must have the shape (n, K), with a column per task. Got the shape {p.shape}.")
    exponents = np.ones(p.shape[1]) if weights is None else exponents_of(weights, [p.shape[1]])
    if np.isnan(p).any():
        raise ValueError("`p` must hold a number in each place, and has NaN.")
    tiny, range_ = np.finfo(np.float32).tiny, np.finfo(np.float64)
    logs = np.log(np.maximum(p, tiny), dtype=np.float64) @ exponents
    lost = ((logs < np.log(range_.tiny)) | (logs > np.log(range_.max))) & (p > tiny)[:, exponents != 0].all(axis=1)
    if len(np.unique(logs[lost])) > 1:
        raise ValueError(
            f"`weights` are so large that products vanish or overflow, and rows tie: {weights!r}. An order depends on "
            f"their proportions alone: divide all by {np.abs(exponents).max():g}."
        )
    return np.where((p <= 0)[:, exponents > 0].any(axis=1), 0.0, np.exp(logs))


def exponents_of(weights: Any, numbers: Sequence[int], parameter: str = "weights") -> np.ndarray:
    """The exponents as an array, of which there may be so many: one per task, or one per task and value too.

    Raises
    ------
    ValueError
        If they are not as many finite numbers, or all zero.
    """
    try:
        exponents = np.asarray(weights, dtype=float)
    except (TypeError, ValueError):
        exponents = np.empty(0)
    if exponents.shape not in [(n,) for n in numbers] or not np.isfinite(exponents).all():
        what = "one per task" + (", or one per task and value" if len(numbers) > 1 else "")
        raise ValueError(
            f"`{parameter}` must be {' or '.join(map(str, numbers))} finite numbers, {what}. Got {weights!r} instead."
        )
    if not exponents.any():
        raise ValueError(f"`{parameter}` must not all be zero: nothing would be ranked by. Got {weights!r}.")
    return exponents


def listed(weights: Any, model: Any, parameter: str = "weights") -> Any:
    """Weights as a list, one for each task and value of `model`, if they are given by name; others are 0.

    Raises
    ------
    ValueError
        If they name something else.
    """
    return _by_name(weights, [*model.task_names_, *model.value_names_], parameter)


def _by_name(weights: Any, names: list[Any], parameter: str = "weights") -> Any:
    if isinstance(weights, pd.Series):
        has_names = not pd.api.types.is_integer_dtype(weights.index) or set(weights.index) & set(names)
        weights = weights.to_dict() if has_names else weights
    if not isinstance(weights, Mapping):
        return weights
    if unknown := [name for name in weights if name not in names]:
        raise ValueError(f"`{parameter}` names {unknown[0]!r}. The names are {', '.join(map(repr, names))}.")
    return [weights.get(name, 0.0) for name in names]


def tune_rank_weights(estimator: Any, X: Any, Y: Any, utility: Callable[[Any, np.ndarray], float]) -> np.ndarray:
    """The exponents of `rank_score` that serve a stated objective best, on validation data.

    Only the proportions of the weights decide about an order, so they are sought on the simplex: from the best of equal
    weights and each task alone, weight moves from one task to another as long as that helps, in ever smaller steps.
    An objective that looks at the order alone is piecewise constant, so there is no gradient to follow.

    Parameters
    ----------
    estimator : fitted MultiTaskClassifier, a Pipeline or search that ends in one, or anything with `predict_marginals`.
    X, Y : validation data, that the estimator was not trained on.
    utility : callable ``utility(Y, score) -> float``
        What the ranking by `score`, of shape (n_samples,), is worth; higher is better. For instance
        ``lambda Y, score: ndcg_at_k(Y["click"] + 5 * Y["conversion"], score, X["user_id"], k=10)``.

    Returns
    -------
    weights : ndarray of shape (n_tasks + n_values,)
        Not negative, with the sum 1: those of the probabilities, and then those of the expected values, if the
        estimator has some.

    Raises
    ------
    ValueError
        If the utility is not a finite number.
    TypeError
        If it is no number.

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
    n_tasks = P.shape[1]

    def worth(weights: np.ndarray) -> float:
        return _worth(utility, Y, P, weights)

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


def pareto_front(
    estimator: Any,
    X: Any,
    Y: Any,
    utilities: Mapping[str, Callable[[Any, np.ndarray], float]],
    *,
    n_steps: int | None = None,
) -> pd.DataFrame:
    """Try many exponents of `rank_score`: what each objective reaches with them, and which of them are efficient.

    Only the proportions of the weights decide about an order, so they go over a grid of the simplex: with two
    probabilities from the first alone, step by step, to the second alone.

    Parameters
    ----------
    estimator, X, Y : as in :func:`tune_rank_weights`.
    utilities : dict of name to callable ``utility(Y, score) -> float``
        At least two, each as in :func:`tune_rank_weights`; for instance the NDCG of the clicks, and of the conversions.
        A name must not be "efficient" or "weight_<i>", which are for other columns of the table.
    n_steps : int, default=None
        Into how many steps an edge of the simplex is cut. None takes 20 for two factors, 10 for three and 4 for more.

    Returns
    -------
    points : DataFrame with a row per point of the grid
        ``weight_<i>`` of each factor, a column per utility, and ``efficient``: whether no other point is at least as
        good in all utilities and better in one. The factors are the probabilities and then the expected values.

    Raises
    ------
    ValueError
        If there are fewer than two utilities or fewer than two factors, a name is taken, `n_steps` is less than 1, or a
        utility is not a finite number.
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
    reached = np.array([[_worth(utility, Y, P, weights) for utility in utilities.values()] for weights in grid])
    points = pd.DataFrame(grid, columns=[f"weight_{i}" for i in range(n_factors)])
    points[list(utilities)] = reached
    return points.assign(**{EFFICIENT: efficient(reached)})


def is_weight(column: Any) -> bool:
    """Whether a column of the table of :func:`pareto_front` holds the weights of a factor."""
    return re.fullmatch(r"weight_\d+", str(column)) is not None


def efficient(points: np.ndarray) -> np.ndarray:
    """Which rows of ``(n, U)`` no other row is at least as good as in all columns, and better than in one, ``(n,)``."""
    found = np.ones(len(points), dtype=bool)
    front = np.empty((0, points.shape[1]))
    for i in np.lexsort(points.T)[::-1]:  # whatever is better than a point comes before it
        found[i] = not ((front >= points[i]).all(axis=1) & (front > points[i]).any(axis=1)).any()
        if found[i]:
            front = np.vstack((front, points[i]))
    return found


def _compositions(total: int, n_parts: int) -> Iterator[tuple[int, ...]]:
    """All ways to write `total` as a sum of `n_parts` whole numbers, in ascending order."""
    if n_parts == 1:
        yield (total,)
        return
    for first in range(total + 1):
        yield from ((first, *rest) for rest in _compositions(total - first, n_parts - 1))


def _factors(estimator: Any, X: Any) -> np.ndarray:
    """What is multiplied: the marginals, and expected values, if there are some, of which a negative one is 0."""
    is_foreign = hasattr(estimator, "predict_marginals") and not hasattr(estimator, "_marginals_and_values")
    if is_foreign:
        return estimator.predict_marginals(X)
    fitted_model(estimator)  # or it is said that it is none
    return predictions(estimator, X).clip(min=0)


def _worth(utility: Callable[[Any, np.ndarray], float], Y: Any, P: np.ndarray, weights: np.ndarray) -> float:
    value = utility(Y, weighted_product(P, weights))
    if not isinstance(value, Real):
        raise TypeError(f"The 'utility' must return a number. Got {value!r} instead.")
    if not np.isfinite(value):
        raise ValueError(f"The utility must be a finite number. Got {value} for the weights {weights.tolist()}.")
    return float(value)


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
