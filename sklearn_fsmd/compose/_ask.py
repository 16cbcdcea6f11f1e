"""Access to the model at the end of Pipelines and searches."""

from __future__ import annotations

import os
from collections.abc import Sequence
from numbers import Number
from typing import Any

from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted


def ask(estimator: Any, method: str, X: Any, *args: Any, **kwargs: Any) -> Any:
    """Call a method of the model at the end of Pipelines and searches, with X transformed by the steps before it.

    A Pipeline has only the methods of scikit-learn, such as `predict` and `predict_proba`. Use this function for
    methods that only the model has, such as `predict_marginals`, `predict_conditionals`, `rank_score` and
    `gate_weights`.

    Parameters
    ----------
    estimator : Pipeline, GridSearchCV or another search, or a model; fitted, and nested in any way.
    method : str
        The name of the method.
    X : rows, as for the `predict` of the estimator.
    *args, **kwargs : passed to the method.

    Returns
    -------
    result : the return value of the method.

    Raises
    ------
    AttributeError
        If the model has no such method.
    TypeError
        If there are steps before the model, and X is a string, a number or a path; or if a search has no model because
        of ``refit=False``.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import FunctionTransformer
    >>> from sklearn_fsmd import FSMDClassifier
    >>> from sklearn_fsmd.compose import ask
    >>> from sklearn_fsmd.datasets import make_funnel
    >>> X, Y = make_funnel(n_samples=500, random_state=0, return_X_y=True)
    >>> pipeline = make_pipeline(FunctionTransformer(), FSMDClassifier(max_epochs=1, random_state=0)).fit(X, Y)
    >>> ask(pipeline, "predict_conditionals", X).shape
    (500, 2)
    """
    check_is_fitted(estimator)
    before, model = split_pipeline(estimator)
    if before and isinstance(X, (str, bytes, Number, os.PathLike)):
        raise TypeError(
            f"X must hold rows, which the steps before the model transform. Got {X!r}. Call a method that takes no "
            "rows, such as `save`, on the model itself: pipeline[-1], or search.best_estimator_[-1]."
        )
    attribute = getattr(model, method)
    if not callable(attribute):
        raise AttributeError(f"{method!r} is no method of {type(model).__name__}, but an attribute.")
    return attribute(apply_steps(X, before), *args, **kwargs)


def rows_and_model(estimator: Any, X: Any) -> tuple[Any, Any]:
    """Return X transformed by the steps before the model, and the model at the end of Pipelines and searches."""
    check_is_fitted(estimator)
    before, model = split_pipeline(estimator)
    return apply_steps(X, before), model


def split_pipeline(estimator: Any) -> tuple[list[Pipeline], Any]:
    """Split into the Pipelines of steps before the model, from outside to inside, and the model at the end."""
    before = []
    while True:
        if isinstance(estimator, Pipeline):
            if len(estimator) > 1:
                before.append(estimator[:-1])
            estimator = estimator[-1]
        elif hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        elif isinstance(estimator, FrozenEstimator):
            estimator = estimator.estimator
        elif hasattr(estimator, "cv_results_") and estimator.refit is False:
            raise TypeError(
                f"This {type(estimator).__name__} was made with refit=False, so it has no model. Set refit=True, or "
                "fit a model by its `best_params_`."
            )
        else:
            return before, estimator


def model_of(estimator: Any) -> Any:
    """Return the model at the end of Pipelines and searches, or inside a `FrozenEstimator`."""
    return split_pipeline(estimator)[1]


def fitted_model(estimator: Any) -> Any:
    """Return the model at the end of Pipelines and searches, checked to be a fitted classifier of this package.

    Raises
    ------
    NotFittedError
        If it is not fitted.
    TypeError
        If it is no classifier of this package.
    """
    model = model_of(estimator)
    if not hasattr(model, "predict_marginals"):
        if hasattr(model, "estimator"):  # a search
            check_is_fitted(model)
        raise TypeError(
            "A fitted MultiTaskClassifier or one of the named models is needed, or a Pipeline or search that ends in "
            f"one. Got {type(model).__name__}."
        )
    check_is_fitted(model)
    return model


def apply_steps(X: Any, before: Sequence[Pipeline]) -> Any:
    """Transform X by these steps, one after the other.

    Like the `predict` of a Pipeline, this calls each step. The `transform` of a Pipeline would check that its last step
    is fitted, and a step that learns nothing may fail that check.
    """
    for steps in before:
        for _, step in steps.steps:
            if step is not None and step != "passthrough":
                X = step.transform(X)
    return X
