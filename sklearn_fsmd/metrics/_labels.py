"""Labels and weights of Y, converted as the model at the end of Pipelines and searches needs them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sklearn_fsmd.compose import model_of
from sklearn_fsmd.encoding.table import as_pandas
from sklearn_fsmd.metrics._inputs import zeros_and_ones


def by_classes(Y: Any, estimator: Any, sample_weight: Any = None) -> Any:
    """Convert the binary targets of `Y` to zeros and ones with names, and leave out the columns that hold values.

    If Y has no names, they get the names of the model. For a model of this package the labels are those of its `score`:
    after an observed 0 with a weight above 0, a missing label of the next step is a 0.

    Raises
    ------
    ValueError
        If Y does not have the columns of fit, in the same order.
    """
    Y, model = as_pandas(Y), model_of(estimator)
    if hasattr(model, "_targets"):
        labels = _labels_of_chain(model, Y, sample_weight)
        Y, _ = model._targets.over_impressions(Y, model.module_.link.parents)
        if not isinstance(Y, pd.DataFrame) and np.ndim(Y) == 2:
            return pd.DataFrame(labels, columns=model.task_names_)
        if np.ndim(Y) == 1 and getattr(Y, "name", None) is None:
            return pd.Series(labels.ravel(), name=model.task_names_[0])
    elif (classes := getattr(estimator, "classes_", None)) is not None:
        if isinstance(classes, (list, tuple)):
            labels = zeros_and_ones(Y, [np.array([0, 1]) if _is_0_or_1(own) else own for own in classes])
        else:  # `classes_` of a multilabel classifier are numbers or names of columns, whose labels are 0 and 1
            labels = zeros_and_ones(Y, [np.array([0, 1])] * len(classes) if is_multilabel(model) else [classes])
    else:
        return Y
    if isinstance(Y, pd.DataFrame):
        return pd.DataFrame(labels, columns=Y.columns)
    labels = labels.ravel() if np.ndim(Y) == 1 else labels
    return pd.Series(labels, name=Y.name) if isinstance(Y, pd.Series) else labels


def probabilities_of(estimator: Any, X: Any) -> Any:
    """Return `predict_proba`, with two columns also for a target whose training rows were all 0, or all 1."""
    P = estimator.predict_proba(X)
    if not isinstance(P, list):
        return P
    return [_two_columns(p, classes) for p, classes in zip(P, estimator.classes_, strict=True)]


def _two_columns(p: np.ndarray, classes: np.ndarray) -> np.ndarray:
    if p.shape[1] != 1 or not _is_0_or_1(classes):
        return p
    return np.column_stack((1 - p, p) if classes[0] else (p, 1 - p))


def _is_0_or_1(classes: np.ndarray) -> bool:
    """Whether a classifier saw one class of a target, 0 or 1, so that the other one is clear."""
    return len(classes) == 1 and classes[0] in (0, 1)


def is_multilabel(model: Any) -> bool:
    """Whether a classifier was fitted on several labels, such as MLPClassifier or OneVsRestClassifier."""
    return bool(getattr(model, "multilabel_", False)) or getattr(model, "n_outputs_", 1) > 1


def has_unequal_classes(model: Any) -> bool:
    """Whether the targets differ in the type of their classes, text or numbers, or one of them had one class only."""
    classes = getattr(model, "classes_", None)
    if not isinstance(classes, (list, tuple)):
        return False
    return len({isinstance(own[0], str) for own in classes}) > 1 or any(len(own) == 1 for own in classes)


def task_weights(sample_weight: Any, Y: Any, estimator: Any) -> Any:
    """Select the weights of the binary targets of `Y`, without those of the columns that hold values."""
    targets = getattr(model_of(estimator), "_targets", None)
    if targets is None or targets.of_values is None or np.ndim(sample_weight) != 2:
        return sample_weight
    return targets.split_weights(sample_weight, Y)[0]


def _labels_of_chain(model: Any, Y: Any, sample_weight: Any) -> np.ndarray:
    """Labels ``(n, K)`` float64, NaN where a label was not observed and does not follow from the step before."""
    encoded, _ = model._targets.encode_part(Y, sample_weight, model.module_.link.parents)
    encoded = encoded.in_float32()
    labels = encoded.labels.astype(np.float64)
    return labels if encoded.weights is None else np.where(encoded.weights > 0, labels, np.nan)
