"""The model at the end of a Pipeline or search, and the steps before it."""

from __future__ import annotations

from typing import Any

from sklearn_fsmd.compose import fitted_model, split_pipeline
from sklearn_fsmd.estimators import MultiTaskClassifier
from sklearn_fsmd.parameters import warn


def last_step(model: Any) -> tuple[MultiTaskClassifier, list[str]]:
    """A snapshot of the model at the end of Pipelines and searches, and the names and types of the steps before it.

    Raises
    ------
    NotFittedError
        If the model is not fitted.
    TypeError
        If it is not a model of this library.
    """
    last, pipelines = fitted_model(model), split_pipeline(model)[0]
    steps = (named for pipeline in pipelines for named in pipeline.steps)
    previous = [f"{name} ({type(step).__name__})" for name, step in steps if step is not None and step != "passthrough"]
    if previous:
        warn(
            "The file holds the last step of the Pipeline only. Apply the steps before it to the data before you fill "
            f"the inputs of the file: {', '.join(previous)}."
        )
    return last.snapshot(), previous
