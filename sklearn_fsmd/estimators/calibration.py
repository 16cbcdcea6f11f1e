"""Calibration: a slope and an intercept correct the log-odds of each step, and marginals stay products of steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from sklearn_fsmd.encoding.table import Encoded, as_pandas
from sklearn_fsmd.encoding.targets import StepSums, effective_counts, index_of_target, one_of
from sklearn_fsmd.encoding.warnings import warn_of_orders
from sklearn_fsmd.estimators.predictions import Predictions
from sklearn_fsmd.estimators.sampled_logs import warn_of_sampled_rows
from sklearn_fsmd.parameters import warn
from sklearn_fsmd.training import level_of, slope_of

FEW_EVENTS = 10
"""With fewer rows of the rarer class, the level may be off by a third."""
SPREAD, STEEPEST = 0.5, 100.0
"""Standard deviation of the prior of log(slope), whose mean is 0, and the largest slope.

The prior is wider than that at the end of a fit: without validation rows, that one has set no slope.
"""


class Calibration(Predictions):
    """Mixin for an estimator that can be calibrated."""

    def calibrate(
        self,
        X: Any,
        Y: Any = None,
        sample_weight: Any = None,
        *,
        steps: Sequence[str | int] | None = None,
        y: Any = None,
    ) -> Self:
        """Calibrate the fitted estimator on rows that it was not trained on.

        For each step, Platt scaling fits a slope and an intercept of the log-odds. It uses the rows in which the parent
        of the step has happened, or all rows if the step has no parent. Few events say little of the slope, so it has a
        prior: the logarithm is normal, 0 ± 0.5. A marginal stays the product of its steps, so P(conversion) stays below
        P(click). The order of the predictions of each step does not change. A later `fit` or `partial_fit` removes the
        calibration.

        From now on the model predicts the rates of these rows, so take rows of the whole log: with rows of a sampled
        log, the correction by `negative_sampling_rate` is lost. With `bias_features`, these rows are predicted as
        they were shown, so X needs these columns. Other predictions are still made for a good position.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
        Y : array-like of shape (n_samples,) or (n_samples, n_columns)
            All columns of `fit`, those with values too, although values are not calibrated.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_columns), default=None
        steps : sequence of str or int, default=None
            Names or positions of the targets whose step is calibrated, such as ``["click"]`` where few rows have a
            conversion; None means all. The other steps stay as they are.
        y : default=None
            Another name of Y.

        Returns
        -------
        self : the calibrated estimator.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If a step that is calibrated has labels of one class only, if `steps` names no target, or if X lacks columns
            of fit, including those of `bias_features`.

        Warns
        -----
        UserWarning
            If a step has fewer than ten rows of its rarer class, or predictions that do not rise with its labels; if
            the rows are clearly sampled as those of a fit with `negative_sampling_rate`.
        """
        check_is_fitted(self)
        Y = one_of(Y, y)

        def learn(copied: Self, _: np.random.RandomState | None) -> None:
            copied.calibration_ = copied._slopes_and_intercepts(X, Y, sample_weight, copied._positions_of(steps))

        return self._learn_atomically(learn)

    def _positions_of(self, steps: Sequence[str | int] | None) -> list[int]:
        """Positions of the targets that `steps` names."""
        names = self._targets.names
        if steps is None:
            return list(range(len(names)))
        if np.isscalar(steps) or not len(steps):
            raise ValueError(f"`steps` must be a list of targets, such as {names[:1]}. Got {steps!r}.")
        return sorted({index_of_target(step, names) for step in steps})

    def _slopes_and_intercepts(self, X: Any, Y: Any, sample_weight: Any, steps: Sequence[int]) -> np.ndarray:
        """Slope and intercept of each target, ``(K, 2)``: new ones for these `steps`, those of before for others."""
        warn_of_orders(X=X, Y=Y, sample_weight=sample_weight)
        rows, Y = self._rows(X, as_shown=True), as_pandas(Y)
        check_consistent_length(rows.codes, Y)
        _warn_of_constant_bias_features(rows)
        parents = self.module_.link.parents
        targets = self._targets.encode(Y, sample_weight, parents)
        if any(parents[k] is None for k in steps):
            warn_of_sampled_rows(self._predictor.spec, StepSums.from_targets(targets, parents), parents)
        logits = self._predictor.logits(rows, self.n_threads).astype(np.float64)
        before = np.tile([1.0, 0.0], (len(parents), 1)) if self.calibration_ is None else self.calibration_
        fitted = np.array(before, dtype=np.float64)
        for k in steps:
            parent = parents[k]
            counts = targets.counts(k, parent)
            name = self._targets.names[k]
            if len(np.unique(targets.labels[counts > 0, k])) < 2:
                where = "" if parent is None else f" where {self._targets.names[parent]!r} is 1"
                raise ValueError(
                    f"Calibration needs both classes of {name!r}{where}, and Y has one of them at most. Take rows of "
                    "more days: labels of the last days may still be unknown (NaN). Or name the steps to calibrate in "
                    "`steps`."
                )
            step = repr(name) if parent is None else f"{name!r}, given {self._targets.names[parent]!r},"
            fitted[k] = platt(logits[:, k], targets.labels[:, k], counts, step)
        return fitted


def _warn_of_constant_bias_features(rows: Encoded) -> None:
    """Warn if the `bias_features` are the same in all rows, which is implausible for a log of several positions."""
    if rows.bias is None or len(rows.codes) < 2:
        return
    shown = np.hstack([rows.bias.codes, rows.bias.numbers])
    if (shown == shown[0]).all():
        warn(
            "The `bias_features` are the same in all rows to calibrate on, or missing. These rows are predicted as "
            "they were shown: give them the positions of the log, or the level is off by the effect of the positions."
        )


def platt(logits: np.ndarray, labels: np.ndarray, counts: np.ndarray, step: str) -> tuple[float, float]:
    """Fit the slope and intercept of the log-odds of a step.

    The slope is the most probable one by the labels and the prior of :data:`SPREAD`. It is positive, so the order of
    the predictions stays. At the intercept the mean prediction is the rate of the labels. `step` names the step in
    warnings.
    """
    used = counts > 0
    z, y, weights = logits[used], (labels[used] > 0).astype(np.float64), effective_counts(counts[used].astype(float))
    n_positive = int(y.sum())
    if (rarer := min(n_positive, len(y) - n_positive)) < FEW_EVENTS:
        warn(f"The calibration of {step} rests on {rarer} of {len(y)} rows, those of the rarer class.")
    slope = slope_of(z, 0.0, y, weights, spread=SPREAD, steepest=STEEPEST)
    if weights @ ((y - np.average(y, weights=weights)) * z) < 0:
        warn(
            f"The predictions of {step} do not rise with its labels in these {len(y)} rows, {n_positive} of them "
            f"positive: its log-odds are multiplied by {slope:.2g}."
        )
    return slope, level_of(slope * z, float(weights @ y), weights)
