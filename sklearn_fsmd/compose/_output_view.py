"""One output of a multi-task model, as a binary classifier of its own."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags, get_tags
from sklearn.utils.validation import check_is_fitted

from sklearn_fsmd.encoding import place_of


class OutputView(ClassifierMixin, BaseEstimator):
    """One target of a fitted :class:`MultiTaskClassifier`, already fitted.

    For whatever takes a single binary target: calibration and thresholds (inside scikit-learn's FrozenEstimator), ROC
    and calibration displays.

    Parameters
    ----------
    estimator : MultiTaskClassifier, fitted.
    task : int or str
        The index or the name of the target.

    Attributes
    ----------
    classes_ : ndarray of shape (2,)

    Examples
    --------
    >>> from sklearn_fsmd import FSMDClassifier
    >>> from sklearn_fsmd.datasets import make_funnel
    >>> X, Y = make_funnel(n_samples=500, random_state=0, return_X_y=True)
    >>> model = FSMDClassifier(max_epochs=2, random_state=0).fit(X, Y)
    >>> model.output_view("click").predict_proba(X).shape
    (500, 2)
    """

    def __init__(self, estimator: Any, task: int | str) -> None:
        self.estimator = estimator
        self.task = task

    def fit(self, X: Any, y: Any = None) -> OutputView:
        """Nothing is learned: the estimator is fitted already."""
        check_is_fitted(self.estimator)
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self.estimator, "classes_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags = deepcopy(get_tags(self.estimator).input_tags)
        tags.classifier_tags.multi_class = False
        return tags

    @property
    def classes_(self) -> np.ndarray:
        check_is_fitted(self)
        fitted = self.estimator.as_it_is()
        return fitted._targets.classes[OutputView(fitted, self.task).index()]

    @property
    def n_features_in_(self) -> int:
        return self.estimator.n_features_in_

    @property
    def feature_names_in_(self) -> np.ndarray:
        return self.estimator.feature_names_in_

    def predict_proba(self, X: Any) -> np.ndarray:
        """Marginal probabilities of both classes, ``(n_samples, 2)``."""
        fitted = self.estimator.as_it_is()
        p = fitted.predict_marginals(X)[:, OutputView(fitted, self.task).index()]
        return np.stack((1 - p, p), axis=1)

    def predict(self, X: Any) -> np.ndarray:
        """The more probable class, ``(n_samples,)``."""
        now = OutputView(self.estimator.as_it_is(), self.task)
        positive = now.predict_proba(X)[:, 1] > 0.5
        return now.classes_[positive.astype(int)]

    def index(self) -> int:
        """The position of the task among those of the estimator; raises ValueError if it is none of them."""
        check_is_fitted(self.estimator)
        return place_of(self.task, self.estimator.task_names_, "binary target")
