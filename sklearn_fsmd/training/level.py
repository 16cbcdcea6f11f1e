"""The level of predictions: shifts of the log-odds that make mean predictions equal to the observed rates."""

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
from sklearn_fsmd.training.value_level import Expected, correct_levels

DRIFT = 0.05
"""Assumed standard deviation, in log-odds, between the level of later rows and that of the training rows."""


N_ENSEMBLE_ITERATIONS = 3
"""Number of times that the level of an ensemble is set, see :func:`set_level`."""


class LabelledLogits(NamedTuple):
    """Log-odds of the steps for some rows, their labels and weights: all (n, K), weights None for 1.

    `rates` ``(K,)`` are how often each step happened, if that is known from more rows than these.
    """

    logits: np.ndarray
    labels: np.ndarray
    weights: np.ndarray | None
    rates: np.ndarray | None = None


class LabelledOutputs(NamedTuple):
    """Outputs of a network for some rows, ``(n, K + V·P)``, their labels and weights, ``(n, K + V)``; None for 1."""

    outputs: Tensor
    labels: Tensor
    weights: Tensor | None


@torch.inference_mode()
def set_level(
    network: MultiTaskNetwork,
    parts: Sequence[LabelledOutputs],
    rates: np.ndarray,
    negative_sampling_rate: float = 1.0,
) -> Tensor:
    """Shift the log-odds so that mean probabilities equal the observed rates.

    `parts` are some training rows and, optionally, the validation rows. `rates` ``(K,)`` are how often each step
    happened in all training rows. With a bias tower the rows are predicted at the positions at which they were shown,
    so this sets the level of the items, in addition to the level of the positions.

    Each member of an ensemble gets the same shift, although the prediction is the mean of their probabilities. The
    level is therefore only nearly right, and every repetition brings it nearer.

    Returns
    -------
    added : (K,), the shift of the logits of each member.
    """
    parents = network.link.parents
    train, *valid = (binary_tasks_of(part, len(parents)) for part in parts)
    train = train._replace(rates=rates)
    corrected = (undo_negative_sampling(rows, parents, negative_sampling_rate) for rows in (train, *valid))
    added = torch.from_numpy(shifts(parents, *corrected)).to(network.slopes) / network.slopes
    for member in network.members:
        member.towers.output.bias.data[: len(added), 0] += added
    return added


@torch.inference_mode()
def set_level_of_values(network: MultiTaskNetwork, parts: Sequence[LabelledOutputs], *, is_chunk: bool) -> None:
    """Set the level of expected values; `is_chunk` means that the training rows are a part of the data."""
    expected = [value_targets_of(network, part) for part in parts]
    correct_levels(cast("ValueModel", network.values), expected, is_chunk=is_chunk)


def binary_tasks_of(part: LabelledOutputs, n_tasks: int) -> LabelledLogits:
    """Logits, labels and weights of the binary targets."""
    logits, labels, weights = (None if x is None else x[:, :n_tasks].cpu().numpy() for x in part)
    return LabelledLogits(cast("np.ndarray", logits), cast("np.ndarray", labels), weights)


def value_targets_of(network: MultiTaskNetwork, part: LabelledOutputs) -> Expected:
    """Expectations, labels and weights of the value targets, which always have weights."""
    n_tasks, values = len(network.link.parents), cast("ValueModel", network.values)
    expected = values.expectation(cast("Tensor", network.split(part.outputs)[1]))
    labels, weights = part.labels[:, n_tasks:], cast("Tensor", part.weights)[:, n_tasks:]
    return Expected(*(x.cpu().numpy() for x in (expected, labels, weights)))


def undo_negative_sampling(
    rows: LabelledLogits, parents: Sequence[int | None], negative_sampling_rate: float
) -> LabelledLogits:
    """Logits, weights and rates of the log before rows without the first event were downsampled.

    The level has to be set on these: the correction of sampled probabilities is not linear, so a mean that is right in
    the sample need not be right after the correction.
    """
    if negative_sampling_rate == 1:
        return rows
    first = list(parents).index(None)
    logits, weights = rows.logits.copy(), np.ones(rows.labels.shape) if rows.weights is None else rows.weights.copy()
    logits[:, first] += math.log(negative_sampling_rate)
    weights[(rows.labels[:, first] == 0) & (weights[:, first] > 0)] /= negative_sampling_rate
    if (rates := rows.rates) is not None:
        rates = rates.copy()
        rates[first] /= rates[first] + (1 - rates[first]) / negative_sampling_rate
    return LabelledLogits(logits, rows.labels, weights, rates)


def shifts(parents: Sequence[int | None], train: LabelledLogits, valid: LabelledLogits | None = None) -> np.ndarray:
    """Shifts of each step's log-odds, ``(K,)``: midway between the level of the training and the validation rows.

    A memorised label raises the prediction of a training row, but not of a validation row; validation rows may be of
    other days. So both are used. If there are few events in the validation rows, their level is uncertain, and they
    count less.
    """
    train_levels = levels(parents, *train)
    if valid is None:
        return train_levels
    valid_information = np.where(information(parents, train) > 0, information(parents, valid), 0)
    trust = valid_information / (valid_information + DRIFT**-2)
    return train_levels + trust / 2 * (levels(parents, *valid) - train_levels)


