"""Calibration: each step's log-odds are moved by a slope and an intercept, and probabilities stay products."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from sklearn_fsmd.encoding import Encoded, as_pandas, one_of, read_table, warn_of_orders
from sklearn_fsmd.estimators.predictions import Predictions
from sklearn_fsmd.parameters import warn
from sklearn_fsmd.training import level_of

FEW_EVENTS = 10
"""With fewer rows of the rarer class the level may be off by a third."""
STEEP = 100.0
"""A steeper slope says that the labels are told apart without an error."""
DRIFT = 0.2
"""The spread, from day to day, of the log-odds of an event."""
EVIDENCE = 3.0
"""So much larger is the log-likelihood of what is taken for true."""


class Calibration(Predictions):
    """The methods of an estimator that can be calibrated."""

    def calibrate(self, X: Any, Y: Any = None, sample_weight: Any = None, *, y: Any = None) -> Self:
        """Calibrate the fitted estimator on rows that training has not seen.

        For each step a slope and an intercept of its log-odds are fitted (Platt scaling), on the rows where the step
        takes place: those whose parent has happened. A marginal stays the product of its steps, so P(conversion) stays
        below P(click). A step without a parent is calibrated on all rows. The order of each step's predictions
        stays as it is. A further `fit`, and `partial_fit`, take the calibration back.

        The rates of these rows are those that are predicted from now on, so take rows of the whole log: with those of a
        sampled log the correction by `negative_sampling_rate` is lost. With `bias_features` these rows are predicted as
        they were shown, so X needs these columns; other predictions stay those of a good position.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
        Y : array-like of shape (n_samples,) or (n_samples, n_columns)
            Values included, though they are not calibrated.
        sample_weight : array-like of shape (n_samples,) or (n_samples, n_columns), default=None
        y : default=None
            Another name of Y.

        Returns
        -------
        self : the calibrated estimator.

        Raises
        ------
        NotFittedError
            If there is nothing to calibrate.
        ValueError
            If a step has labels of one class only, or if X lacks columns of fit, those of `bias_features` included.
        """
        check_is_fitted(self)
        Y = one_of(Y, y)

        def learn(copied: Self, users: np.random.RandomState | None) -> None:
            copied.calibration_ = copied._slopes_and_intercepts(X, Y, sample_weight)

        return self._learn_atomically(learn)

    def _slopes_and_intercepts(self, X: Any, Y: Any, sample_weight: Any) -> np.ndarray:
        warn_of_orders(X=X, Y=Y, sample_weight=sample_weight)
        rows, Y = self._encoder.encode_shown(read_table(self, as_pandas(X), reset=False)), as_pandas(Y)
        check_consistent_length(rows.codes, Y)
        _warn_of_one_place(rows)
        parents = self.module_.link.parents
        targets = self._targets.encode(Y, sample_weight, parents)
        logits = self._predictor.logits(rows, self.n_threads).astype(np.float64)
        fitted = []
        for k, parent in enumerate(parents):
            counts = targets.counts(k, parent)
            name = self._targets.names[k]
            if len(np.unique(targets.labels[counts > 0, k])) < 2:
                where = "" if parent is None else f" where {self._targets.names[parent]!r} is 1"
                raise ValueError(
                    f"Calibration needs both classes of {name!r}{where}, and Y has one of them at most. Take rows of "
                    "more days: where labels of the last ones are not known yet (NaN), earlier ones tell of the step."
                )
            what = repr(name) if parent is None else f"{name!r}, given {self._targets.names[parent]!r},"
            fitted.append(platt(logits[:, k], targets.labels[:, k], counts, what))
        return np.array(fitted)


def _warn_of_one_place(rows: Encoded) -> None:
    """Warn if all rows have been shown alike, as `bias_features` say, which no log of several places says."""
    if rows.bias is None or len(rows.codes) < 2:
        return
    shown = np.hstack([rows.bias.codes, rows.bias.numbers])
    if (shown == shown[0]).all():
        warn(
            "The `bias_features` are the same in all rows to calibrate on, or missing. These rows are predicted as "
            "they were shown: give them the positions that the log says, or the level is off by what the positions do."
        )


def platt(logits: np.ndarray, labels: np.ndarray, counts: np.ndarray, what: str) -> tuple[float, float]:
    """Slope and intercept of the log-odds that make the labels likeliest; the slope is positive.

    `what` says in messages whose predictions they are.
    """
    used = counts > 0
    z, y, weights = logits[used], labels[used] > 0, counts[used].astype(np.float64)
    if z[~y].max() <= z[y].min():  # no slope is too steep; or all predictions are one
        how = "are all the same in these rows" if np.ptp(z) == 0 else "tell its labels in these rows apart"
        warn(f"The predictions of {what} {how}: only their level is calibrated.")
        return 1.0, level_of(z, float(weights @ y), weights)
    # Gradients of rare events are small where the slope is still far off, so it is Newton's method on scaled log-odds.
    center, scale = z.mean(), z.std() or 1.0
    model = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-10)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # of labels that are nearly told apart, see below
        model.fit(((z - center) / scale)[:, None], y, weights)
    slope = float(model.coef_[0, 0]) / scale
    if slope > 0:
        if (rarer := min(y.sum(), (~y).sum())) < FEW_EVENTS:
            warn(f"The calibration of {what} rests on {rarer} of {len(y)} rows, those of the rarer class.")
        if slope > STEEP:
            warn(f"The predictions of {what} nearly tell its labels in these rows apart: they become 0 or 1.")
        return slope, float(model.intercept_[0]) - slope * center
    warn(
        f"The predictions of {what} do not rise with its labels in these {len(y)} rows, {y.sum()} of them positive: "
        "only their level is calibrated."
    )
    return 1.0, level_of(z, float(weights @ y), weights)


def shift_of(rate: float, parents: Sequence[int | None]) -> np.ndarray:
    """The calibration of a fit on a log of whose rows without the first event only the share `rate` was kept.

    Dropping negatives multiplies the odds of the first event by 1 / rate, whatever X is. The steps after it are learned
    from rows that were all kept.

    Raises
    ------
    ValueError
        If more than one task has no parent: then it is not said whose negatives were dropped.
    """
    if sum(parent is None for parent in parents) > 1:
        raise ValueError(
            "The 'negative_sampling_rate' parameter needs a chain or a tree, whose first task says which rows are "
            f"negatives. Got link parents {tuple(parents)}."
        )
    return np.array([(1.0, math.log(rate) if parent is None else 0.0) for parent in parents])


def refuse_other_rate(rate: float, spec: Mapping[str, Any]) -> None:
    """Raise if a chunk was sampled otherwise than the rows of the fit with these parameters, whose level it keeps."""
    if (before := spec.get("negative_sampling_rate", rate)) != rate:
        raise ValueError(
            f"The 'negative_sampling_rate' parameter was {before!r} in the fit that this one goes on from and is "
            f"{rate!r} now, and `partial_fit` keeps the level of that fit. Sample rows in the same way, or call `fit`."
        )


Rates = tuple[np.ndarray, np.ndarray]
"""How often each step happened, and of how many labels that is said, ``(K,)`` each."""


def refuse_unsampled(rate: float, parents: Sequence[int | None], train: Rates, others: Rates, what: str) -> None:
    """Raise if other rows are those of the whole log, of which the rows of training are a sample.

    The level of the predictions would be between that of both. Rows are taken for whole where that is far likelier than
    that they are a sample like the rows of training: by the odds of their first event, which vary by chance and from
    day to day. Of few rows, and of a sample that has kept more than three fifths of the negatives, nobody can tell.
    """
    k = [parent is None for parent in parents].index(True)
    if any(n[k] <= 0 or not 0 < rates[k] < 1 for rates, n in (train, others)):
        return
    (at, chance), (other, other_chance) = (_log_odds(float(rates[k]), float(n[k])) for rates, n in (train, others))
    apart, variance = other - at, chance + other_chance + DRIFT**2
    if (apart**2 - (apart - math.log(rate)) ** 2) / (2 * variance) > EVIDENCE:
        raise ValueError(
            f"The first target is 1 in {others[0][k]:.2g} of {what} and in {train[0][k]:.2g} of those of training, as "
            f"if the former had not been sampled with negative_sampling_rate={rate}. Sample them in the same way; to "
            "set the level by a whole log, call `calibrate` with it."
        )


def _log_odds(rate: float, n: float) -> tuple[float, float]:
    """The log-odds of a rate of `n` labels, and their variance by chance."""
    return math.log(rate / (1 - rate)), 1 / (n * rate * (1 - rate))
