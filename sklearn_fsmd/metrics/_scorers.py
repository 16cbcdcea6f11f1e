"""Scorers by name, for ``scoring=`` of scikit-learn's tools."""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics._scorer import _Scorer
from sklearn.utils.validation import check_is_fitted

from sklearn_fsmd.compose import ask, fitted_model, model_of
from sklearn_fsmd.encoding.targets import DEFAULT_NAMES, warn_of_young_rows
from sklearn_fsmd.encoding.warnings import warn_of_orders
from sklearn_fsmd.metrics._inputs import labels_and_scores, undefined
from sklearn_fsmd.metrics._labels import by_classes, has_unequal_classes, is_multilabel, probabilities_of, task_weights
from sklearn_fsmd.metrics._outcomes import named_observations, with_value_parents
from sklearn_fsmd.metrics._per_task import auc_of, cvr_auc, expected_calibration_error, mean_auc, mean_log_loss
from sklearn_fsmd.metrics._values import concordance, decile_bias, value_mae, value_rmse


def get_scorer(name: str, *, as_shown: bool = False) -> Any:
    """Get a scorer by name, for ``scoring=`` of scikit-learn's tools.

    Parameters
    ----------
    name : str
        One of :func:`get_scorer_names`, or one of the following.

        "<task>_auc", with the name of a column of Y, or "task2_auc", with its position. As in `score`, a missing label
        counts as 0 if the step before it in a chain is an observed 0.

        "<task>_given_<task>_auc", such as "order_given_cart_auc". As `cvr_auc` does, it evaluates the probability of
        the first task given the second one, on the rows in which the second one has happened.

        "<value>_concordance", "neg_<value>_mae", "neg_<value>_rmse" or "neg_<value>_decile_bias", for a target with
        values. They evaluate `predict_values`; a value counts as 0 if the step that it follows has not happened. With
        "<value>_given_<step>" instead of "<value>", they evaluate the value given that the step has happened, on the
        rows in which it has.
    as_shown : bool, default=False
        Whether each row is predicted for the position in its `bias_features`, as in the log, which X must then have.
        Only for models of this package.

    Returns
    -------
    scorer : callable ``scorer(estimator, X, Y)``

    Raises
    ------
    ValueError
        If there is no scorer of that name.

    Examples
    --------
    >>> from sklearn_fsmd import FSMDClassifier
    >>> from sklearn_fsmd.datasets import make_funnel
    >>> from sklearn_fsmd.metrics import get_scorer
    >>> X, Y = make_funnel(500, random_state=0, return_X_y=True)
    >>> model = FSMDClassifier(max_epochs=1, random_state=0).fit(X, Y)
    >>> 0.0 <= get_scorer("conversion_auc")(model, X, Y) <= 1.0
    True
    """
    if name in _SCORERS:
        sign = -1 if name.startswith("neg_") else 1
        return TaskScorer(_SCORERS[name], sign, {}, as_shown=as_shown)
    if isinstance(name, str) and name.endswith("_auc"):
        task = name.removesuffix("_auc")
        return TaskScorer(_one_auc, 1, {"task": task}, as_shown=as_shown)
    for ending, metric in _VALUE_METRICS.items():
        if isinstance(name, str) and name.endswith(ending):
            sign = 1 if metric is concordance else -1
            if sign == 1 or name.startswith("neg_"):
                value = name.removesuffix(ending).removeprefix("neg_" if sign == -1 else "")
                return ValueScorer(value, metric, sign, as_shown=as_shown)
    raise ValueError(
        f"There is no scorer {name!r}. Use one of {get_scorer_names()}, '<task>_auc', '<task>_given_<task>_auc', "
        f"'<value>_concordance', 'neg_<value>_mae', 'neg_<value>_rmse' or 'neg_<value>_decile_bias'."
    )


def get_scorer_names() -> list[str]:
    """List the names of scorers that :func:`get_scorer` knows for any data, without names of columns.

    Returns
    -------
    names : list of str

    Examples
    --------
    >>> from sklearn_fsmd.metrics import get_scorer_names
    >>> get_scorer_names()
    ['click_auc', 'conversion_auc', 'cvr_auc', 'mean_auc', 'neg_calibration_error', 'neg_mean_log_loss']
    """
    return sorted([*_SCORERS, *(f"{task}_auc" for task in DEFAULT_NAMES)])


