"""The model at the end of Pipelines and searches, and what it takes of Y."""

from __future__ import annotations

from typing import Any

import pandas as pd

from sklearn_fsmd.encoding import are_moved, as_pandas
from sklearn_fsmd.metrics._inputs import zeros_and_ones


def model_of(estimator: Any) -> Any:
    """The model at the end of searches and Pipelines."""
    if hasattr(estimator, "best_estimator_"):
        return model_of(estimator.best_estimator_)
    return model_of(estimator.steps[-1][1]) if hasattr(estimator, "steps") else estimator


def labels_of(estimator: Any, Y: Any) -> Any:
    """The binary targets of `Y`, without the columns that hold values to the fitted estimator."""
    targets = getattr(model_of(estimator), "_targets", None)
    return Y if targets is None else targets.over_impressions(Y)[0]


def by_classes(Y: Any, estimator: Any) -> Any:
    """`Y` as zeros and ones, with its names, and without values."""
    Y, classes = as_pandas(Y), getattr(estimator, "classes_", None)
    Y = labels_of(estimator, Y)
    names = getattr(model_of(estimator), "task_names_", None)
    if names is not None and isinstance(Y, pd.DataFrame) and are_moved(Y.columns, names):
        raise ValueError(f"The columns of Y must be those of fit, in their order, {names}. Got {list(Y.columns)}.")
    if classes is None:
        return Y
    labels = zeros_and_ones(Y, classes if isinstance(classes, (list, tuple)) else [classes])
    if isinstance(Y, pd.DataFrame):
        return pd.DataFrame(labels, columns=Y.columns)
    return pd.Series(labels, name=Y.name) if isinstance(Y, pd.Series) else labels