def information(parents: Sequence[int | None], rows: LabelledLogits) -> np.ndarray:
    """Fisher information on the level of each step, ``(K,)``: the inverse of its variance in log-odds."""
    counts = trials(parents, rows)
    n, positive = counts.sum(axis=0), (counts * rows.labels).sum(axis=0)
    return positive * (n - positive) / n.clip(1e-30)


def trials(parents: Sequence[int | None], rows: LabelledLogits) -> np.ndarray:
    """Weight of each row as a trial of each step, ``(n, K)``: 0 if it did not take place or is unknown, else about 1.

    A row with a large weight is no more than one trial. So the weights of the rows in which a step took place are
    scaled to their effective number.
    """
    weights = np.ones(rows.labels.shape) if rows.weights is None else rows.weights.astype(np.float64)
    happened = rows.labels * (weights > 0)
    counts = weights * np.stack([np.ones(len(weights)) if p is None else happened[:, p] for p in parents], axis=1)
    return counts * counts.sum(axis=0) / np.square(counts).sum(axis=0).clip(1e-30)


def levels(
    parents: Sequence[int | None],
    logits: np.ndarray,
    labels: np.ndarray,
    weights: np.ndarray | None,
    rates: np.ndarray | None = None,
) -> np.ndarray:
    """Shifts of each step's log-odds, ``(K,)``, that make its mean probability equal to its rate.

    The mean is over the rows, weighted by the probability that the step takes place. If all labels are known, the rate
    is that of the rows in which the step took place, so the mean of each target's marginal is that of its labels.

    Labels may be missing although the step before has happened, as those of late conversions are, and the rows without
    a label may differ from the others. So the level is first set on the rows with a label, and then predicts the rate
    of all rows. A step whose labels are all alike is not shifted.

    Parameters
    ----------
    parents : of each task, as in the link.
    logits, labels, weights : (n, K)
    rates : (K,), how often each step happened where the one before it did; that of the labels if None.
    """
    counts = np.ones(labels.shape) if weights is None else weights.astype(np.float64)
    shares = shares_of_implied_zeros(parents, labels, counts)
    z, marginals, added = logits.astype(np.float64), np.ones(logits.shape), np.zeros(len(parents))
    for k, parent in enumerate(parents):
        p_parent = np.ones(len(z)) if parent is None else marginals[:, parent]
        parent_counts = counts[:, k] if parent is None else counts[:, parent]
        happened = parent_counts if parent is None else parent_counts * labels[:, parent]
        labelled, expected = np.where(happened > 0, counts[:, k], 0.0), p_parent * parent_counts
        expected = expected if parent is None else expected * shares[:, parent]
        rate = labelled @ labels[:, k] / max(labelled.sum(), 1e-30) if rates is None else rates[k]
        if 0 < rate < 1 and labelled.any() and expected.any():
            labelled_level = level_of(z[:, k], rate * labelled.sum(), labelled)
            overall_rate = happened @ expit(z[:, k] + labelled_level) / happened.sum()
            added[k] = level_of(z[:, k], overall_rate * expected.sum(), expected)
        marginals[:, k] = p_parent * expit(z[:, k] + added[k])
    return added


def shares_of_implied_zeros(parents: Sequence[int | None], labels: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Factors of the weights of labels, ``(n, K)``, that make rows with a label representative of all; mostly 1.

    "No click" implies that nothing was put into a cart; after a click that may be unknown. So rows without a click get
    as factor the share of the rows with a click whose label is known.
    """
    shares = np.ones(labels.shape)
    for k, parent in enumerate(parents):
        if parent is not None:
            positive = counts[:, parent] * labels[:, parent]
            known_share = positive @ (counts[:, k] > 0) / positive.sum() if positive.any() else 1.0
            is_implied = (counts[:, parent] > 0) & (labels[:, parent] == 0)
            shares[is_implied, k] = shares[is_implied, parent] * known_share
    return shares


def level_of(z: np.ndarray, total: float, weights: np.ndarray) -> float:
    """The shift of the log-odds `z` that makes Σ w · P equal to `total`, or as near as numbers allow."""

    def excess(level: float) -> float:
        return float(weights @ expit(z + level)) - total

    low, high = -30.0 - z.max(), 30.0 - z.min()
    if excess(low) >= 0:
        return float(low)
    return float(high) if excess(high) <= 0 else float(brentq(excess, low, high, xtol=1e-12, maxiter=500))


def loss_at_best_level(z: np.ndarray, y: np.ndarray, weights: np.ndarray) -> float:
    """The sum of the log losses of labels `y` with the log-odds ``z + level``, at the level where it is smallest."""
    logits = z + level_of(z, float(weights @ y), weights)
    return float(weights @ (np.logaddexp(0, logits) - y * logits))
