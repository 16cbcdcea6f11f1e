"""The slope of predictions: how far apart log-odds are to be, by rows that training has not seen."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor

from sklearn_fsmd.network import MultiTaskNetwork
from sklearn_fsmd.training.level import Outputs, Said, information, level_of, said_of, tries

SPREAD = 0.3
"""How far the logarithm of a slope is thought to be from 0 before any row has been seen: its standard deviation."""
STEEPEST = 4.0
"""The largest slope, and the inverse of the smallest: where all labels are told apart, no slope is too steep."""


@torch.inference_mode()
def set_slopes(network: MultiTaskNetwork, parts: Sequence[Outputs], places: Tensor, rates: np.ndarray) -> None:
    """Let a step's log-odds lie as far apart as the labels of the validation rows, the second of `parts`, say.

    What has been learned by heart lets rows of training lie further apart than new ones should. The log-odds of each
    step are multiplied by a slope, and the level is set afterwards; so each member of an ensemble keeps the order of
    its rows. What a bias tower has added to the validation rows, `places` ``(n, K)``, stays: every position has many
    rows. `rates` ``(K,)`` are those of all rows of training.
    """
    train, valid = (said_of(part, len(rates)) for part in parts)
    of_valid, before = places.cpu().numpy(), network.slopes.cpu().numpy()
    found = factors_by(network.link.parents, train, valid, of_valid, rates, before)
    network.slopes *= torch.from_numpy(found).to(network.slopes)


def factors_by(
    parents: Sequence[int | None], train: Said, valid: Said, places: np.ndarray, rates: np.ndarray, before: np.ndarray
) -> np.ndarray:
    """By what to multiply the slope of each step, ``(K,)``, which is `before` now.

    It stays where the validation rows or all rows of training have one class alone, or the sample of the latter has no
    row where the step took place, so that its level could not be set. Four decimals are kept, which is more than rows
    can say.

    `places` ``(n, K)`` are what the bias tower added to the log-odds of the validation rows.
    """
    counts, has_level = tries(parents, valid), tries(parents, train).any(axis=0) & (rates > 0) & (rates < 1)
    factors = np.ones(len(parents))
    for k in np.flatnonzero(has_level & (information(parents, valid) > 0)):
        used = counts[:, k] > 0
        z, place, y, w = (x[used, k].astype(np.float64) for x in (valid.logits, places, valid.labels, counts))
        factors[k] = slope_of(z - place, place, y, w, before=float(before[k]))
    return factors.round(4)


def slope_of(
    z: np.ndarray, rest: np.ndarray, y: np.ndarray, w: np.ndarray, *, spread: float = SPREAD, before: float = 1.0
) -> float:
    """The slope s that is likeliest by labels `y` with the log-odds ``rest + level + s · z``, whatever their level.

    The log-odds `z` have been multiplied by the slope `before` already. The logarithm of the whole slope is normal
    around 0 with this `spread` before a row is seen, and scikit-learn's LogisticRegression knows neither `rest` nor a
    prior around 1. Arrays are ``(n,)``; `w` is what a row counts.
    """
    positive, so_far = (w * y).sum(), math.log(before)

    def loss(log_slope: float) -> float:
        logits = rest + math.exp(log_slope - so_far) * z
        logits += level_of(logits, positive, w)
        return float((w * (np.logaddexp(0, logits) - y * logits)).sum() + (log_slope / spread) ** 2 / 2)

    limit = math.log(STEEPEST)
    found = minimize_scalar(loss, bounds=(-limit, limit), method="bounded", options={"xatol": 1e-7})
    return math.exp(found.x - so_far)
