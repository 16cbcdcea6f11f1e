"""MultiTaskClassifier: everything that makes a network a scikit-learn estimator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, _fit_context
from sklearn.utils import Tags, check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_array, check_consistent_length, check_is_fitted, validate_data
from torch import nn

from sklearn_fsmd import fitting
from sklearn_fsmd._params import check_widths, estimator
from sklearn_fsmd.features import Encoded, FeatureEncoder
from sklearn_fsmd.metrics import task_aucs
from sklearn_fsmd.network import MultiTaskNetwork, parents_of
from sklearn_fsmd.targets import TargetEncoder, Targets
from sklearn_fsmd.views import OutputView


def _has_gates(self: MultiTaskClassifier) -> bool:
    if hasattr(self, "net_") and not hasattr(self.module_.extractor, "gate_weights"):
        raise AttributeError(f"extractor={self.extractor!r} has no gates, so there are no gate weights.")
    return True


@estimator
class MultiTaskClassifier(ClassifierMixin, BaseEstimator):
    """Learn several binary targets at once: click and conversion, or any chain, tree or set of targets.

    The network has four parts, each a parameter: embeddings feed a low-order part and an extractor with a tower a
    task; a link turns the tasks' logits into probabilities [1]_.

    Parameters
    ----------
    low_order : {"fm", "linear"} or None, default="fm"
        Low-order terms added to the tasks' logits: a factorization machine (Eq. 2 of [1]_), its first-order terms
        alone, or none.
    extractor : {"ple", "mmoe", "shared_bottom", "shared_embedding", "separate"}, callable or module, default="ple"
        What turns the embedded row into one representation a task. "shared_embedding" is an MLP a task on embeddings
        that all share (ESMM); with "separate" the tasks share nothing, embeddings included. A callable, such as a
        class of your own, is called with the number of inputs and the number of tasks and returns a module that
        maps (B, n_inputs) to (B, K, H), or to a sequence of K tensors (B, H). A module is copied.
    link : {"chain", "independent"} or tuple of int or None, default="chain"
        How the targets depend on each other. "chain": each is a step after the one before it, and its probability
        the product of the steps' (Eq. 10). A tuple gives the parent of each target for a tree: ``(None, 0, 0, 1)``.
    fm_sharing : {"shared", "per_task"}, default="shared"
        Whether all tasks get the same FM logit, as in [1]_, or each weighs the FM's terms by itself.
    embedding_dim : int, default=16
        Length of an embedding.
    embedding_std : float, default=1e-4
        Standard deviation of the initial embeddings. Larger values let rare ids be memorised.
    expert_dims : tuple of int, default=(256, 128)
        Widths of the layers of each expert, or of the bottom.
    n_experts : int, default=8
        Number of experts of "mmoe".
    n_task_experts : int, default=2
        Number of experts of each task in "ple".
    n_shared_experts : int, default=2
        Number of experts that the tasks share in "ple".
    n_levels : int, default=1
        Number of extraction levels of "ple"; 1 is CGC.
    gate_dims : tuple of int, default=()
        Widths of the hidden layers of the gates (Eq. 4). Without any, a gate is linear.
    tower_dims : tuple of int, default=(64,)
        Widths of the hidden layers of the towers.
    dropout : float, default=0.3
        Probability, in [0, 1), with which a hidden unit of experts and towers is dropped in training.
    batch_norm : bool, default=True
        Whether hidden layers of experts and towers are batch-normalised.
    categorical_features : {"from_dtype", "all"}, None, array-like or callable, default="from_dtype"
        Which columns hold categories: those of category, string, object or bool dtype; all; none; or those of a
        boolean mask, indices, names or a callable that is given X.
    numeric_scaling : {"standard", "quantile"} or None, default="standard"
        How numeric columns are scaled: to mean 0 and variance 1, or to ranks among the values of fit. Values outside
        the range that fit has seen are taken for its ends.
    numeric_bins : int, default=48
        Number of quantile bins into which numeric columns are cut, in addition; the bins have embeddings.
    min_frequency : int, default=1
        Categories seen less often in fit share the embedding of unknown values.
    unknown_rate : float, default=0.01
        Share of the values that are hidden in training, so that the embedding of unknown values is trained.
    task_weights : array-like of shape (n_tasks,) or None, default=None
        Weights of the tasks in the loss (Eqs. 7 and 11); None weighs all by 1.
    optimizer : {"adamw", "adam", "adagrad", "sgd"} or torch.optim.Optimizer class, default="adamw"
        The optimizer.
    lr : float, default=1e-3
        Learning rate.
    weight_decay : float, default=0.03
        Weight decay of all weights but biases and the scales of batch norm.
    batch_size : int or "auto", default="auto"
        Rows a step; "auto" is 1024, and less for few rows: a hundredth of them, but at least 32.
    max_epochs : int, default=30
        Most passes over the data.
    early_stopping : bool or "auto", default="auto"
        Whether to stop when the mean validation AUC no longer rises. The best weights are kept. "auto" does it where
        `X_val` is given or X has at least 1000 rows.
    validation_fraction : float, default=0.1
        Share of the rows that early stopping sets aside if `X_val` is not given; each combination of labels is
        represented in proportion.
    patience : int, default=3
        Epochs without a better validation score before stopping.
    average_decay : float, default=0.995
        Decay a step of the exponential moving average of the weights, which is evaluated and kept in their place;
        0 keeps the weights themselves.
    callbacks : list of skorch callbacks or None, default=None
        Called during training.
    net_params : dict or None, default=None
        Further parameters of the skorch net, e.g. ``{"optimizer__betas": (0.9, 0.98)}``.
    device : str, default="auto"
        "cpu", "cuda", "cuda:1", "mps" …; "auto" takes an accelerator where there is one.
    n_threads : int or None, default=None
        Threads of torch during fit and predict; None leaves them as they are.
    random_state : int, RandomState instance or None, default=None
        Source of the initial weights, the order of the rows, dropout and the validation split.
    verbose : int, default=0
        1 shows a progress bar in fit.
    warm_start : bool, default=False
        Whether a further call of fit goes on from the fitted weights, with the encoding learned before.

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
    .. [1] Z. Yang, P. Liu, P. Lu, "Personalized Recommendation Multi-Objective Optimization Model Based on Deep
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

    low_order: Literal["fm", "linear"] | None = "fm"
    extractor: str | Callable[[int, int], nn.Module] | nn.Module = "ple"
    link: str | Sequence[int | None] = "chain"
    fm_sharing: Literal["shared", "per_task"] = "shared"
    embedding_dim: int = 16
    embedding_std: float = 1e-4
    expert_dims: Sequence[int] = (256, 128)
    n_experts: int = 8
    n_task_experts: int = 2
    n_shared_experts: int = 2
    n_levels: int = 1
    gate_dims: Sequence[int] = ()
    tower_dims: Sequence[int] = (64,)
    dropout: float = 0.3
    batch_norm: bool = True
    categorical_features: Any = "from_dtype"
    numeric_scaling: Literal["standard", "quantile"] | None = "standard"
    numeric_bins: int = 48
    min_frequency: int = 1
    unknown_rate: float = 0.01
    task_weights: Sequence[float] | None = None
    optimizer: Any = "adamw"
    lr: float = 1e-3
    weight_decay: float = 0.03
    batch_size: int | Literal["auto"] = "auto"
    max_epochs: int = 30
    early_stopping: bool | Literal["auto"] = "auto"
    validation_fraction: float = 0.1
    patience: int = 3
    average_decay: float = 0.995
    callbacks: Sequence[Any] | None = None
    net_params: dict[str, Any] | None = None
    device: str = "auto"
    n_threads: int | None = None
    random_state: Any = None
    verbose: int = 0
    warm_start: bool = False

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "low_order": [StrOptions({"fm", "linear"}), None],
        "extractor": [
            StrOptions({"ple", "mmoe", "shared_bottom", "shared_embedding", "separate"}),
            callable,
        ],
        "link": [StrOptions({"chain", "independent"}), tuple, list],
        "fm_sharing": [StrOptions({"shared", "per_task"})],
        "embedding_dim": [Interval(Integral, 1, None, closed="left")],
        "embedding_std": [Interval(Real, 0, None, closed="left")],
        "expert_dims": [tuple, list],
        "n_experts": [Interval(Integral, 1, None, closed="left")],
        "n_task_experts": [Interval(Integral, 1, None, closed="left")],
        "n_shared_experts": [Interval(Integral, 1, None, closed="left")],
        "n_levels": [Interval(Integral, 1, None, closed="left")],
        "gate_dims": [tuple, list],
        "tower_dims": [tuple, list],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "batch_norm": ["boolean"],
        "categorical_features": ["array-like", StrOptions({"from_dtype", "all"}), callable, None],
        "numeric_scaling": [StrOptions({"quantile", "standard"}), None],
        "numeric_bins": [Interval(Integral, 1, None, closed="left")],
        "min_frequency": [Interval(Integral, 1, None, closed="left")],
        "unknown_rate": [Interval(Real, 0, 1, closed="left")],
        "task_weights": ["array-like", None],
        "optimizer": [StrOptions(set(fitting.OPTIMIZERS)), type],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "early_stopping": ["boolean", StrOptions({"auto"})],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "patience": [Interval(Integral, 1, None, closed="left")],
        "average_decay": [Interval(Real, 0, 1, closed="left")],
        "callbacks": ["array-like", None],
        "net_params": [dict, None],
        "device": [str],
        "n_threads": [Interval(Integral, 1, None, closed="left"), None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
    }

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
        go_on = self.warm_start and hasattr(self, "net_")
        data = self._read(X, y if Y is None else Y, sample_weight, reset=not go_on)
        valid = None if X_val is None else self._read(X_val, Y_val, None, reset=False)
        if valid is None and fitting.wants_split(self, len(data[0])):
            data, valid = fitting.split(self, *data, self._random)
        return self._train(data, valid, epochs=self.max_epochs, anew=not go_on)

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
        first = not hasattr(self, "net_")
        data = self._read(X, y if Y is None else Y, sample_weight, reset=first, classes=classes)
        return self._train(data, None, epochs=1, anew=first)

    def _read(self, X: Any, Y: Any, sample_weight: Any, *, reset: bool, classes: Any = None) -> tuple[Encoded, Targets]:
        """Validate and encode training data; with `reset` learn the encoding from it."""
        if reset:
            check_widths(self, "expert_dims", "gate_dims", "tower_dims")
        if Y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        X = self._table(X, reset=reset)
        check_consistent_length(X, Y)
        if reset:
            self._random = check_random_state(self.random_state)
            self._targets = TargetEncoder().fit(Y, classes)
            self._encoder = FeatureEncoder(
                self.categorical_features,
                numeric_scaling=self.numeric_scaling,
                numeric_bins=self.numeric_bins,
                min_frequency=self.min_frequency,
            )
        targets = self._targets_of(Y, sample_weight)
        return (self._encoder.fit_encode(X) if reset else self._encoder.encode(X)), targets

    def _targets_of(self, Y: Any, sample_weight: Any) -> Targets:
        return self._targets.encode(Y, sample_weight, parents_of(self.link, len(self._targets.classes)))

    def _table(self, X: Any, *, reset: bool) -> Any:
        """X checked, as a DataFrame or a 2-D array."""
        if not isinstance(X, pd.DataFrame):
            return validate_data(self, X, reset=reset, dtype=None, ensure_all_finite=False)
        twice = X.columns[X.columns.duplicated()]
        if len(twice):
            raise ValueError(f"X has more than one column named {twice[0]!r}.")
        check_array(np.empty(X.shape, dtype=bool), estimator=self)  # the wording for no rows or no columns
        validate_data(self, X, reset=reset, skip_check_array=True)
        return X

    def _train(
        self, data: tuple[Encoded, Targets], valid: tuple[Encoded, Targets] | None, *, epochs: int, anew: bool
    ) -> MultiTaskClassifier:
        """Train the net, with `anew` a new one, and set the fitted attributes."""
        if anew:
            self.net_ = fitting.new_net(self, self._encoder, data[1], self._random)
        fitting.train(
            self,
            self.net_,
            data,
            valid,
            epochs=epochs,
            encoder=self._encoder,
            task_names=self._targets.names,
            random=self._random,
        )
        self.task_names_ = self._targets.names
        classes = self._targets.classes
        self.classes_ = classes[0] if self._targets.one_dimensional else classes
        self.device_ = str(self.net_.device)
        self.history_ = fitting.history_of(self.net_)
        self.n_iter_ = len(self.history_)
        return self

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
        both = [np.stack((1 - p[:, k], p[:, k]), axis=1) for k in range(p.shape[1])]
        return both[0] if self._targets.one_dimensional else both

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
        exponents = np.ones(p.shape[1]) if weights is None else np.asarray(weights, dtype=float)
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
        targets = self._targets_of(Y, sample_weight)
        auc = task_aucs(targets.labels, p, targets.weights)
        return float(np.mean(auc))

    def __getstate__(self) -> dict[str, Any]:
        """Parameters and fitted state, the net as plain arrays of weights: small, and safe to look at."""
        state = super().__getstate__()
        return {**state, "net_": fitting.freeze(self.net_)} if "net_" in state else state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        frozen = state.pop("net_", None)
        super().__setstate__(state)
        if frozen is not None:
            self.net_ = fitting.thaw(self, self._encoder, len(self._targets.classes), frozen)
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
