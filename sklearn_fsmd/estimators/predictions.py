"""Predictions of a fitted estimator: probabilities, labels, values, a score to rank by, and gate weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from sklearn_fsmd.compose import OutputView, output_view
from sklearn_fsmd.encoding import InputEncoder
from sklearn_fsmd.encoding.table import Encoded, as_pandas, read_table
from sklearn_fsmd.encoding.targets import TargetEncoder, one_of, warn_of_young_rows
from sklearn_fsmd.encoding.warnings import warn_of_orders
from sklearn_fsmd.estimators.atomic import AtomicEstimator, on_snapshot
from sklearn_fsmd.inference import Predictor
from sklearn_fsmd.metrics import mean_auc
from sklearn_fsmd.network import MultiTaskNetwork, parents_of
from sklearn_fsmd.parameters import EXTRACTORS, offered_if
from sklearn_fsmd.ranking import listed, weighted_product
from sklearn_fsmd.training import NETWORK_SHARES, Net, construction


def _has_gates(self: Predictions) -> bool:
    fitted_has_gates = hasattr(self.module_.extractor, "gate_weights") if hasattr(self, "_predictor") else None
    part = EXTRACTORS.parts.get(self.extractor) if isinstance(self.extractor, str) else None
    if fitted_has_gates is False or (fitted_has_gates is None and part is not None and "gate_dims" not in part.reads):
        gated = [name for name, part in EXTRACTORS.parts.items() if "gate_dims" in part.reads]
        raise AttributeError(
            f"extractor={self.extractor!r} has no gates, so there are no gate weights. These have: {gated}."
        )
    return True


def _has_values(self: Predictions) -> bool:
    names = self._targets.value_names if hasattr(self, "_targets") else self.value_targets
    if not names:
        when = "named none in fit" if hasattr(self, "_targets") else "names none"
        raise AttributeError(f"There are no values to predict: the 'value_targets' parameter {when}.")
    return True


class Predictions(AtomicEstimator):
    """Mixin with the prediction methods of :class:`~sklearn_fsmd.MultiTaskClassifier`."""

    extractor: Any
    value_targets: Sequence[str | int] | None
    n_threads: int | None
    _predictor: Predictor
    _encoder: InputEncoder
    _targets: TargetEncoder
    calibration_: np.ndarray | None
    history_: list[dict[str, Any]]

    @property
    def module_(self) -> MultiTaskNetwork:
        """The fitted network, a torch module."""
        self._check_is_fitted()
        return self._predictor.network

    @property
    @on_snapshot
    def net_(self) -> Net:
        """The skorch net that trained the network. After a load it is made at the first use: scoring needs none."""
        self._check_is_fitted()
        return self._predictor.trained_by(lambda predictor: construction.net_of(predictor, self.history_))

    @property
    def network_shares_(self) -> np.ndarray | None:
        """The share of the network in each step, and then in each value, next to regressions; None without them."""
        self._check_is_fitted()
        shares = self._predictor.spec.get(NETWORK_SHARES)
        return None if shares is None else np.array(shares)

    @property
    def statistics_features_(self) -> list[Any]:
        """The columns, and tuples of columns, that have target statistics: what "auto" has chosen."""
        self._check_is_fitted()
        return self._encoder.statistics_features

    @property
    def value_names_(self) -> list[str]:
        """Names of the columns of Y that hold values, in the order of :meth:`predict_values`."""
        self._check_is_fitted()
        return self._targets.value_names

    def _check_is_fitted(self) -> None:
        if "_predictor" not in self.__dict__:  # the check of scikit-learn takes as long as a layer of the network
            check_is_fitted(self)

    def _table(self, X: Any) -> Any:
        """Check the rows to predict for, and fill in the columns of `bias_features` if they are missing."""
        return read_table(self, self._encoder.filled(as_pandas(X)), reset=False)

    def _rows(self, X: Any, *, as_shown: bool = False) -> Encoded:
        """Check and encode the rows to predict for; `as_shown` with their `bias_features`."""
        if as_shown:
            return self._encoder.encode_shown(read_table(self, as_pandas(X), reset=False))
        return self._encoder.encode_main(self._table(X))

    @on_snapshot
    def predict_marginals(self, X: Any, *, as_shown: bool = False) -> np.ndarray:
        """Predict the marginal probability P(Y_k = 1 | x) of each task; in a chain pCTR, pCTCVR and so on.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
        as_shown : bool, default=False
            Whether to predict each row for the position in its `bias_features`, so that predictions can be compared
            with a log. By default each row is predicted as if it were shown in a good position.

        Returns
        -------
        p : ndarray of shape (n_samples, n_tasks), float32

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If X has other columns than in `fit`, or a column of another kind, such as strings instead of numbers, or if
            a number is infinite.
        TypeError
            If a column of X holds neither numbers nor categories, but for instance dates.
        """
        self._check_is_fitted()
        return self._predictor.marginals(self._rows(X, as_shown=as_shown), self.n_threads, self.calibration_)

    @on_snapshot
    def predict_proba(self, X: Any) -> list[np.ndarray] | np.ndarray:
        """Predict the marginal probabilities of both classes of each task.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)

        Returns
        -------
        p : list of n_tasks arrays of shape (n_samples, 2), float32; a single such array if Y was one-dimensional
            Columns in the order of `classes_`.

        Raises
        ------
        NotFittedError, ValueError, TypeError
            As in :meth:`predict_marginals`.
        """
        p = self.predict_marginals(X)
        return self._by_task(np.stack((1 - p, p), axis=2))

    @on_snapshot
    def predict_log_proba(self, X: Any) -> list[np.ndarray] | np.ndarray:
        """Predict the logarithms of the probabilities of both classes of each task.

        They are exact for probabilities of any size. Those of :meth:`predict_proba` are 0 or 1 if a class is so rare
        that float32 cannot hold the difference.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)

        Returns
        -------
        log_p : as `predict_proba`, with logarithms.

        Raises
        ------
        NotFittedError, ValueError, TypeError
            As in :meth:`predict_marginals`.
        """
        self._check_is_fitted()
        return self._by_task(self._predictor.log_probabilities(self._rows(X), self.n_threads, self.calibration_))

    def _by_task(self, of_classes: np.ndarray) -> list[np.ndarray] | np.ndarray:
        """Split what was predicted for both classes ``(n, K, 2)`` by task, as scikit-learn returns it."""
        return of_classes[:, 0] if self._targets.one_dimensional else list(of_classes.swapaxes(0, 1))

    @on_snapshot
    def predict(self, X: Any) -> np.ndarray:
        """Predict the more probable class of each task.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)

        Returns
        -------
        labels : ndarray of shape (n_samples, n_tasks), or (n_samples,) if Y was one-dimensional

        Raises
        ------
        NotFittedError, ValueError, TypeError
            As in :meth:`predict_marginals`.
        """
        positive = (self.predict_marginals(X) > 0.5).astype(int)
        classes = self._targets.classes
        labels = [pair[positive[:, k]] for k, pair in enumerate(classes)]
        if self._targets.one_dimensional:
            return labels[0]
        dtype = np.result_type(*labels)
        if any((pair.astype(dtype).astype(pair.dtype) != pair).any() for pair in classes):
            dtype = np.dtype(object)  # no common dtype holds them, for instance floats and integers beyond 2**53
        return np.stack([column.astype(dtype) for column in labels], axis=1)

    @on_snapshot
    def predict_conditionals(self, X: Any, *, as_shown: bool = False) -> np.ndarray:
        """Predict P(step k | step k − 1) of each task: first the marginal of the first task, then pCVR.

        In a tree, the step before is the parent. If the link makes no target depend on another, the targets are treated
        as a chain, and the ratio of two marginals is clipped at 1.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
        as_shown : bool, default=False
            As in :meth:`predict_marginals`.

        Returns
        -------
        p : ndarray of shape (n_samples, n_tasks), float32

        Raises
        ------
        NotFittedError, ValueError, TypeError
            As in :meth:`predict_marginals`.
        """
        self._check_is_fitted()
        if not self.module_.link.stands_alone:
            return self._predictor.steps(self._rows(X, as_shown=as_shown), self.n_threads, self.calibration_)
        return self._conditionals_of(self.predict_marginals(X, as_shown=as_shown))

    def _conditionals_of(self, p: np.ndarray) -> np.ndarray:
        """Compute the conditional probabilities ``(n, K)`` from the marginals `p`."""
        conditionals = [
            p[:, k] if before is None else _ratio(p[:, k], p[:, before]) for k, before in enumerate(self._steps_before)
        ]
        return np.stack(conditionals, axis=1)

    @property
    def _steps_before(self) -> Sequence[int | None]:
        """For each task the position of the task that its conditional probability is conditioned on, or None."""
        parents = self.module_.link.parents
        return parents if any(parent is not None for parent in parents) else parents_of("chain", len(parents))

    @offered_if(_has_values)
    @on_snapshot
    def predict_values(self, X: Any, *, conditional: bool = False, as_shown: bool = False) -> np.ndarray:
        """Predict the expected value of each of `value_targets`: P(step) · E[value | step] if it follows a step.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
        conditional : bool, default=False
            Whether to return E[value | step] alone, such as the expected watch time of a video that is clicked.
        as_shown : bool, default=False
            As in :meth:`predict_marginals`.

        Returns
        -------
        values : ndarray of shape (n_samples, n_values), float32, in the units of Y

        Raises
        ------
        AttributeError
            If the estimator has no `value_targets`.
        NotFittedError, ValueError, TypeError
            As in :meth:`predict_marginals`.
        """
        self._check_is_fitted()
        rows = self._rows(X, as_shown=as_shown)
        p, values = self._predictor.marginals_and_values(rows, self.n_threads, self.calibration_)
        return cast("np.ndarray", values) if conditional else self._values_per_impression(p, values)

    @on_snapshot
    def _marginals_and_values(self, X: Any, *, as_shown: bool = False) -> np.ndarray:
        """Predict the marginals and then the expected values per impression, ``(n, K + V)``, in one forward pass."""
        self._check_is_fitted()
        rows = self._rows(X, as_shown=as_shown)
        p, values = self._predictor.marginals_and_values(rows, self.n_threads, self.calibration_)
        return np.hstack((p, self._values_per_impression(p, values)))

    def _values_per_impression(self, p: np.ndarray, values: np.ndarray | None) -> np.ndarray:
        """Multiply, in place, the values given their step by the probability of the step, ``(n, V)``."""
        if values is None or self._targets.of_values is None:
            return np.empty((len(p), 0), dtype=np.float32)
        for v, parent in enumerate(self._targets.of_values.parents):
            if parent is not None:
                values[:, v] *= p[:, parent]
        return values

    @on_snapshot
    def rank_score(
        self,
        X: Any,
        weights: Sequence[float] | np.ndarray | Mapping[str, float] | None = None,
        *,
        as_shown: bool = False,
    ) -> np.ndarray:
        """Compute one score to rank by: the weighted product Π_k P(Y_k = 1)^{α_k}, with expected values as factors too.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
        weights : array-like of shape (n_tasks,) or (n_tasks + n_values,), or dict, default=None
            The exponents α, for instance from :func:`~sklearn_fsmd.ranking.tune_rank_weights`; None means 1 for all.
            The exponents of the probabilities come first, then those of :meth:`predict_values`; without the latter
            they are 0. An expected value below 0 counts as 0; exponents may be negative. A dict maps names of
            `task_names_` and `value_names_` to exponents; names that it lacks get 0.
        as_shown : bool, default=False
            As in :meth:`predict_marginals`.

        Returns
        -------
        score : ndarray of shape (n_samples,), float64

        Raises
        ------
        ValueError
            If the weights are not one finite number per task (or per task and value), if they are all zero, if they
            contain an unknown name, or as in :meth:`predict_marginals`.
        NotFittedError, TypeError
            As in :meth:`predict_marginals`.
        """
        self._check_is_fitted()
        exponents = listed(weights, self)
        rows = self._rows(X, as_shown=as_shown)
        p, values = self._predictor.marginals_and_values(rows, self.n_threads, self.calibration_)
        if exponents is None or np.shape(exponents) != (p.shape[1],):
            p = np.hstack((p, self._values_per_impression(p, values).clip(min=0)))
        return weighted_product(p, exponents)

    @offered_if(_has_gates)
    @on_snapshot
    def gate_weights(self, X: Any) -> np.ndarray:
        """Compute the weight that the gate of each task gives to each expert, level by level.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)

        Returns
        -------
        weights : ndarray of shape (n_samples, n_levels, n_tasks + n_values, n_all_experts), float32
            The weights sum to 1 over the experts. In "ple", the experts of each task come first, task by task, and
            then the shared experts; the experts of other tasks have weight 0.

        Raises
        ------
        AttributeError
            If the extractor has no gates.
        NotFittedError, ValueError, TypeError
            As in :meth:`predict_marginals`.
        """
        self._check_is_fitted()
        return self._predictor.gate_weights(self._rows(X), self.n_threads)

    def output_view(self, task: int | str) -> OutputView:
        """Return one target as a fitted binary classifier, for tools that need one: calibration, thresholds, displays.

        Parameters
        ----------
        task : int or str, the index or the name of the target.

        Returns
        -------
        view : OutputView
            As from :func:`~sklearn_fsmd.compose.output_view`, which also takes Pipelines and searches.
        """
        return output_view(self, task)

    @on_snapshot
    def score(self, X: Any, Y: Any = None, sample_weight: Any = None, *, y: Any = None) -> float:
        """Compute the mean ROC AUC over the binary targets.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
        Y : array-like of shape (n_samples,) or (n_samples, n_columns)
            With all columns that Y had in `fit`, including those that hold values.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_columns), default=None
        y : default=None
            Another name of Y.

        Returns
        -------
        auc : float
            The mean over the targets of which both classes are observed. If there is none, it is NaN, with an
            `UndefinedMetricWarning`.

        Raises
        ------
        ValueError
            If X or Y cannot be read, or if there is no observed label with a weight above 0.
        """
        Y = one_of(Y, y)
        warn_of_orders(X=X, Y=Y, sample_weight=sample_weight)
        Y, p = as_pandas(Y), self.predict_marginals(X)
        check_consistent_length(p, Y)
        parents = self.module_.link.parents
        targets = self._targets.encode(Y, sample_weight, parents, warns=False)
        warn_of_young_rows(targets.labels, targets.full_weights, self._targets.names, parents)
        labels = pd.DataFrame(targets.labels, columns=self._targets.names)  # a warning of mean_auc names the columns
        return mean_auc(labels, p, sample_weight=targets.weights)


def _ratio(p: np.ndarray, p_before: np.ndarray) -> np.ndarray:
    """The conditional probability ``p / p_before``, clipped at 1; it is 1 if `p_before` is 0."""
    return np.minimum(np.divide(p, p_before, out=np.ones_like(p), where=p_before > 0), 1)
