"""MultiTaskClassifier: everything that makes a network a scikit-learn estimator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, _fit_context
from sklearn.utils import Tags, check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_array, check_consistent_length, check_is_fitted, validate_data

from sklearn_fsmd import fitting
from sklearn_fsmd._declare import check_widths, estimator
from sklearn_fsmd.features import FeatureEncoder
from sklearn_fsmd.metrics import mean_auc
from sklearn_fsmd.network import MultiTaskNetwork, parents_of
from sklearn_fsmd.parameters import MultiTaskParameters
from sklearn_fsmd.targets import TargetEncoder
from sklearn_fsmd.training import Net
from sklearn_fsmd.views import OutputView


def _has_gates(self: MultiTaskClassifier) -> bool:
    known = hasattr(self.module_.extractor, "gate_weights") if hasattr(self, "net_") else None
    if known is False or (known is None and self.extractor in ("shared_bottom", "shared_embedding", "separate")):
        raise AttributeError(f"extractor={self.extractor!r} has no gates, so there are no gate weights.")
    return True


@estimator
class MultiTaskClassifier(ClassifierMixin, MultiTaskParameters, BaseEstimator):
    """Learn several binary targets at once: click and conversion, or any chain, tree or set of targets.

    The network has four parts, each a parameter: embeddings feed a low-order part and an extractor with a tower a
    task; a link turns the tasks' logits into probabilities [FSMD]_.

    Attributes
    ----------
    classes_ : list of n_tasks arrays of shape (2,), or array of shape (2,)
        The classes of each target; an array where Y was one-dimensional.
    task_names_ : list of str
        The columns of Y, or "click", "conversion" (of two), "task0", … where it has no names.
    n_features_in_ : int
        Number of columns of X in fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns of X, where all are strings.
    n_iter_ : int
        Number of epochs that were run.
    history_ : list of dict
        For each epoch the losses, the validation AUC of each task and the seconds it took.
    net_ : skorch.NeuralNet
        The fitted net.
    module_ : torch.nn.Module
        The fitted network.
    device_ : str
        Where it is.

    References
    ----------
    .. [FSMD] Z. Yang, P. Liu, P. Lu, "Personalized Recommendation Multi-Objective Optimization Model Based on Deep
       Learning".

    Examples
    --------
    >>> from sklearn_fsmd import MultiTaskClassifier
    >>> from sklearn_fsmd.datasets import make_funnel
    >>> X, Y = make_funnel(n_samples=500, random_state=0, return_X_y=True)
    >>> model = MultiTaskClassifier(max_epochs=2, random_state=0).fit(X, Y)
    >>> model.predict_marginals(X).shape
    (500, 2)
    """

    # ---------------------------------------------------------------------------------------------------- learning

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, X: Any, Y: Any = None, sample_weight: Any = None, *, X_val: Any = None, Y_val: Any = None, y: Any = None
    ) -> MultiTaskClassifier:
        """Learn the targets `Y` from `X`.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            Strings, categories, booleans, numbers and missing values are welcome.
        Y : array-like of shape (n_samples,) or (n_samples, n_tasks)
            Two classes a task. NaN in a column of a 2-D Y means "not observed". In a chain, a step after a 0 is a 0.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_tasks), default=None
            Weights of the rows, or of each label.
        X_val, Y_val : as X and Y, default=None
            Validation data for early stopping, instead of a part of X and Y.
        y : default=None
            Another name of Y, for tools that pass it by this one.

        Returns
        -------
        self : the fitted estimator.

        Raises
        ------
        ValueError
            If X or Y cannot be read, if a parameter is out of range, or if parameters contradict each other.
        FloatingPointError
            If the loss is no longer finite.
        """
        if (X_val is None) != (Y_val is None):
            raise ValueError("`X_val` and `Y_val` go together; only one of them was given.")
        anew = not (self.warm_start and hasattr(self, "net_"))
        validation = None if X_val is None else (X_val, Y_val)
        return self._learn(X, y if Y is None else Y, sample_weight, validation, epochs=self.max_epochs, anew=anew)

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: Any, Y: Any = None, classes: Any = None, sample_weight: Any = None, *, y: Any = None
    ) -> MultiTaskClassifier:
        """Train for one pass over a part of the data.

        The first call learns the encoding of X: values that come up later are unknown ones.

        Parameters
        ----------
        X, Y, sample_weight, y : as in :meth:`fit`.
        classes : array of shape (2,), or list of n_tasks arrays, default=None
            The classes of the targets, if the first call may not show both of each.

        Returns
        -------
        self : the fitted estimator.
        """
        anew = not hasattr(self, "net_")
        return self._learn(X, y if Y is None else Y, sample_weight, epochs=1, anew=anew, classes=classes, split=False)

    def _learn(self, *args: Any, **kwargs: Any) -> MultiTaskClassifier:
        """Read and train; if that fails, all attributes are those of the former fit."""
        before = dict(self.__dict__)
        try:
            return self._read_and_train(*args, **kwargs)
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise

    def _read_and_train(
        self,
        X: Any,
        Y: Any,
        sample_weight: Any,
        validation: tuple[Any, Any] | None = None,
        *,
        epochs: int,
        anew: bool,
        classes: Any = None,
        split: bool = True,
    ) -> MultiTaskClassifier:
        """With `anew` learn the encoding and make a net, otherwise go on with those of the former fit."""
        check_widths(self, "expert_dims", "gate_dims", "tower_dims")
        if Y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        X = self._table(X, reset=anew)
        check_consistent_length(X, Y)
        random = check_random_state(self.random_state) if anew else self._random
        targets = TargetEncoder().fit(Y, classes) if anew else self._targets
        parents = parents_of(self.link, len(targets.classes))
        net = None if anew else fitting.go_on_with(self, self.net_, len(targets.classes))
        labels = targets.encode(Y, sample_weight, parents, scale=split)
        encoder = FeatureEncoder.of(self) if anew else self._encoder
        data = (encoder.fit_encode(X) if anew else encoder.encode(X)), labels
        valid = None
        if validation is not None:
            X_val, Y_val = self._table(validation[0], reset=False), validation[1]
            check_consistent_length(X_val, Y_val)
            valid = encoder.encode(X_val), targets.encode(Y_val, None, parents)
        elif split and fitting.wants_split(self, len(data[0])):
            if anew:
                self._split_seed = fitting.draw_seed(random)  # the same rows validate when training goes on
            data, valid = fitting.split(self, *data, np.random.RandomState(self._split_seed))

        if net is None:
            net = fitting.new_net(self, encoder, data[1], random)
        fitting.train(self, net, data, valid, epochs=epochs, encoder=encoder, task_names=targets.names, random=random)
        self.net_: Net = net
        self._encoder: FeatureEncoder = encoder
        self._targets: TargetEncoder = targets
        self._random: np.random.RandomState = random
        self.task_names_ = targets.names
        self.classes_ = targets.classes[0] if targets.one_dimensional else targets.classes
        self.device_ = str(net.device)
        self.history_ = fitting.history_of(net)
        self.n_iter_ = len(self.history_)
        return self

    def _table(self, X: Any, *, reset: bool) -> Any:
        """X checked, as a DataFrame or a 2-D array."""
        if isinstance(X, (list, tuple)) and np.asarray(X).dtype.kind in "US":
            X = np.array(X, dtype=object)  # numbers among strings stay numbers
        if not reset and type(X) is np.ndarray and self._is_as_in_fit(X):
            return X  # for a single row, the checks that it passes would take a tenth of the whole prediction
        if not isinstance(X, pd.DataFrame):
            return validate_data(self, X, reset=reset, dtype=None, ensure_all_finite=False)
        twice = X.columns[X.columns.duplicated()]
        if len(twice):
            raise ValueError(f"X has more than one column named {twice[0]!r}.")
        if 0 in X.shape:
            check_array(np.empty(X.shape, dtype=bool), estimator=self)  # scikit-learn's wording
        validate_data(self, X, reset=reset, skip_check_array=True)
        return X

    def _is_as_in_fit(self, X: np.ndarray) -> bool:
        """Whether scikit-learn's checks would pass `X` through as it is."""
        n, width = X.shape if X.ndim == 2 else (0, 0)
        fits = n > 0 and width == self.n_features_in_ and X.dtype.kind in "biuf"
        return fits and not hasattr(self, "feature_names_in_")

    # --------------------------------------------------------------------------------------------------- predicting

    def predict_marginals(self, X: Any) -> np.ndarray:
        """P(Y_k = 1 | x) of each task: for a chain pCTR, pCTCVR and so on.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)

        Returns
        -------
        p : ndarray of shape (n_samples, n_tasks), float32
        """
        check_is_fitted(self)
        return fitting.marginals(self, self.net_, self._encoder.encode(self._table(X, reset=False)))

    def predict_proba(self, X: Any) -> list[np.ndarray] | np.ndarray:
        """Marginal probabilities of both classes of each task.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)

        Returns
        -------
        p : list of n_tasks arrays of shape (n_samples, 2), float32; one such array where Y was one-dimensional
            Columns in the order of `classes_`.
        """
        p = self.predict_marginals(X)
        both = np.stack((1 - p, p), axis=2)
        return both[:, 0] if self._targets.one_dimensional else [both[:, k] for k in range(p.shape[1])]

    def predict(self, X: Any) -> np.ndarray:
        """The more probable class of each task.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)

        Returns
        -------
        labels : ndarray of shape (n_samples, n_tasks), or (n_samples,) where Y was one-dimensional
        """
        positive = (self.predict_marginals(X) > 0.5).astype(int)
        labels = [classes[positive[:, k]] for k, classes in enumerate(self._targets.classes)]
        return labels[0] if self._targets.one_dimensional else np.stack(labels, axis=1)

    def predict_conditionals(self, X: Any) -> np.ndarray:
        """P(step k | step k − 1) of each task: the first is its marginal, the second pCVR.

        In a tree, the step before is the parent. Where the link says nothing of dependence, the targets are read as
        a chain, and the ratio of the marginals is cut off at 1.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)

        Returns
        -------
        p : ndarray of shape (n_samples, n_tasks), float32
        """
        p = self.predict_marginals(X)
        parents = self.module_.link.parents
        if all(parent is None for parent in parents):
            parents = parents_of("chain", len(parents))
        given = [p[:, k] if parent is None else _ratio(p[:, k], p[:, parent]) for k, parent in enumerate(parents)]
        return np.stack(given, axis=1)

    def rank_score(self, X: Any, weights: Sequence[float] | None = None) -> np.ndarray:
        """One score to sort by: the weighted product Π_k P(Y_k = 1)^{α_k}.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
        weights : array-like of shape (n_tasks,), default=None
            The exponents α; None takes 1 for all.

        Returns
        -------
        score : ndarray of shape (n_samples,), float32
        """
        p = self.predict_marginals(X)
        try:
            exponents = np.ones(p.shape[1]) if weights is None else np.asarray(weights, dtype=float)
        except (TypeError, ValueError):
            exponents = np.empty(0)
        if exponents.shape != (p.shape[1],) or not np.isfinite(exponents).all():
            raise ValueError(f"`weights` must be {p.shape[1]} finite numbers, one a task. Got {weights!r} instead.")
        return (p**exponents).prod(axis=1, dtype=np.float32)

    @available_if(_has_gates)
    def gate_weights(self, X: Any) -> np.ndarray:
        """How much each task's gate gives to each expert, level by level.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)

        Returns
        -------
        weights : ndarray of shape (n_samples, n_levels, n_tasks, n_all_experts), float32
            They sum to 1 over the experts. In "ple" the experts stand task by task, then the shared ones; those of
            other tasks have the weight 0.
        """
        check_is_fitted(self)
        return fitting.gate_weights(self, self.net_, self._encoder.encode(self._table(X, reset=False)))

    def output_view(self, task: int | str) -> OutputView:
        """One target as a fitted binary classifier, for what takes a single output: calibration, thresholds, displays.

        Parameters
        ----------
        task : int or str, the index or the name of the target.

        Returns
        -------
        view : OutputView
        """
        check_is_fitted(self)
        view = OutputView(self, task)
        view.index()
        return view

    def score(self, X: Any, Y: Any = None, sample_weight: Any = None, *, y: Any = None) -> float:
        """Mean ROC AUC over the tasks.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
        Y : array-like of shape (n_samples,) or (n_samples, n_tasks)
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_tasks), default=None
        y : default=None
            Another name of Y.

        Returns
        -------
        auc : float
        """
        Y, p = y if Y is None else Y, self.predict_marginals(X)
        check_consistent_length(p, Y)
        targets = self._targets.encode(Y, sample_weight, self.module_.link.parents, warn=False)
        return mean_auc(targets.labels, p, sample_weight=targets.weights)

    def __getstate__(self) -> dict[str, Any]:
        """Parameters and fitted state, the net as plain arrays of weights: small, and safe to look at."""
        state = super().__getstate__()
        return {**state, "net_": fitting.freeze(self.net_)} if "net_" in state else state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        frozen = state.pop("net_", None)
        super().__setstate__(state)
        if frozen is not None:
            self.net_ = fitting.thaw(self._encoder, len(self._targets.classes), frozen)
            self.device_ = str(self.net_.device)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.target_tags.single_output = True
        tags.classifier_tags.multi_class = False
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        return tags

    @property
    def module_(self) -> MultiTaskNetwork:
        return self.net_.module_


def _ratio(p: np.ndarray, given: np.ndarray) -> np.ndarray:
    """The ratio, at most 1; where both vanish, 1 says nothing against the step."""
    return np.minimum(np.divide(p, given, out=np.ones_like(p), where=given > 0), 1)
