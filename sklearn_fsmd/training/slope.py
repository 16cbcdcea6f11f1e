"""The slope of predictions: how far apart log-odds are to be, by rows that training has not seen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from sklearn_fsmd.network import MultiTaskNetwork
from sklearn_fsmd.training.level import Outputs, information, said_of, sigmoid, tries

SPREAD = 0.3
"""How far the logarithm of a slope is thought to be from 0 before any row has been seen: its standard deviation."""
STEEPEST = 4.0
"""The largest slope, and the inverse of the smallest: where all labels are told apart, no slope is too steep."""


@torch.inference_mode()
def set_slopes(network: MultiTaskNetwork, parts: Sequence[Outputs], rates: np.ndarray) -> list[Outputs]:
    """Let a step's log-odds lie as far apart as the labels of the validation rows, the second of `parts`, say.

    What has been learned by heart lets rows of training lie further apart than new ones should. The log-odds of each
    step are drawn together around their mean, or apart, which leaves their order; the level is set afterwards. What a
    bias tower has added stays: every position has many rows. `rates` ``(K,)`` are those of all rows of training.

    Returned is what the network says of the same rows now; of an ensemble, nearly.
    """
    slopes, centers = (torch.from_numpy(x).to(network.slopes) for x in slopes_by(network.link.parents, parts[1], rates))
    for member in network.members:
        bias = member.towers.output.bias.data
        bias[: len(slopes), 0] += (1 / slopes - 1) * centers / network.slopes
    network.slopes *= slopes
    return [_moved(part, slopes, centers) for part in parts]


def _moved(part: Outputs, slopes: Tensor, centers: Tensor) -> Outputs:
    outputs, n_tasks = part.outputs.clone(), len(slopes)
    of_items = outputs[:, :n_tasks]
    of_items -= part.of_places(n_tasks)
    of_items.sub_(centers).mul_(slopes).add_(centers)
    of_items += part.of_places(n_tasks)
    return part._replace(outputs=outputs)


def slopes_by(parents: Sequence[int | None], part: Outputs, rates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The slope of each step's log-odds and the mean around which they are multiplied with it, ``(K,)`` both.

    The slope is 1 where the rows of training or these have one class alone. Four decimals are kept, which is more than
    rows can say: the last bits of what was said depend on the number of threads, and those of the weights should not.
    """
    said = said_of(part, len(parents))
    places = part.of_places(len(parents)).cpu().numpy().astype(np.float64)
    counts, known = tries(parents, said), (information(parents, said) > 0) & (rates > 0) & (rates < 1)
    slopes, centers = np.ones(len(parents)), np.zeros(len(parents))
    for k in np.flatnonzero(known):
        used = counts[:, k] > 0
        z, place, y, w = (x[used, k].astype(np.float64) for x in (said.logits, places, said.labels, counts))
        centers[k] = np.average(z - place, weights=w)
        slopes[k] = slope_of(z - place - centers[k], centers[k] + place, y, w)
    return slopes.round(4), centers.round(4)


def slope_of(z: np.ndarray, rest: np.ndarray, y: np.ndarray, w: np.ndarray, spread: float = SPREAD) -> float:
    """The slope s that is likeliest by labels `y` with the log-odds ``rest + level + s · z``, whatever their level.

    Before it has seen a row, log s is normal around 0 with this `spread`. All are ``(n,)``; `w` is what a row counts.
    """

    def loss(x: np.ndarray) -> tuple[float, np.ndarray]:
        slope = np.exp(x[1])
        logits = rest + x[0] + slope * z
        error = w * (sigmoid(logits) - y)
        value = (w * (np.logaddexp(0, logits) - y * logits)).sum() + (x[1] / spread) ** 2 / 2
        return value / known, np.array([error.sum(), slope * (error * z).sum() + x[1] / spread**2]) / known

    def curvature(x: np.ndarray) -> np.ndarray:
        slope = np.exp(x[1])
        p = sigmoid(rest + x[0] + slope * z)
        of_level = w * p * (1 - p)
        mixed = slope * (of_level * z).sum()
        of_slope = slope**2 * (of_level * z**2).sum() + slope * (w * (p - y) * z).sum() + spread**-2
        return np.array([[of_level.sum(), mixed], [mixed, of_slope]]) / known

    positive = (w * y).sum()
    known = positive * (1 - positive / w.sum())  # so that derivatives of rare events are not small
    found = minimize(loss, np.zeros(2), jac=True, hess=curvature, method="trust-exact", options={"gtol": 1e-6})
    return float(np.exp(found.x[1]).clip(1 / STEEPEST, STEEPEST))
