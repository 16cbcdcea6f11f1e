"""The level of predictions: what to add to the log-odds for their mean to be the observed rate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, cast

import numpy as np
import torch
from scipy.optimize import brentq
from scipy.special import expit
from torch import Tensor

from sklearn_fsmd.network import MultiTaskNetwork, ValueModel
from sklearn_fsmd.training.value_level import Expected, correct_values

DRIFT = 0.05
"""How far, in log-odds, the level of later rows is thought to be from that of the rows of training."""


TIMES_OF_ENSEMBLE = 3
"""So often the level of an ensemble is set, see :func:`set_level`."""


class Said(NamedTuple):
    """What was predicted of some rows, and what happened: all (n, K), weights None for 1.

    `rates` ``(K,)`` say how often each step happened where that is known from more rows than these.
    """

    logits: np.ndarray
    labels: np.ndarray
    weights: np.ndarray | None
    rates: np.ndarray | None = None


class Outputs(NamedTuple):
    """What a network said of some rows, ``(n, K + V·P)``, and their labels and weights, ``(n, K + V)``; None for 1."""

    outputs: Tensor
    labels: Tensor
    weights: Tensor | None


@torch.inference_mode()
def set_level(network: MultiTaskNetwork, parts: Sequence[Outputs], rates: np.ndarray, kept: float = 1.0) -> Tensor:
    """Let mean probabilities be the rates that were observed, over rows of training and, second, of validation.

    `rates` ``(K,)`` say how often each step happened in all rows of training, of which those here are some. With a bias
    tower the rows are predicted as they were shown, so what is set is the level of items, beside that of their places.
    Each member of an ensemble gets the same shift, and the mean is taken of their probabilities. So their level is
    nearly right, and nearer each time. `kept` is the share of the rows without the first event that are in the log.

    Returned is what has been added to the logits of each member, ``(K,)``.
    """
    parents = network.link.parents
    train, *valid = (said_of(part, len(parents)) for part in parts)
    train = train._replace(rates=rates)
    found = shifts(parents, *(of_whole_log(said, parents, kept) for said in (train, *valid)))
    added = torch.from_numpy(found).to(network.slopes) / network.slopes
    for member in network.members:
        member.towers.output.bias.data[: len(added), 0] += added
    return added


@torch.inference_mode()
def set_level_of_values(network: MultiTaskNetwork, parts: Sequence[Outputs], *, of_chunk: bool) -> None:
    """The same of expected values; `of_chunk` says that the rows of training are a part of the data."""
    correct_values(cast("ValueModel", network.values), [_of_values(network, part) for part in parts], of_chunk=of_chunk)


def said_of(part: Outputs, n_tasks: int) -> Said:
    """The binary targets alone."""
    logits, labels, weights = (None if x is None else x[:, :n_tasks].cpu().numpy() for x in part)
    return Said(cast("np.ndarray", logits), cast("np.ndarray", labels), weights)


def _of_values(network: MultiTaskNetwork, part: Outputs) -> Expected:
    """The values alone, which always have weights."""
    n_tasks, values = len(network.link.parents), cast("ValueModel", network.values)
    expected = values.expectation(cast("Tensor", network.split(part.outputs)[1]))
    labels, weights = part.labels[:, n_tasks:], cast("Tensor", part.weights)[:, n_tasks:]
    return Expected(*(x.cpu().numpy() for x in (expected, labels, weights)))


def of_whole_log(said: Said, parents: Sequence[int | None], kept: float) -> Said:
    """What would have been said of a log of which only the share `kept` of the rows without the first event is here.

    A mean that is right in the sample need not be right of corrected probabilities, since the correction is no line.
    """
    if kept == 1:
        return said
    first = list(parents).index(None)
    logits, weights = said.logits.copy(), np.ones(said.labels.shape) if said.weights is None else said.weights.copy()
    logits[:, first] += math.log(kept)
    weights[(said.labels[:, first] == 0) & (weights[:, first] > 0)] /= kept
    if (rates := said.rates) is not None:
        rates = rates.copy()
        rates[first] /= rates[first] + (1 - rates[first]) / kept
    return Said(logits, said.labels, weights, rates)


def shifts(parents: Sequence[int | None], train: Said, valid: Said | None = None) -> np.ndarray:
    """What to add to each step's log-odds, ``(K,)``: the middle between the level of training and of validation rows.

    What has been learned by heart lifts the rows of training alone; rows of validation have not been learned, but may
    be of other days. So both have a say. Of few events the level is not known, and those of validation count less then.
    """
    of_train = levels(parents, *train)
    if valid is None:
        return of_train
    known = np.where(information(parents, train) > 0, information(parents, valid), 0)
    trust = known / (known + DRIFT**-2)
    return of_train + trust / 2 * (levels(parents, *valid) - of_train)


def information(parents: Sequence[int | None], said: Said) -> np.ndarray:
    """How much the rows tell about the level of each step, ``(K,)``: the inverse of its variance in log-odds."""
    counts = tries(parents, said)
    n, positive = counts.sum(axis=0), (counts * said.labels).sum(axis=0)
    return positive * (n - positive) / n.clip(1e-30)


def tries(parents: Sequence[int | None], said: Said) -> np.ndarray:
    """What each row counts of each step, ``(n, K)``: 0 where it did not take place or is not known, else about 1.

    A row of a large weight tells no more than another, so the weights of a column are scaled to what it tells in all.
    """
    counts = np.ones(said.labels.shape) if said.weights is None else said.weights.astype(np.float64)
    counts = counts * counts.sum(axis=0) / np.square(counts).sum(axis=0).clip(1e-30)
    happened = said.labels * (counts > 0)
    return counts * np.stack([np.ones(len(counts)) if p is None else happened[:, p] for p in parents], axis=1)


def levels(
    parents: Sequence[int | None],
    logits: np.ndarray,
    labels: np.ndarray,
    weights: np.ndarray | None,
    rates: np.ndarray | None = None,
) -> np.ndarray:
    """What to add to each step's log-odds, ``(K,)``, for its mean probability to be its rate.

    The mean is over the rows, weighted by the probability that the step takes place. Where all is observed its rate is
    that of the rows where it did, so the mean of each target's marginal is that of its labels. Where labels are missing
    after the step before has happened, as late conversions are, the rows with gaps may be unlike the others. So the
    rate of the rows with gaps is what the network says of them, once its mean over the known ones is the rate of these.
    A step is left as it is where its labels are all alike.

    Parameters
    ----------
    parents : of each task, as in the link.
    logits, labels, weights : (n, K)
    rates : (K,), how often each step happened where the one before it did; that of the labels if None.
    """
    counts = np.ones(labels.shape) if weights is None else weights.astype(np.float64)
    shares = shares_of_settled(parents, labels, counts)
    z, marginals, found = logits.astype(np.float64), np.ones(logits.shape), np.zeros(len(parents))
    for k, parent in enumerate(parents):
        before = np.ones(len(z)) if parent is None else marginals[:, parent]
        of_before = counts[:, k] if parent is None else counts[:, parent]
        happened = of_before if parent is None else of_before * labels[:, parent]
        known, likely = np.where(happened > 0, counts[:, k], 0.0), before * of_before
        likely = likely if parent is None else likely * shares[:, parent]
        rate = known @ labels[:, k] / max(known.sum(), 1e-30) if rates is None else rates[k]
        if 0 < rate < 1 and known.any() and likely.any():
            of_known = level_of(z[:, k], rate * known.sum(), known)
            with_gaps_filled = happened @ expit(z[:, k] + of_known) / happened.sum()
            found[k] = level_of(z[:, k], with_gaps_filled * likely.sum(), likely)
        marginals[:, k] = before * expit(z[:, k] + found[k])
    return found


def shares_of_settled(parents: Sequence[int | None], labels: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """What each label counts beside its weight, ``(n, K)``, so that known labels are of rows as all are; mostly 1.

    After "no click" it is known that nothing was put into a cart. After a click it may not be known. So of rows without
    a click as large a share counts as is known of those with one.
    """
    shares = np.ones(labels.shape)
    for k, parent in enumerate(parents):
        if parent is not None:
            went_on = counts[:, parent] * labels[:, parent]
            known = went_on @ (counts[:, k] > 0) / went_on.sum() if went_on.any() else 1.0
            settled = (counts[:, parent] > 0) & (labels[:, parent] == 0)
            shares[settled, k] = shares[settled, parent] * known
    return shares


def level_of(z: np.ndarray, total: float, weights: np.ndarray) -> float:
    """The number that, added to the log-odds `z`, makes Σ w · P equal to `total`, or as near as numbers allow."""

    def missing(level: float) -> float:
        return float(weights @ expit(z + level)) - total

    low, high = -30.0 - z.max(), 30.0 - z.min()
    if missing(low) >= 0:
        return float(low)
    return float(high) if missing(high) <= 0 else float(brentq(missing, low, high, xtol=1e-12, maxiter=500))
