"""What only the model at the end of Pipelines and searches can say."""

from __future__ import annotations

import os
from collections.abc import Sequence
from numbers import Number
from typing import Any

from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted


def ask(estimator: Any, method: str, X: Any, *args: Any, **kwargs: Any) -> Any:
    """Call a method of the model at the end of Pipelines and searches, with X as the steps before have made it.

    A Pipeline has `predict_proba` and `predict`; what only the model has, such as `predict_marginals`,
    `predict_conditionals`, `rank_score` and `gate_weights`, is reached through this.

    Parameters
    ----------
    estimator : Pipeline, GridSearchCV or the like, or a model; fitted, and nested in any way.
    method : str
        The name of the method.
    X : as the estimator takes it.
    *args, **kwargs : passed to the method.

    Returns
    -------
    result : what the method returns.

    Raises
    ------
    AttributeError
        If the model has no such method.
    TypeError
        If there are steps before the model, and X is a string, a number or a path; or a search was made with
        ``refit=False``, and so has no model.

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
    before, model = taken_apart(estimator)
    if before and isinstance(X, (str, bytes, Number, os.PathLike)):
        raise TypeError(
            f"X must hold rows, which the steps before the model transform. Got {X!r}. Call a method that takes no "
            "rows, such as `save`, on the model itself: pipeline[-1], or search.best_estimator_[-1]."
        )
    X = transformed(X, before)
    asked = getattr(model, method)
    if not callable(asked):
        raise AttributeError(f"{method!r} is no method of {type(model).__name__}, but an attribute.")
    return asked(X, *args, **kwargs)


def reach(estimator: Any, X: Any) -> tuple[Any, Any]:
    """X as the steps before have made it, and the model at the end of Pipelines and searches."""
    check_is_fitted(estimator)
    before, model = taken_apart(estimator)
    return transformed(X, before), model


def taken_apart(estimator: Any) -> tuple[list[Pipeline], Any]:
    """What stands before the model in Pipelines and searches, from outside to inside, and the model."""
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
    """The model at the end of Pipelines and searches, and in a `FrozenEstimator`."""
    return taken_apart(estimator)[1]


def fitted_model(estimator: Any) -> Any:
    """The fitted model at the end of Pipelines and searches.

    Raises
    ------
    NotFittedError
        If it is not fitted.
    TypeError
        If it is no classifier of this library.
    """
    check_is_fitted(estimator)
    model = model_of(estimator)
    if not hasattr(model, "predict_marginals") or not hasattr(model, "_targets"):
        raise TypeError(
            "A fitted MultiTaskClassifier or one of the named models is needed, or a Pipeline or search that ends in "
            f"one. Got {type(model).__name__}."
        )
    return model


def transformed(X: Any, before: Sequence[Pipeline]) -> Any:
    """X as these steps make it, one after the other.

    Step by step, as a Pipeline predicts: `transform` of a Pipeline wants to see that its last step is fitted, and one
    that learns nothing need not show it.
    """
    for steps in before:
        for _, step in steps.steps:
            if step is not None and step != "passthrough":
                X = step.transform(X)
    return X
