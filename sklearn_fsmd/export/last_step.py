"""Which model is meant, and which steps of a Pipeline come before it."""

from __future__ import annotations

from typing import Any

from sklearn.utils.validation import check_is_fitted

from sklearn_fsmd.compose import taken_apart
from sklearn_fsmd.estimators import MultiTaskClassifier
from sklearn_fsmd.parameters import warn


def last_step(model: Any) -> tuple[MultiTaskClassifier, list[str]]:
    """The model at the end of Pipelines and searches, as it is at this moment, and the steps before it, described.

    Raises
    ------
    NotFittedError
        If the model is not fitted.
    TypeError
        If it is no model of this library.
    """
    pipelines, last = taken_apart(model)
    if not isinstance(last, MultiTaskClassifier):
        if hasattr(last, "estimator"):  # a search
            check_is_fitted(last)
        raise TypeError(
            "to_onnx takes a MultiTaskClassifier or one of the named models, or a Pipeline or a search with "
            f"refit=True that ends in one. Got {type(model).__name__}."
        )
    check_is_fitted(last)
    steps = (named for pipeline in pipelines for named in pipeline.steps)
    before = [f"{name} ({type(step).__name__})" for name, step in steps if step is not None and step != "passthrough"]
    if before:
        warn(
            "The file holds the last step of the Pipeline. What the steps before it do must be done before its inputs "
            f"are filled: {', '.join(before)}."
        )
    return last.snapshot(), before
