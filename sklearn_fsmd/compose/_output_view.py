"""One target of a multi-task model as a binary classifier."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.pipeline import Pipeline
from sklearn.utils import Tags, get_tags
from sklearn.utils.validation import check_is_fitted

from sklearn_fsmd.compose._ask import apply_steps, fitted_model, split_pipeline
from sklearn_fsmd.encoding.targets import index_of_target
from sklearn_fsmd.parameters import warn


def output_view(estimator: Any, task: int | str) -> OutputView:
    """Return one target as a fitted binary classifier, for tools that need one: calibration, thresholds, displays.

    Parameters
    ----------
    estimator : fitted MultiTaskClassifier, or a Pipeline or search that ends in one.
    task : int or str
        The index or the name of the target.

    Returns
    -------
    view : OutputView
        A classifier with `predict_proba`, `predict_log_proba`, `predict`, `classes_` and `score`, the accuracy. It
        takes the same X as `estimator`. Its `fit` does nothing but warn of that, and its clone is a view of the same
        fitted estimator. So cross-validation of a view does not train, and its scores of training rows are too good.
        With ``FrozenEstimator(view)`` there is no warning.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If the estimator is no classifier of this package.
    ValueError
        If the estimator has no such target.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn_fsmd import FSMDClassifier
    >>> from sklearn_fsmd.compose import TimeFeatures, output_view
    >>> from sklearn_fsmd.datasets import make_funnel
    >>> X, Y = make_funnel(n_samples=500, random_state=0, return_X_y=True)
    >>> pipeline = make_pipeline(TimeFeatures(), FSMDClassifier(max_epochs=1, random_state=0)).fit(X, Y)
    >>> output_view(pipeline, "click").predict_proba(X).shape
    (500, 2)
    """
    view = OutputView(estimator, task)
    view.model_and_position()  # raises if it has no such target
    return view


class OutputView(ClassifierMixin, BaseEstimator):
    """One target of a multi-task model as a binary classifier; see :func:`output_view`.

    Parameters
    ----------
    estimator, task : as in :func:`output_view`.

    Attributes
    ----------
    classes_ : ndarray of shape (2,)
    """

    def __init__(self, estimator: Any, task: int | str) -> None:
        self.estimator = estimator
        self.task = task

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> OutputView:
        """Do nothing but check that the estimator is fitted, and warn: cross-validation expects that `fit` learns."""
        check_is_fitted(self.estimator)
        warn(
            f"`fit` of the view of {self.task!r} does nothing: its estimator is fitted already, and scores of the rows "
            "that it was trained on are too good. To cross-validate, use the estimator itself, on one column of Y or "
            "with get_scorer of sklearn_fsmd.metrics. If these are new rows, pass FrozenEstimator(view), and this "
            "warning is gone."
        )
        return self

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return `estimator` and `task`; the parameters of the estimator cannot be set, since `fit` does nothing."""
        return super().get_params(deep=False)

    def set_params(self, **params: Any) -> OutputView:
        """Set `estimator` or `task`.

        Raises
        ------
        ValueError
            If a parameter of the estimator is to be set: it would change the fitted estimator, which others use.
        """
        if inner := [name for name in params if name.startswith("estimator__")]:
            raise ValueError(
                f"{inner[0]!r} cannot be set: a view is of a fitted estimator, and its `fit` does nothing. Search over "
                "the estimator itself, on one column of Y or with get_scorer of sklearn_fsmd.metrics."
            )
        return super().set_params(**params)

    def __sklearn_clone__(self) -> OutputView:
        """Return a view of the same fitted estimator, since its `fit` learns nothing."""
        view = OutputView(self.estimator, self.task)
        if hasattr(self, "_metadata_request"):
            view._metadata_request = deepcopy(self._metadata_request)
        return view

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self.estimator, "classes_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags = deepcopy(get_tags(self.estimator).input_tags)
        tags.classifier_tags.multi_class = False
        return tags

    @property
    def classes_(self) -> np.ndarray:
        model, k = self.model_and_position()
        return model._targets.classes[k]

    @property
    def n_features_in_(self) -> int:
        return self.estimator.n_features_in_

    @property
    def feature_names_in_(self) -> np.ndarray:
        return self.estimator.feature_names_in_

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict the marginal probabilities of both classes, ``(n_samples, 2)``."""
        return self._probabilities_and_classes(X)[0]

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Predict the logarithms of the probabilities of both classes, ``(n_samples, 2)``."""
        before, model, k = self._steps_model_and_position()
        log_p = model.predict_log_proba(apply_steps(X, before))
        return log_p[k] if isinstance(log_p, list) else log_p

    def predict(self, X: Any) -> np.ndarray:
        """Predict the more probable class, ``(n_samples,)``."""
        p, classes = self._probabilities_and_classes(X)
        return classes[(p[:, 1] > 0.5).astype(int)]

    def model_and_position(self) -> tuple[Any, int]:
        """A snapshot of the model, and the position of the target."""
        _, model, k = self._steps_model_and_position()
        return model, k

    def _steps_model_and_position(self) -> tuple[list[Pipeline], Any, int]:
        """The steps before the model, a snapshot of the model, and the position of the target."""
        fitted_model(self.estimator)  # raises if it is no fitted classifier of this package
        before, model = split_pipeline(self.estimator)
        model = model.snapshot()
        return before, model, index_of_target(self.task, model.task_names_, "binary target")

    def _probabilities_and_classes(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        """Probabilities ``(n_samples, 2)`` and classes ``(2,)`` from the same snapshot of the model."""
        before, model, k = self._steps_model_and_position()
        p = model.predict_marginals(apply_steps(X, before))[:, k]
        return np.stack((1 - p, p), axis=1), model._targets.classes[k]
