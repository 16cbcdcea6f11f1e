"""The mean of a network and logistic regressions, in log-odds, which is the same network with other weights."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor

from sklearn_fsmd.inference import in_chunks_alone
from sklearn_fsmd.network import FM, MultiTaskNetwork
from sklearn_fsmd.training.level import binary_tasks_of, information, loss_at_best_level, trials
from sklearn_fsmd.training.member_logits import MemberLogits
from sklearn_fsmd.training.net import Net
from sklearn_fsmd.training.regression import Regressions, first_order_of

EVENTS_OF_HALF, SPREAD, LEAST_EXPECTED, LEAST = 3000, 0.3, 0.1, 0.05
"""The prior of the network's share: the number of events for which its mean is ½, its standard deviation, and the
smallest mean; and the smallest share. See `share_of`.
"""


@torch.inference_mode()
def average(net: Net, regressions: Regressions, parts: Sequence[MemberLogits]) -> np.ndarray:
    """Average a network with regressions, in log-odds, by shares that the validation rows determine.

    Parameters
    ----------
    net : its network, whose slopes are still 1, is changed: both the averaged weights and those with which training
        goes on.
    parts : logits of training rows and, optionally, of validation rows, which are changed alike.

    Returns
    -------
    shares : (K,), the share of the network; the rest is that of the regression.
    """
    network, parents = net.module_, net.module_.link.parents
    added = [in_chunks_alone(partial(regressions.logits, network), *part.inputs) for part in parts]
    expected = expected_shares(regressions.n_events)
    shares, has = expected.copy(), regressions.n_events > 0
    if len(parts) > 1:
        valid, z_regression = parts[1], added[1].cpu().numpy().astype(np.float64)
        rows = binary_tasks_of(valid.labelled(), len(parents))
        counts, bias = trials(parents, rows), valid.bias_logits().cpu().numpy().astype(np.float64)
        for k in np.flatnonzero(has & (information(parents, rows) > 0)):
            used = counts[:, k] > 0
            z, rest = rows.logits[used, k].astype(np.float64), bias[used, k]
            labels, weights = rows.labels[used, k], counts[used, k]
            shares[k] = share_of(z - rest, z_regression[used, k], rest, labels, weights, expected[k])
    _combine(net, shares, regressions, 1 - shares, parts, added)
    return shares


@torch.inference_mode()
def replace(
    net: Net, former: Regressions, regressions: Regressions, shares: np.ndarray, parts: Sequence[MemberLogits]
) -> None:
    """Replace the regressions in the mean by others, whatever the slopes are by now.

    `net` and `parts` are changed as by `average`, which has returned the `shares`.
    """
    difference = regressions.minus(former)
    added = [in_chunks_alone(partial(difference.logits, net.module_), *part.inputs) for part in parts]
    _combine(net, np.ones_like(shares), difference, 1 - shares, parts, added)


def expected_shares(n_events: np.ndarray) -> np.ndarray:
    """The network's share of the log-odds that is expected with so many events: ½ at `EVENTS_OF_HALF`; 1 for 0 events.

    With few events the regression is better, with many the network. A step with 0 events has no regression.
    """
    shares = np.maximum(n_events / (n_events + EVENTS_OF_HALF), LEAST_EXPECTED)
    return np.where(n_events > 0, shares, 1.0).round(4)


def share_of(
    z: np.ndarray, z_regression: np.ndarray, rest: np.ndarray, y: np.ndarray, w: np.ndarray, expected: float
) -> float:
    """The most probable share of the log-odds `z` in their mean with `z_regression`, at the best level.

    The labels `y` have the log-odds ``rest + level + share · z + (1 − share) · z_regression``. The prior of the share
    is normal, with the mean `expected`. Arrays are ``(n,)``; `w` are weights. The share is rounded to four decimals.
    """

    def loss(share: float) -> float:
        logits = rest + share * z + (1 - share) * z_regression
        return loss_at_best_level(logits, y, w) + ((share - expected) / SPREAD) ** 2 / 2

    return round(float(minimize_scalar(loss, bounds=(LEAST, 1), method="bounded", options={"xatol": 1e-7}).x), 4)


def _combine(
    net: Net,
    of_network: np.ndarray,
    regressions: Regressions,
    of_regression: np.ndarray,
    parts: Sequence[MemberLogits],
    added: Sequence[Tensor],
) -> None:
    """Multiply the log-odds of the network by `of_network` ``(K,)``, and add those of regressions times others.

    `added` are the log-odds of the regressions for the `parts`.
    """
    factors = [torch.from_numpy(x).to(net.module_.slopes) for x in (of_network, of_regression)]
    _fold(net.module_, regressions, *factors)
    if net.average_.others:
        with net.average_.other_set():
            _fold(net.module_, regressions, *factors)
    for part, logits in zip(parts, added, strict=True):
        part.average(factors[0], factors[1] * logits)


def _fold(network: MultiTaskNetwork, regressions: Regressions, of_network: Tensor, of_regression: Tensor) -> None:
    """Multiply the terms of each member by `of_network` ``(K,)``, and add the regressions times `of_regression`."""
    n, terms = len(of_network), regressions.terms
    for member in network.members:
        output, linear, low_order = member.towers.output, first_order_of(member), member.low_order
        output.weight[:n] *= of_network[:, None, None]
        output.bias[:n] *= of_network[:, None]
        output.bias[:n, 0] += of_regression * regressions.intercepts
        if isinstance(low_order, FM) and low_order.weights is not None:
            low_order.weights[:n] *= of_network[:, None]
        for weight, other in ((linear.categories.weight, terms.categories.weight), (linear.numbers, terms.numbers)):
            weight[:, :n] *= of_network
            weight[:, :n] += other * of_regression
