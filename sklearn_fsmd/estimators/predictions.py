"""What a fitted estimator can be asked: probabilities, labels, a score to rank by, the gates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from sklearn_fsmd.compose import OutputView, output_view
from sklearn_fsmd.encoding import (
    Encoded,
    InputEncoder,
    TargetEncoder,
    as_pandas,
    one_of,
    read_table,
    warn_of_orders,
    warn_of_young_rows,
)
from sklearn_fsmd.estimators.atomic import AtomicEstimator, on_snapshot
from sklearn_fsmd.inference import Predictor
from sklearn_fsmd.metrics import mean_auc
from sklearn_fsmd.network import MultiTaskNetwork, parents_of
from sklearn_fsmd.parameters import EXTRACTORS, offered_if
from sklearn_fsmd.ranking import listed, weighted_product


def _has_gates(self: Predictions) -> bool:
    known = hasattr(self.module_.extractor, "gate_weights") if hasattr(self, "_predictor") else None
    named = EXTRACTORS.parts.get(self.extractor) if isinstance(self.extractor, str) else None
    if known is False or (known is None and named is not None and "gate_dims" not in named.reads):
        gated = [name for name, part in EXTRACTORS.parts.items() if "gate_dims" in part.reads]
        raise AttributeError(
            f"extractor={self.extractor!r} has no gates, so there are no gate weights. These have: {gated}."
        )
    return True


def _has_values(self: Predictions) -> bool:
    named = self._targets.value_names if hasattr(self, "_targets") else self.value_targets
    if not named:
        when = "named none in fit" if hasattr(self, "_targets") else "names none"
        raise AttributeError(f"There are no values to predict: the 'value_targets' parameter {when}.")
    return True


class Predictions(AtomicEstimator):
    """The methods of an estimator that has been fitted by :class:`~sklearn_fsmd.MultiTaskClassifier`."""

    extractor: Any
    value_targets: Sequence[str | int] | None
    n_threads: int | None
    _predictor: Predictor
    _encoder: InputEncoder
    _targets: TargetEncoder
    calibration_: np.ndarray | None

    @property
    def module_(self) -> MultiTaskNetwork:
        """The fitted network, a torch module."""
        self._refuse_unfitted()
        return self._predictor.network

    @property
    def value_names_(self) -> list[str]:
        """The columns of Y that hold values, in the order of :meth:`predict_values`."""
        self._refuse_unfitted()
        return self._targets.value_names

    def _refuse_unfitted(self) -> None:
        if "_predictor" not in self.__dict__:  # scikit-learn's question takes as long as a layer of the network
            check_is_fitted(self)

    def _table(self, X: Any) -> Any:
        """The rows to predict for, checked, with all columns of fit."""
        return read_table(self, self._encoder.filled(as_pandas(X)), reset=False)

    def _rows(self, X: Any, *, as_shown: bool = False) -> Encoded:
        """The same encoded."""
        if as_shown:
            return self._encoder.encode_shown(read_table(self, as_pandas(X), reset=False))
        return self._encoder.encode_main(self._table(X))

    @on_snapshot
    def predict_marginals(self, X: Any, *, as_shown: bool = False) -> np.ndarray:
        """P(Y_k = 1 | x) of each task: for a chain pCTR, pCTCVR and so on.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
        as_shown : bool, default=False
            Whether to predict each row as its `bias_features` say that it was shown, to be compared with a log, and
            not as if it had been shown well.

        Returns
        -------
        p : ndarray of shape (n_samples, n_tasks), float32
        """
        self._refuse_unfitted()
        return self._predictor.marginals(self._rows(X, as_shown=as_shown), self.n_threads, self.calibration_)

    @on_snapshot
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

    @on_snapshot
    def predict_log_proba(self, X: Any) -> list[np.ndarray] | np.ndarray:
        """The logarithms of what :meth:`predict_proba` returns.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)

        Returns
        -------
        log_p : as `predict_proba`; minus infinity where a probability is too small for a float32.
        """
        p = self.predict_proba(X)
        with np.errstate(divide="ignore"):
            return [np.log(of_task) for of_task in p] if isinstance(p, list) else np.log(p)

    @on_snapshot
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
        classes = self._targets.classes
        labels = [own[positive[:, k]] for k, own in enumerate(classes)]
        if self._targets.one_dimensional:
            return labels[0]
        dtype = np.result_type(*labels)
        if any((own.astype(dtype).astype(own.dtype) != own).any() for own in classes):
            dtype = np.dtype(object)  # such as integers beyond 2**53 beside floats
        return np.stack([own.astype(dtype) for own in labels], axis=1)

    @on_snapshot
    def predict_conditionals(self, X: Any, *, as_shown: bool = False) -> np.ndarray:
        """P(step k | step k − 1) of each task: the first is its marginal, the second pCVR.

        In a tree, the step before is the parent. Where the link says nothing of dependence, the targets are read as
        a chain, and the ratio of the marginals is cut off at 1.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
        as_shown : bool, default=False
            As in :meth:`predict_marginals`.

        Returns
        -------
        p : ndarray of shape (n_samples, n_tasks), float32
        """
        self._refuse_unfitted()
        if not self.module_.link.stands_alone:
            return self._predictor.steps(self._rows(X, as_shown=as_shown), self.n_threads, self.calibration_)
        return self._conditionals_of(self.predict_marginals(X, as_shown=as_shown))

    def _conditionals_of(self, p: np.ndarray) -> np.ndarray:
        """The conditionals that marginals come from, or are read as."""
        given = [
            p[:, k] if before is None else _ratio(p[:, k], p[:, before]) for k, before in enumerate(self._steps_before)
        ]
        return np.stack(given, axis=1)

    @property
    def _steps_before(self) -> Sequence[int | None]:
        """For each task the one whose event its conditional probability is given."""
        parents = self.module_.link.parents
        return parents if any(parent is not None for parent in parents) else parents_of("chain", len(parents))

    @offered_if(_has_values)
    @on_snapshot
    def predict_values(self, X: Any, *, conditional: bool = False, as_shown: bool = False) -> np.ndarray:
        """The expected value of each of `value_targets`: P(step) · E[value | step] where it follows a step.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
        conditional : bool, default=False
            Whether to return E[value | step] alone: of a watch time, that of a video if it is clicked.
        as_shown : bool, default=False
            As in :meth:`predict_marginals`.

        Returns
        -------
        values : ndarray of shape (n_samples, n_values), float32, in the units of Y
        """
        self._refuse_unfitted()
        rows = self._rows(X, as_shown=as_shown)
        p, values = self._predictor.marginals_and_values(rows, self.n_threads, self.calibration_)
        return cast("np.ndarray", values) if conditional else self._of_impressions(p, values)

    @on_snapshot
    def _marginals_and_values(self, X: Any, *, as_shown: bool = False) -> np.ndarray:
        """The marginals, and after them the expected values of impressions, ``(n, K + V)``, by one pass."""
        self._refuse_unfitted()
        rows = self._rows(X, as_shown=as_shown)
        p, values = self._predictor.marginals_and_values(rows, self.n_threads, self.calibration_)
        return np.hstack((p, self._of_impressions(p, values)))

    def _of_impressions(self, p: np.ndarray, values: np.ndarray | None) -> np.ndarray:
        """Values of impressions, from those given the step before them."""
        if values is None or self._targets.of_values is None:
            return np.empty((len(p), 0), dtype=np.float32)
        for v, parent in enumerate(self._targets.of_values.parents):
            if parent is not None:
                values[:, v] *= p[:, parent]
        return values

    @on_snapshot
    def rank_score(
        self, X: Any, weights: Sequence[float] | np.ndarray | Mapping[str, float] | None = None
    ) -> np.ndarray:
        """One score to sort by: the weighted product Π_k P(Y_k = 1)^{α_k}, and of expected values, if there are some.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
        weights : array-like of shape (n_tasks,) or (n_tasks + n_values,), or dict, default=None
            The exponents α, for instance of :func:`~sklearn_fsmd.ranking.tune_rank_weights`; None takes 1 for all.
            Those of :meth:`predict_values` follow those of the probabilities, or are 0. A negative value counts as 0.
            A dict has them by the names of `task_names_` and `value_names_`; what it does not name has 0.

        Returns
        -------
        score : ndarray of shape (n_samples,), float64

        Raises
        ------
        ValueError
            If the weights are not one finite number per task, or all zero, or name something else.
        """
        self._refuse_unfitted()
        exponents = listed(weights, self)
        p, values = self._predictor.marginals_and_values(self._rows(X), self.n_threads, self.calibration_)
        if exponents is None or np.shape(exponents) != (p.shape[1],):
            p = np.hstack((p, self._of_impressions(p, values).clip(min=0)))
        return weighted_product(p, exponents)

    @offered_if(_has_gates)
    @on_snapshot
    def gate_weights(self, X: Any) -> np.ndarray:
        """How much each task's gate gives to each expert, level by level.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)

        Returns
        -------
        weights : ndarray of shape (n_samples, n_levels, n_tasks + n_values, n_all_experts), float32
            They sum to 1 over the experts. In "ple" the experts stand task by task, then the shared ones; those of
            other tasks have the weight 0.
        """
        self._refuse_unfitted()
        return self._predictor.gate_weights(self._rows(X), self.n_threads)

    def output_view(self, task: int | str) -> OutputView:
        """One target as a fitted binary classifier, for what takes a single output: calibration, thresholds, displays.

        Parameters
        ----------
        task : int or str, the index or the name of the target.

        Returns
        -------
        view : as that of :func:`~sklearn_fsmd.compose.output_view`, which takes Pipelines and searches too.
        """
        return output_view(self, task)

    @on_snapshot
    def score(self, X: Any, Y: Any = None, sample_weight: Any = None, *, y: Any = None) -> float:
        """Mean ROC AUC over the binary targets.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
        Y : array-like of shape (n_samples,) or (n_samples, n_columns)
            With the columns that `fit` had, those of values among them.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_columns), default=None
        y : default=None
            Another name of Y.

        Returns
        -------
        auc : float
            The mean over the targets of which both classes are observed. Without any it is NaN, with an
            `UndefinedMetricWarning`.

        Raises
        ------
        ValueError
            If X or Y cannot be read, or no label whose weight is not zero was observed.
        """
        Y = one_of(Y, y)
        warn_of_orders(X=X, Y=Y, sample_weight=sample_weight)
        Y, p = as_pandas(Y), self.predict_marginals(X)
        check_consistent_length(p, Y)
        parents = self.module_.link.parents
        targets = self._targets.encode(Y, sample_weight, parents, warns=False)
        warn_of_young_rows(targets.labels, targets.full_weights, self._targets.names, parents)
        labels = pd.DataFrame(targets.labels, columns=self._targets.names)  # a warning names them
        return mean_auc(labels, p, sample_weight=targets.weights)


def _ratio(p: np.ndarray, given: np.ndarray) -> np.ndarray:
    """The ratio, at most 1; where both vanish, 1 says nothing against the step."""
    return np.minimum(np.divide(p, given, out=np.ones_like(p), where=given > 0), 1)
