"""The mean of a network and regressions, in log-odds or in outputs of values: the same network with other weights."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import cast

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor

from sklearn_fsmd.encoding.targets import effective_counts
from sklearn_fsmd.inference import in_chunks_alone
from sklearn_fsmd.network import FM, MultiTaskNetwork
from sklearn_fsmd.training.level import (
    LabelledOutputs,
    binary_tasks_of,
    information,
    loss_at_best_level,
    trials,
)
from sklearn_fsmd.training.member_logits import MemberLogits
from sklearn_fsmd.training.net import Net
from sklearn_fsmd.training.regression import Regressions, first_order_of
from sklearn_fsmd.training.value_level import loss_at_best_level_of_values

EVENTS_OF_HALF, VALUES_OF_HALF, SPREAD, LEAST_EXPECTED, LEAST = 3000, 10_000, 0.3, 0.1, 0.05
"""The prior of the network's share: the numbers of events and of values for which its mean is ½, its standard
deviation, and the smallest mean; and the smallest share. See `share_of`.
"""


@torch.inference_mode()
def average(
    net: Net, regressions: Regressions, parts: Sequence[MemberLogits], valid: MemberLogits | None
) -> np.ndarray:
    """Average a network with regressions by shares that the validation rows determine.

    Parameters
    ----------
    net : its network, whose slopes are still 1, is changed: both the averaged weights and those with which training
        goes on.
    parts : logits of several sets of rows, which are changed alike.
    valid : the one of the validation rows; None if there are none.

    Returns
    -------
    shares : (K + V,), the share of the network; the rest is that of the regression.
    """
    added = [in_chunks_alone(partial(regressions.outputs, net.module_), *part.inputs) for part in parts]
    n_steps = len(net.module_.link.parents)
    shares = expected_shares(regressions.n_events, n_steps)
    for part, outputs in zip(parts, added, strict=True):
        if part is valid:
            shares[:n_steps] = _shares_of_steps(net.module_, valid, outputs, shares[:n_steps])
            of_values = net.module_, valid.labelled(), outputs, regressions.spreads
            shares[n_steps:] = _shares_of_values(*of_values, shares[n_steps:])
    _combine(net, shares, regressions, 1 - shares, parts, added)
    return shares


def _shares_of_steps(
    network: MultiTaskNetwork, valid: MemberLogits, of_regressions: Tensor, expected: np.ndarray
) -> np.ndarray:
    """The shares of the network for each step, ``(K,)``."""
    parents, shares = network.link.parents, expected.copy()
    rows, z_regression = binary_tasks_of(valid.labelled(), len(parents)), _float64(of_regressions)
    counts, bias = trials(parents, rows), _float64(valid.bias_logits())
    for k in np.flatnonzero((expected < 1) & (information(parents, rows) > 0)):
        used = counts[:, k] > 0
        z, rest = rows.logits[used, k].astype(np.float64), bias[used, k]
        labels, weights = rows.labels[used, k], counts[used, k]
        shares[k] = share_of(z - rest, z_regression[used, k], rest, labels, weights, expected[k])
    return shares


def _shares_of_values(
    network: MultiTaskNetwork,
    valid: LabelledOutputs,
    of_regressions: Tensor,
    spreads: np.ndarray,
    expected: np.ndarray,
) -> np.ndarray:
    """The shares of the network for each value, ``(V,)``."""
    shares, model = expected.copy(), network.values
    if model is None or valid.weights is None:
        return shares
    shares[(expected < 1) & (spreads == 0)] = LEAST  # all values are equal, and so is their regression
    n_steps = len(network.link.parents)
    y, weights = map(_float64, model.regressed(valid.labels[:, n_steps:], valid.weights[:, n_steps:]))
    of_values = (cast("Tensor", network.split(x)[1]) for x in (valid.outputs, of_regressions))
    z, z_regression = (_float64(x[..., 0]) for x in of_values)
    for v in np.flatnonzero((expected < 1) & weights.any(axis=0) & (spreads > 0)):
        used = weights[:, v] > 0
        outputs, labels, counts = (z[used, v], z_regression[used, v]), y[used, v], effective_counts(weights[used, v])
        if model.family != "logistic":
            is_log = model.family == "poisson"
            shares[v] = share_of_value(*outputs, labels, counts, expected[v], spreads[v], multiplies=is_log)
        elif len(np.unique(labels)) > 1:
            shares[v] = share_of(*outputs, np.zeros(len(labels)), labels, counts, expected[v])
    return shares


def _float64(x: Tensor) -> np.ndarray:
    return x.cpu().numpy().astype(np.float64)


@torch.inference_mode()
def replace(
    net: Net, former: Regressions, regressions: Regressions, shares: np.ndarray, parts: Sequence[MemberLogits]
) -> None:
    """Replace the regressions in the mean by others, whatever the slopes are by now.

    `net` and `parts` are changed as by `average`, which has returned the `shares`.
    """
    difference = regressions.minus(former)
    added = [in_chunks_alone(partial(difference.outputs, net.module_), *part.inputs) for part in parts]
    _combine(net, np.ones_like(shares), difference, 1 - shares, parts, added)


def expected_shares(n_events: np.ndarray, n_steps: int) -> np.ndarray:
    """The network's share that is expected with so many events of each step, and then so many values of each target.

    With few events the regression is better, with many the network. A target with 0 events has no regression, and the
    share 1.
    """
    of_half = np.where(np.arange(len(n_events)) < n_steps, EVENTS_OF_HALF, VALUES_OF_HALF)
    shares = np.maximum(n_events / (n_events + of_half), LEAST_EXPECTED)
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


def share_of_value(
    z: np.ndarray,
    z_regression: np.ndarray,
    y: np.ndarray,
    w: np.ndarray,
    expected: float,
    spread: float,
    *,
    multiplies: bool,
) -> float:
    """The most probable share of the output `z` in its mean with `z_regression`, at the best level.

    The mean of `y` is ``level + share · z + (1 − share) · z_regression``, or with `multiplies` the exponential of this.
    The prior of the share is normal, with the mean `expected`; `spread` is that of the training values. Arrays are
    ``(n,)``; `w` are weights.
    """

    def loss(share: float) -> float:
        sums = share * z + (1 - share) * z_regression
        means = np.exp(sums.clip(-700, 700)) if multiplies else sums
        likelihood = loss_at_best_level_of_values(means, y, w, spread, multiplies=multiplies)
        return likelihood + ((share - expected) / SPREAD) ** 2 / 2

    return round(float(minimize_scalar(loss, bounds=(LEAST, 1), method="bounded", options={"xatol": 1e-7}).x), 4)


def _combine(
    net: Net,
    of_network: np.ndarray,
    regressions: Regressions,
    of_regression: np.ndarray,
    parts: Sequence[MemberLogits],
    added: Sequence[Tensor],
) -> None:
    """Multiply the outputs of the network by `of_network` ``(K + V,)``, and add those of regressions times others.

    `added` are the outputs of the regressions for the `parts`.
    """
    factors = [torch.from_numpy(x).to(net.module_.slopes) for x in (of_network, of_regression)]
    _fold(net.module_, regressions, *factors)
    if net.average_.others:
        with net.average_.other_set():
            _fold(net.module_, regressions, *factors)
    share, rest = (_per_output(net.module_, *pair) for pair in ((factors[0], 1.0), (factors[1], 0.0)))
    for part, outputs in zip(parts, added, strict=True):
        part.average(share, rest * outputs)


def _per_output(network: MultiTaskNetwork, of_targets: Tensor, others: float) -> Tensor:
    """A number for each output, ``(K + V·P,)``: those of the targets ``(K + V,)`` for the first ones, else `others`."""
    n_steps, n_outputs = len(network.link.parents), network.towers.output.bias.shape[1]
    of_values = of_targets.new_full((len(of_targets) - n_steps, n_outputs), others)
    of_values[:, 0] = of_targets[n_steps:]
    return torch.cat((of_targets[:n_steps], of_values.flatten()))


def _fold(network: MultiTaskNetwork, regressions: Regressions, of_network: Tensor, of_regression: Tensor) -> None:
    """Multiply the terms of each member by `of_network` ``(K + V,)``, and add the regressions times `of_regression`."""
    terms = regressions.terms
    for member in network.members:
        output, linear, low_order = member.towers.output, first_order_of(member), member.low_order
        output.weight[..., 0] *= of_network[:, None]
        output.bias[:, 0] *= of_network
        output.bias[:, 0] += of_regression * regressions.intercepts
        if isinstance(low_order, FM) and low_order.weights is not None:
            low_order.weights.mul_(of_network[:, None])
        for weight, other in ((linear.categories.weight, terms.categories.weight), (linear.numbers, terms.numbers)):
            weight.mul_(of_network).add_(other * of_regression)
