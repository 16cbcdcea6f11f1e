"""Logs of which negatives were dropped at random: the correction of probabilities, and checks of other rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from sklearn_fsmd.encoding.targets import StepSums, Targets
from sklearn_fsmd.parameters import warn
from sklearn_fsmd.training import FIRST_STEP

DRIFT = 0.2
"""Standard deviation, from day to day, of the log-odds of an event."""
EVIDENCE = 3.0
"""Difference of the log-likelihoods above which rows are treated as those of a whole log, or of a sampled one."""


class FirstStep(NamedTuple):
    """The rate of the first step of a chain or tree in some rows, and the effective number of its labels."""

    rate: float
    n_labels: float

    @classmethod
    def of(cls, steps: StepSums, parents: Sequence[int | None]) -> FirstStep:
        """Its rate and labels in the rows whose labels are summed up in `steps`."""
        k = [parent is None for parent in parents].index(True)
        return cls(float(steps.rates(parents)[k]), float(steps.n_labels[k]))

    def log_odds(self) -> tuple[float, float]:
        """Log-odds of the rate, and their sampling variance."""
        return math.log(self.rate / (1 - self.rate)), 1 / (self.n_labels * self.rate * (1 - self.rate))


def shift_of(rate: float, parents: Sequence[int | None]) -> np.ndarray:
    """Slopes and intercepts ``(K, 2)`` that correct for negative downsampling at `rate`.

    The log kept only the share `rate` of the rows without the first event. This multiplies the odds of the first event
    by 1 / rate, whatever X is. The steps after it are learned from rows that were all kept.

    Raises
    ------
    ValueError
        If more than one task has no parent: then it is unknown whose negatives were dropped.
    """
    if sum(parent is None for parent in parents) > 1:
        raise ValueError(
            "The 'negative_sampling_rate' parameter needs a chain or a tree, whose first task defines which rows are "
            f"negatives. Got link parents {tuple(parents)}."
        )
    return np.array([(1.0, math.log(rate) if parent is None else 0.0) for parent in parents])


def refuse_other_rate(rate: float, spec: Mapping[str, Any]) -> None:
    """Raise if a chunk was sampled at another rate than the former fit, whose level `partial_fit` keeps."""
    if (before := spec.get("negative_sampling_rate", rate)) != rate:
        raise ValueError(
            f"The 'negative_sampling_rate' parameter was {before!r} in the former fit and is {rate!r} now, and "
            "`partial_fit` keeps the level of that fit. Sample rows in the same way, or call `fit`."
        )


def refuse_weights_that_correct_too(rate: float, targets: Targets, parents: Sequence[int | None]) -> None:
    """Raise if the weights of rows without the first event are just 1 / rate times those of the other rows.

    The weights would correct the sampling, and `negative_sampling_rate` would correct it once more.
    """
    if rate == 1 or targets.weights is None:
        return
    k = [parent is None for parent in parents].index(True)
    weights, labels = targets.weights[:, k], targets.labels[:, k]
    without, others = (weights[(weights > 0) & (labels == label)] for label in (0, 1))
    if not len(without) or not len(others) or np.ptp(without) > 0 or np.ptp(others) > 0:
        return
    if math.isclose(without[0] / others[0], 1 / rate, rel_tol=1e-3):
        raise ValueError(
            f"`sample_weight` gives the rows without the first event {1 / rate:.4g} times the weight of the others, "
            f"which is 1 / negative_sampling_rate: together, they correct the sampling twice. Leave one of them out."
        )


def noted(spec: dict[str, Any], steps: StepSums, parents: Sequence[int | None]) -> dict[str, Any]:
    """The `spec_` of a net with the rate of the first step in its training rows, if these were sampled."""
    if spec.get("negative_sampling_rate", 1.0) == 1:
        return {name: value for name, value in spec.items() if name != FIRST_STEP}
    return spec | {FIRST_STEP: list(FirstStep.of(steps, parents))}


def refuse_unsampled_rows(spec: Mapping[str, Any], steps: StepSums, parents: Sequence[int | None]) -> None:
    """Raise if rows to learn from come from the whole log, and those of the fit, whose `spec_` this is, are a sample.

    The level of the predictions would lie between the levels of both.
    """
    if FIRST_STEP in spec:
        train, others = FirstStep(*spec[FIRST_STEP]), FirstStep.of(steps, parents)
        refuse_unsampled(spec["negative_sampling_rate"], train, others, "these rows")


def refuse_unsampled(rate: float, train: FirstStep, others: FirstStep, what: str) -> None:
    """Raise if the `others` are clearly not sampled, and the rows of `train` are, with `rate`."""
    if evidence_of_a_whole_log(rate, train, others) > EVIDENCE:
        raise ValueError(
            f"The rate of the first target is {others.rate:.2g} in {what} and {train.rate:.2g} in the training rows, "
            f"as if the former had not been sampled with negative_sampling_rate={rate}. Sample them in the same way; "
            "to set the level by a whole log, call `calibrate` with it."
        )


def warn_of_sampled_rows(spec: Mapping[str, Any], steps: StepSums, parents: Sequence[int | None]) -> None:
    """Warn if rows to calibrate on are clearly sampled as those of the fit were, whose `spec_` this is."""
    if FIRST_STEP not in spec:
        return
    rate, train, others = spec["negative_sampling_rate"], FirstStep(*spec[FIRST_STEP]), FirstStep.of(steps, parents)
    if evidence_of_a_whole_log(rate, train, others) < -EVIDENCE:
        warn(
            f"The rate of the first target is {others.rate:.2g} in the rows to calibrate on and {train.rate:.2g} in "
            f"the training rows, as if the former had been sampled with negative_sampling_rate={rate} too. From now on "
            "the model predicts the rates of the sample. Take rows of the whole log, or give the rows without the "
            f"first event the `sample_weight` {1 / rate:.3g}."
        )


def evidence_of_a_whole_log(rate: float, train: FirstStep, others: FirstStep) -> float:
    """Log-likelihood that the `others` are a whole log, minus that they are a sample as the rows of `train` are.

    It uses the odds of the first event, which vary by chance and from day to day. Few rows do not give enough evidence,
    nor does a sample that has kept more than three fifths of the negatives.

    Parameters
    ----------
    rate : the `negative_sampling_rate` of the training rows.
    train, others : the first step in the training rows and in the other rows.
    """
    if any(step.n_labels <= 0 or not 0 < step.rate < 1 for step in (train, others)):
        return 0.0
    (logit, variance), (other_logit, other_variance) = train.log_odds(), others.log_odds()
    difference, total_variance = other_logit - logit, variance + other_variance + DRIFT**2
    return (difference**2 - (difference - math.log(rate)) ** 2) / (2 * total_variance)
