"""Observations and predictions of each target, row by row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils.validation import check_consistent_length

from sklearn_fsmd.compose import ask, fitted_model, model_of
from sklearn_fsmd.encoding.columns import twice_in
from sklearn_fsmd.encoding.table import as_pandas
from sklearn_fsmd.encoding.targets import names_of, warn_of_young_rows
from sklearn_fsmd.encoding.warnings import warn_of_orders
from sklearn_fsmd.metrics._inputs import labels_and_scores


class Outcome(NamedTuple):
    """Observations and predictions of one target, for the rows in which it was observed."""

    name: str
    is_value: bool
    rows: np.ndarray
    """(m,), the positions of these rows in X."""
    observed: np.ndarray
    """(m,), 0 and 1, or values; 0 where the step that a value follows has not happened."""
    predicted: np.ndarray
    """(m,), probabilities, or expected values."""
    weights: np.ndarray
    """(m,), none of them 0."""


def predictions(estimator: Any, X: Any, *, conditional: bool = False, as_shown: bool = False) -> np.ndarray:
    """Predict the marginals and expected values, ``(n, K + V)``; with `conditional`, both given the step before."""
    if not conditional:
        return ask(estimator, "_marginals_and_values", X, as_shown=as_shown)
    p = ask(estimator, "predict_conditionals", X, as_shown=as_shown)
    if not model_of(estimator).value_names_:
        return p
    return np.hstack((p, ask(estimator, "predict_values", X, conditional=True, as_shown=as_shown)))


def outcomes(
    estimator: Any,
    X: Any,
    Y: Any,
    sample_weight: Any = None,
    *,
    conditional: bool = False,
    as_shown: bool = False,
    targets: Sequence[str] | None = None,
) -> list[Outcome]:
    """Collect observations and predictions of each target of `Y`, the binary targets first and then the values.

    Parameters
    ----------
    estimator : fitted MultiTaskClassifier, or a Pipeline or search that ends in one.
    X, Y : as for the `score` of the estimator; NaN in Y means not observed.
    sample_weight : array-like of shape (n,) or (n, K + V), default=None
    conditional : whether to evaluate a step, or a value that follows one, by its conditional probability or value, on
        the rows in which its parent has happened. Its name is then for instance "conversion | click".
    as_shown : whether to predict each row for the position in its `bias_features`.
    targets : names of the targets that will be evaluated, which a warning of young rows may name; None means all.
    """
    model = fitted_model(estimator)
    warn_of_orders(X=X, Y=Y, sample_weight=sample_weight)
    P, Y = predictions(estimator, X, conditional=conditional, as_shown=as_shown), as_pandas(Y)
    check_consistent_length(P, Y)
    names, observed, weights = named_observations(model, Y, sample_weight, conditional=conditional, targets=targets)
    by_target = []
    for k, name in enumerate(names):
        rows = np.flatnonzero(weights[:, k] > 0)
        columns = (observed[rows, k], P[rows, k].astype(np.float64), weights[rows, k])
        by_target.append(Outcome(name, k >= len(model.task_names_), rows, *columns))
    return by_target


def named_observations(
    model: Any,
    Y: Any,
    sample_weight: Any = None,
    *,
    conditional: bool = False,
    targets: Sequence[str] | None = None,
) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Names of all targets, and their :func:`observations`; warns of rows whose labels are not final yet.

    For `conditional` and `targets` see :func:`outcomes`.
    """
    names, (observed, weights) = [*model.task_names_, *model.value_names_], observations(model, Y, sample_weight)
    if conditional:
        return _conditional_observations(model, observed, weights)
    judged = [k for k, name in enumerate(names) if targets is None or name in targets]
    warn_of_young_rows(observed, weights, names, with_value_parents(model, model.module_.link.parents), judged=judged)
    return names, observed, weights


def _conditional_observations(
    model: Any, observed: np.ndarray, weights: np.ndarray
) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Names such as "conversion | click", and weights ``(n, K + V)`` that are 0 if the step before has not happened."""
    names = [*model.task_names_, *model.value_names_]
    conditional_names, conditional_weights = list(names), weights.copy()
    for k, before in enumerate(with_value_parents(model, model._steps_before)):
        if before is not None:
            conditional_weights[:, k] *= (observed[:, before] == 1) & (weights[:, before] > 0)
            conditional_names[k] = f"{names[k]} | {names[before]}"
    return conditional_names, observed, conditional_weights


def with_value_parents(model: Any, parents: Sequence[int | None]) -> list[int | None]:
    """The `parents` of the binary targets, followed by those of the values."""
    of_values = model._targets.of_values
    return [*parents, *(() if of_values is None else of_values.parents)]


def observations(model: Any, Y: Any, sample_weight: Any = None) -> tuple[np.ndarray, np.ndarray]:
    """Labels and values ``(n, K + V)`` float64, and their weights, 0 where nothing was observed."""
    targets = model._targets
    encoded = targets.encode(Y, sample_weight, model.module_.link.parents, scale=False, warns=False)
    labels = encoded.labels.astype(np.float64)
    weights = np.ones_like(labels) if encoded.weights is None else encoded.weights.astype(np.float64)
    if not model.value_names_:
        return labels, weights
    _, values = targets.over_impressions(Y, model.module_.link.parents)
    value_weights = np.ones_like(values) if sample_weight is None else targets.split_weights(sample_weight, Y)[1]
    value_weights = np.where(np.isnan(values), 0.0, value_weights)
    for v, parent in enumerate(targets.of_values.parents):
        if parent is not None:
            value_weights[weights[:, parent] == 0, v] = 0.0  # it is unknown whether the step has happened
    return np.hstack((labels, np.nan_to_num(values))), np.hstack((weights, value_weights))


def outcomes_of(Y: Any, P: Any, names: Sequence[str] | None = None, sample_weight: Any = None) -> list[Outcome]:
    """Collect labels and probabilities of each column of `Y`, from any model; see :mod:`sklearn_fsmd.metrics`.

    Parameters
    ----------
    Y, P, sample_weight : as in :func:`auc_per_task`.
    names : names of the targets; None means the columns of Y or, if it has no names, the default names of fit.

    Raises
    ------
    ValueError
        If two targets have the same name.
    """
    labels, p, weights = labels_and_scores(Y, P, sample_weight, are_probabilities=True)
    names = names_of(as_pandas(Y)) if names is None else list(names)
    if len(names) != labels.shape[1]:
        raise ValueError(f"Y has {labels.shape[1]} tasks, and `task_names` has {len(names)}: {list(names)}.")
    if twice := twice_in(names):
        raise ValueError(f"Two targets are named {twice[0]!r}. Give each a name of its own by `task_names`.")
    weights = np.where(np.isnan(labels), 0.0, weights)
    by_target = []
    for k, name in enumerate(names):
        rows = np.flatnonzero(weights[:, k] > 0)
        by_target.append(Outcome(name, False, rows, labels[rows, k], p[rows, k], weights[rows, k]))
    return by_target


def has_lift(observed: np.ndarray) -> bool:
    """Whether the lift is defined: no observation is negative, and some are not 0."""
    return bool(len(observed) and observed.min() >= 0 and observed.max() > 0)


def refuse_unobserved(sizes: Iterable[tuple[str, int]]) -> None:
    """Raise ValueError if a target has no observed row; `sizes` are pairs of a name and its number of these rows."""
    for name, n in sizes:
        if not n:
            raise ValueError(f"The target {name!r} has no observed row in Y with a weight above 0.")