class TaskScorer(_Scorer):
    """A scorer that takes the positive class of each target from the estimator.

    The labels of a fold may not show it: they may all be "no", or all 1 while the classes are 1 and 2.
    """

    def __init__(
        self, metric: Callable[..., float], sign: int, options: dict[str, Any], *, as_shown: bool = False
    ) -> None:
        super().__init__(metric, sign, options, response_method="predict_proba")
        self.as_shown = as_shown

    def _score(self, method_caller: Any, estimator: Any, X: Any, y_true: Any, **kwargs: Any) -> float:
        weights = kwargs.get("sample_weight")
        if not hasattr(model_of(estimator), "classes_"):
            check_is_fitted(estimator)
        warn_of_orders(X=X, Y=y_true, sample_weight=weights)
        labels = by_classes(y_true, estimator, weights)
        self._refuse_ambiguous(labels)
        if weights is not None:
            weights = task_weights(weights, y_true, estimator)
            # Its index was compared with those of X and Y above; the labels have none of their own.
            is_pandas = isinstance(weights, (pd.DataFrame, pd.Series))
            kwargs["sample_weight"] = weights.reset_index(drop=True) if is_pandas else weights
        model = model_of(estimator)
        if hasattr(model, "_targets") and self._score_func is not cvr_auc:  # cvr_auc uses only the clicked rows
            names = list(model.task_names_)
            label_array = np.asarray(labels, dtype=float).reshape(len(labels), len(names))
            scored = [k for k, name in enumerate(names) if self._kwargs.get("task") in (name, f"task{k}")]
            judged = scored if "task" in self._kwargs else None
            parents = model.module_.link.parents
            warn_of_young_rows(label_array, ~np.isnan(label_array), names, parents, judged=judged)
        if self.as_shown:
            fitted_model(estimator)  # raises for models of other packages, which have no `bias_features`
            p = ask(estimator, "predict_marginals", X, as_shown=True)
            p = p[:, 0] if np.ndim(labels) == 1 else p
            return self._sign * self._score_func(labels, p, **self._kwargs, **kwargs)
        # scikit-learn would treat two columns of labels as one target; it fails on labels of two types or of one class.
        if is_multilabel(model) or has_unequal_classes(model):
            return self._sign * self._score_func(labels, probabilities_of(estimator, X), **self._kwargs, **kwargs)
        return super()._score(method_caller, estimator, X, labels, **kwargs)

    def _refuse_ambiguous(self, labels: Any) -> None:
        """Raise if "cvr_auc" or "mean_auc" could also mean a column of Y."""
        names = list(getattr(labels, "columns", ()))
        for scorer_name, metric in _SCORERS.items():
            task = scorer_name.removesuffix("_auc")
            if self._score_func is metric and task != scorer_name and task in names:
                raise ValueError(
                    f"The scorer {scorer_name!r} is ambiguous: a column of Y is named {task!r}. Rename it, or score "
                    f"that column by 'task{names.index(task)}_auc'."
                )


