"""One target of a multi-task model, as a binary classifier of its own."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.pipeline import Pipeline
from sklearn.utils import Tags, get_tags
from sklearn.utils.validation import check_is_fitted

from sklearn_fsmd.compose._ask import fitted_model, taken_apart, transformed
from sklearn_fsmd.encoding import index_of_target


def output_view(estimator: Any, task: int | str) -> OutputView:
    """One target as a fitted binary classifier, for what takes a single output: calibration, thresholds, displays.

    Parameters
    ----------
    estimator : fitted MultiTaskClassifier, or a Pipeline or search that ends in one.
    task : int or str
        The index or the name of the target.

    Returns
    -------
    view : OutputView, with `predict_proba`, `predict_log_proba`, `predict`, `classes_` and `score`, the accuracy.
        Its rows are those that `estimator` takes. It learns nothing: its clone is a view of the same fitted estimator.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If it is no classifier of this library.
    ValueError
        If it has no such target.

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
    view.now()
    return view


class OutputView(ClassifierMixin, BaseEstimator):
    """What :func:`output_view` returns.

    Parameters
    ----------
    estimator, task : as there.

    Attributes
    ----------
    classes_ : ndarray of shape (2,)
    """

    def __init__(self, estimator: Any, task: int | str) -> None:
        self.estimator = estimator
        self.task = task

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> OutputView:
        """Nothing is learned: the estimator is fitted already."""
        check_is_fitted(self.estimator)
        return self

    def __sklearn_clone__(self) -> OutputView:
        """Another view of the same fitted estimator: there is nothing to learn."""
        made = OutputView(self.estimator, self.task)
        if hasattr(self, "_metadata_request"):
            made._metadata_request = deepcopy(self._metadata_request)
        return made

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self.estimator, "classes_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags = deepcopy(get_tags(self.estimator).input_tags)
        tags.classifier_tags.multi_class = False
        return tags

    @property
    def classes_(self) -> np.ndarray:
        model, k = self.now()
        return model._targets.classes[k]

    @property
    def n_features_in_(self) -> int:
        return self.estimator.n_features_in_

    @property
    def feature_names_in_(self) -> np.ndarray:
        return self.estimator.feature_names_in_

    def predict_proba(self, X: Any) -> np.ndarray:
        """Marginal probabilities of both classes, ``(n_samples, 2)``."""
        return self._of_now(X)[0]

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Their logarithms, ``(n_samples, 2)``."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def predict(self, X: Any) -> np.ndarray:
        """The more probable class, ``(n_samples,)``."""
        p, classes = self._of_now(X)
        return classes[(p[:, 1] > 0.5).astype(int)]

    def now(self) -> tuple[Any, int]:
        """The model as it is at this moment, and the position of the target."""
        _, model, k = self._taken_apart()
        return model, k

    def _taken_apart(self) -> tuple[list[Pipeline], Any, int]:
        """The steps before the model too."""
        fitted_model(self.estimator)  # which says if it is none
        before, model = taken_apart(self.estimator)
        model = model.snapshot()
        return before, model, index_of_target(self.task, model.task_names_, "binary target")

    def _of_now(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        """The probabilities ``(n_samples, 2)`` and the classes of one moment."""
        before, model, k = self._taken_apart()
        p = model.predict_marginals(transformed(X, before))[:, k]
        return np.stack((1 - p, p), axis=1), model._targets.classes[k]
