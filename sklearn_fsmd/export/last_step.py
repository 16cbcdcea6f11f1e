"""Which model is meant, and which steps of a Pipeline come before it."""

from __future__ import annotations

from typing import Any

from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from sklearn_fsmd.estimators import MultiTaskClassifier
from sklearn_fsmd.runtime import warn


def last_step(model: Any) -> tuple[MultiTaskClassifier, list[str]]:
    """The model at the end of Pipelines and searches, as it is at this moment, and the steps before it, described.

    Raises
    ------
    NotFittedError
        If the model is not fitted.
    TypeError
        If it is no model of this library.
    """
    before: list[str] = []
    given = model
    while not isinstance(model, MultiTaskClassifier):
        if isinstance(model, Pipeline):
            before += [f"{name} ({type(step).__name__})" for name, step in model.steps[:-1] if _does_something(step)]
            model = model.steps[-1][1]
        elif isinstance(model, FrozenEstimator):
            model = model.estimator
        elif hasattr(model, "best_estimator_"):
            model = model.best_estimator_
        else:
            if hasattr(model, "estimator"):  # a search
                check_is_fitted(model)
            raise TypeError(
                "to_onnx takes a MultiTaskClassifier or one of the named models, or a Pipeline or a search with "
                f"refit=True that ends in one. Got {type(given).__name__}."
            )
    check_is_fitted(model)
    if before:
        warn(
            "The file holds the last step of the Pipeline. What the steps before it do must be done before its inputs "
            f"are filled: {', '.join(before)}."
        )
    return model.as_it_is(), before


def _does_something(step: Any) -> bool:
    return step is not None and step != "passthrough"