class ValueScorer(_Scorer):
    """A scorer of one target with values, by its name, or given the step that it follows, by "<value>_given_<step>"."""

    def __init__(self, name: str, metric: Callable[..., float], sign: int, *, as_shown: bool = False) -> None:
        super().__init__(metric, sign, {}, response_method="predict")
        self.name, self.as_shown = name, as_shown

    def _score(self, method_caller: Any, estimator: Any, X: Any, y_true: Any, **kwargs: Any) -> float:
        model = model_of(estimator)
        if not hasattr(model, "_targets"):
            check_is_fitted(estimator)
            raise TypeError(
                f"The scorer of {self.name!r} evaluates `predict_values` of a fitted estimator. Got a "
                f"{type(model).__name__}; a callback finds 'valid_loss_{self.name}' in the history."
            )
        weighted = kwargs.get("sample_weight") is not None
        if weighted and self._score_func is concordance:
            raise ValueError(f"The concordance of {self.name!r} does not support weights: leave `sample_weight` out.")
        warn_of_orders(X=X, Y=y_true, sample_weight=kwargs.get("sample_weight"))
        v, conditional = self._value_of(model)
        _, observed, weights = named_observations(
            model, y_true, kwargs.get("sample_weight"), conditional=conditional, targets=[self.name]
        )
        k = len(model.task_names_) + v
        values = np.where(weights[:, k] > 0, observed[:, k], np.nan)
        options = {"sample_weight": weights[:, k]} if weighted else {}
        predicted = ask(estimator, "predict_values", X, conditional=conditional, as_shown=self.as_shown)
        return self._sign * self._score_func(values, predicted[:, v], **options)

    def _value_of(self, model: Any) -> tuple[int, bool]:
        """The position of the value, and whether it is evaluated given the step that it follows."""
        names = model._targets.value_names
        if self.name in names:
            return names.index(self.name), False
        parents = with_value_parents(model, ())
        given = {
            f"{name}_given_{model.task_names_[parent]}": v
            for v, (name, parent) in enumerate(zip(names, parents, strict=True))
            if parent is not None
        }
        if self.name not in given:
            raise ValueError(f"There is no value {self.name!r} to score; the values are {[*names, *given]}.")
        return given[self.name], True


def _one_auc(Y: Any, P: Any, task: str, *, sample_weight: Any = None) -> float:
    """AUC of a task by its name or position, or of "<task>_given_<task>"."""
    names = list(Y.columns) if isinstance(Y, pd.DataFrame) else [Y.name] if isinstance(Y, pd.Series) else []
    labels, scores, weights = labels_and_scores(Y, P, sample_weight)
    positions = {f"task{k}": k for k in range(labels.shape[1])}
    if not names and labels.shape[1] <= 2:  # fit gives these names
        default_names = ["y"] if labels.shape[1] == 1 else DEFAULT_NAMES
        positions |= {default: k for k, default in enumerate(default_names)}
    positions |= {str(column): k for k, column in enumerate(names)}
    if task not in positions and (steps := _step_and_condition(task, positions)):
        step, condition = steps
        if positions[step] == positions[condition]:
            raise ValueError(f"The scorer {task + '_auc'!r} evaluates a task given itself. Name two tasks.")
        return cvr_auc(Y, P, columns=[positions[condition], positions[step]], sample_weight=sample_weight)
    if task not in positions:
        targets = names or [name for name in positions if not name.startswith("task")] or list(positions)
        raise ValueError(f"There is no target {task!r} to score; the targets are {targets}.")
    k = positions[task]
    auc = auc_of(labels[:, k], scores[:, k], weights[:, k])
    return undefined(f"Only one class in task {task!r}: the AUC is not defined.") if np.isnan(auc) else auc


def _step_and_condition(task: str, names: Container[str]) -> tuple[str, str] | None:
    """Split "<task>_given_<task>" into two of the names, which may contain "_given_" themselves."""
    words = task.split("_given_")
    pairs = [("_given_".join(words[:i]), "_given_".join(words[i:])) for i in range(1, len(words))]
    return next((pair for pair in pairs if pair[0] in names and pair[1] in names), None)


def _mean_calibration_error(Y: Any, P: Any, *, sample_weight: Any = None) -> float:
    columns = (x.T for x in labels_and_scores(Y, P, sample_weight))
    errors = np.array([expected_calibration_error(y, p, sample_weight=w) for y, p, w in zip(*columns, strict=True)])
    return float(np.nanmean(errors)) if not np.isnan(errors).all() else float("nan")


_VALUE_METRICS = {
    "_concordance": concordance,
    "_mae": value_mae,
    "_rmse": value_rmse,
    "_decile_bias": decile_bias,
}

_SCORERS = {
    "mean_auc": mean_auc,
    "cvr_auc": cvr_auc,
    "neg_mean_log_loss": mean_log_loss,
    "neg_calibration_error": _mean_calibration_error,
}
