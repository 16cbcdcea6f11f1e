"""The slope of predictions: factors of the log-odds that fit them to the labels of the validation rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor

from sklearn_fsmd.network import MultiTaskNetwork, ValueModel
from sklearn_fsmd.training.level import (
    LabelledLogits,
    LabelledOutputs,
    binary_tasks_of,
    information,
    loss_at_best_level,
    trials,
    value_targets_of,
)
from sklearn_fsmd.training.value_level import correct_slopes

SPREAD = 0.3
"""Standard deviation of the prior of log(slope), whose mean is 0."""
STEEPEST = 4.0
"""The largest slope, and the inverse of the smallest: if the classes are separable, the likelihood has no maximum."""


@torch.inference_mode()
def set_slopes(
    network: MultiTaskNetwork, parts: Sequence[LabelledOutputs], bias_logits: Tensor, rates: np.ndarray
) -> None:
    """Multiply the log-odds of each step by the slope that the labels of the validation rows call for.

    A network that has memorised training rows predicts new ones overconfidently. The level is set afterwards, so each
    member of an ensemble keeps the order of its rows. What a bias tower adds is not multiplied: every position has
    many rows, so it is not memorised.

    Parameters
    ----------
    network : its `slopes` are changed.
    parts : training rows and validation rows.
    bias_logits : (n, K), logits that the bias tower adds to those of the validation rows.
    rates : (K,), how often each step happened in all training rows.
    """
    train, valid = (binary_tasks_of(part, len(rates)) for part in parts)
    present_slopes = network.slopes.cpu().numpy()
    factors = slope_factors(network.link.parents, train, valid, bias_logits.cpu().numpy(), rates, present_slopes)
    network.slopes *= torch.from_numpy(factors).to(network.slopes)


@torch.inference_mode()
def set_slopes_of_values(network: MultiTaskNetwork, train: LabelledOutputs, valid: LabelledOutputs) -> None:
    """Set the slopes of expected values by the values of the validation rows, and the spread of the training values."""
    of_train, of_valid = (value_targets_of(network, part) for part in (train, valid))
    correct_slopes(cast("ValueModel", network.values), of_train, of_valid)


def slope_factors(
    parents: Sequence[int | None],
    train: LabelledLogits,
    valid: LabelledLogits,
    bias_logits: np.ndarray,
    rates: np.ndarray,
    present_slopes: np.ndarray,
) -> np.ndarray:
    """Factors by which to multiply the present slope of each step, ``(K,)``.

    A factor is 1 if the validation rows or all training rows have a single class, or if the sample of training rows
    has no row in which the step took place: then its level could not be set. Factors are rounded to four decimals,
    which is more than the rows determine.

    `bias_logits` ``(n, K)`` are what the bias tower added to the log-odds of the validation rows.
    """
    counts, has_level = trials(parents, valid), trials(parents, train).any(axis=0) & (rates > 0) & (rates < 1)
    factors = np.ones(len(parents))
    for k in np.flatnonzero(has_level & (information(parents, valid) > 0)):
        used = counts[:, k] > 0
        z, bias, y, w = (x[used, k].astype(np.float64) for x in (valid.logits, bias_logits, valid.labels, counts))
        factors[k] = slope_of(z - bias, bias, y, w, before=float(present_slopes[k]))
    return factors.round(4)


def slope_of(
    z: np.ndarray,
    rest: np.ndarray | float,
    y: np.ndarray,
    w: np.ndarray,
    *,
    spread: float = SPREAD,
    steepest: float = STEEPEST,
    before: float = 1.0,
) -> float:
    """The most probable slope s for labels `y` with the log-odds ``rest + level + s · z``, at the best level.

    The log-odds `z` have been multiplied by the slope `before` already. The prior of the logarithm of the whole slope
    is normal, with mean 0 and standard deviation `spread`. (LogisticRegression of scikit-learn has neither an offset
    like `rest` nor a prior around 1.) Arrays are ``(n,)``; `w` are weights.
    """
    log_before = math.log(before)

    def loss(log_slope: float) -> float:
        logits = rest + math.exp(log_slope - log_before) * z
        return loss_at_best_level(logits, y, w) + (log_slope / spread) ** 2 / 2

    limit = math.log(steepest)
    optimum = minimize_scalar(loss, bounds=(-limit, limit), method="bounded", options={"xatol": 1e-7})
    return math.exp(optimum.x - log_before)
