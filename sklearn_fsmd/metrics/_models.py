"""The model at the end of Pipelines and searches, and what it takes of Y."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sklearn_fsmd.compose import model_of
from sklearn_fsmd.encoding import as_pandas
from sklearn_fsmd.metrics._inputs import zeros_and_ones


def by_classes(Y: Any, estimator: Any, sample_weight: Any = None) -> Any:
    """The binary targets of `Y` as zeros and ones, with their names, and without the columns that hold values.

    Where Y has no names, they have those of the model. Of a model of this library they are what its
    `score` makes of them: after an observed 0, whose weight is not 0, the next step is a 0.

    Raises
    ------
    ValueError
        If the columns are not those of fit, in their order.
    """
    Y, model = as_pandas(Y), model_of(estimator)
    if hasattr(model, "_targets"):
        labels = _settled(model, Y, sample_weight)
        Y, _ = model._targets.over_impressions(Y, model.module_.link.parents)
        if not isinstance(Y, pd.DataFrame) and np.ndim(Y) == 2:
            return pd.DataFrame(labels, columns=model.task_names_)
        if np.ndim(Y) == 1 and getattr(Y, "name", None) is None:
            return pd.Series(labels.ravel(), name=model.task_names_[0])
    elif (classes := getattr(estimator, "classes_", None)) is not None:
        if isinstance(classes, (list, tuple)):
            labels = zeros_and_ones(Y, classes)
        else:  # of several labels, which are 0 and 1, some name the columns
            labels = zeros_and_ones(Y, [np.array([0, 1])] * len(classes) if is_multilabel(model) else [classes])
    else:
        return Y
    if isinstance(Y, pd.DataFrame):
        return pd.DataFrame(labels, columns=Y.columns)
    labels = labels.ravel() if np.ndim(Y) == 1 else labels
    return pd.Series(labels, name=Y.name) if isinstance(Y, pd.Series) else labels


def is_multilabel(model: Any) -> bool:
    """Whether it is a classifier such as MLPClassifier or OneVsRestClassifier that was fitted on several labels."""
    return bool(getattr(model, "multilabel_", False)) or getattr(model, "n_outputs_", 1) > 1


def has_unlike_classes(model: Any) -> bool:
    """Whether the classes of one target are text, and those of another are not."""
    classes = getattr(model, "classes_", None)
    return isinstance(classes, (list, tuple)) and len({isinstance(two[0], str) for two in classes}) > 1


def of_tasks(sample_weight: Any, Y: Any, estimator: Any) -> Any:
    """The weights of the binary targets of `Y`; those of the columns that hold values are left out."""
    targets = getattr(model_of(estimator), "_targets", None)
    if targets is None or targets.of_values is None or np.ndim(sample_weight) != 2:
        return sample_weight
    return targets.split_weights(sample_weight, Y)[0]


def _settled(model: Any, Y: Any, sample_weight: Any) -> np.ndarray:
    """Labels ``(n, K)`` float64, NaN where nothing was observed and nothing follows from the step before."""
    encoded, _ = model._targets.encode_part(Y, sample_weight, model.module_.link.parents)
    encoded = encoded.in_float32()
    labels = encoded.labels.astype(np.float64)
    return labels if encoded.weights is None else np.where(encoded.weights > 0, labels, np.nan)
