"""Logistic regressions that are averaged with the network where there are few rows or few events.

On few rows a network makes too few steps to learn what a regression finds at once; on many rows it finds more. The mean
of the log-odds of both is better than either at most sizes in between. Since a regression on the encoded columns is a
sum of first-order terms, the mean is the same network with other weights: nothing is added to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor

from sklearn_fsmd.encoding.columns import evenly_spaced
from sklearn_fsmd.encoding.table import Encoded, FeatureEncoder
from sklearn_fsmd.encoding.targets import LabelledRows, StepSums, Targets
from sklearn_fsmd.inference import in_chunks_alone
from sklearn_fsmd.network import FM, Embedded, Linear, Lists, Member, MultiTaskNetwork
from sklearn_fsmd.parameters import LOW_ORDER, NetworkParameters
from sklearn_fsmd.parameters.machine import cpu_by_default, seeded
from sklearn_fsmd.training.level import binary_tasks_of, effective_counts, information, loss_at_best_level, trials
from sklearn_fsmd.training.member_logits import MemberLogits
from sklearn_fsmd.training.net import Net
from sklearn_fsmd.training.regression_columns import N_COSINES, design_of
from sklearn_fsmd.training.ridge import fit_ridge

FEW_ROWS, FEW_EVENTS = 100_000, 10_000
"""With fewer rows than these, or fewer labels of the rarer class of a step, "auto" adds regressions."""
MOST_VALUES = 5_000_000
"""With more values of all categories and lists together, "auto" adds none: each task needs weights of its own."""
MOST_ENTRIES = 10_000_000
"""The largest number of values of columns in the rows of a regression; of more rows a sample is used."""
EVENTS_OF_HALF, SPREAD, LEAST_EXPECTED, LEAST = 3000, 0.3, 0.1, 0.05
"""The prior of the network's share: the number of events for which its mean is ½, its standard deviation, and the
smallest mean; and the smallest share. See `share_of`.
"""


def adds_regressions(
    p: NetworkParameters, n_rows: int, rows: Encoded, steps: StepSums, n_training: int, encoder: FeatureEncoder
) -> bool:
    """Whether a fit averages its network with regressions.

    Parameters
    ----------
    n_rows : number of rows of the fit, with validation rows.
    rows : the training rows, or those of them that the regressions could be fitted on.
    steps : the sums over the labels of all training rows.
    n_training : the number of these.

    Raises
    ------
    ValueError
        If they are asked for and lists are pooled by their maximum, which is no sum of first-order terms.
    """
    if p.low_order is None or "logistic_regression" not in LOW_ORDER.parts[p.low_order].reads:
        return False
    if encoder.lists and p.list_pooling == "max":
        if p.logistic_regression not in (False, "auto"):
            raise ValueError(
                "logistic_regression=True needs lists that are pooled by a sum, and list_pooling='max' is none. Set "
                "list_pooling='mean', or logistic_regression=False."
            )
        return False
    if p.logistic_regression != "auto":
        return bool(p.logistic_regression)
    has_few_rows = n_rows < FEW_ROWS and len(rows) <= most_rows(rows, len(encoder.categories))
    is_suitable = encoder.n_rows <= MOST_VALUES and len(rows) == n_training
    return is_suitable and (has_few_rows or has_few_events(steps))


def has_few_events(steps: StepSums) -> bool:
    """Whether the rarer class of a step has so few labels that "auto" adds regressions."""
    n_events = steps.n_events
    return bool(((n_events > 0) & (n_events < FEW_EVENTS)).any())


def most_rows(rows: Encoded, n_categories: int) -> int:
    """The largest number of such rows that a regression is fitted on."""
    parts = [part for part in (rows, rows.bias) if part is not None]
    width = sum(part.codes.shape[1] + part.numbers.shape[1] for part in parts)
    width += (N_COSINES - 2) * (rows.codes.shape[1] - n_categories)  # instead of a bin and a number
    values_per_row = sum(len(column.flat) for column in rows.lists or ()) / max(len(rows.codes), 1)
    return int(MOST_ENTRIES / max(width + values_per_row, 1))


class RegressionRows(NamedTuple):
    """The rows that the regressions are fitted on.

    Attributes
    ----------
    of_steps : the rows for each of the `K` steps.
    n_events : ``(K,)``, the number of labels of the rarer class in all training rows.
    n_categories : how many of the code columns are categories, not bins.
    """

    of_steps: list[LabelledRows]
    n_events: np.ndarray
    n_categories: int


def samples(
    rows: Encoded, targets: Targets, parents: Sequence[int | None], steps: StepSums, n_categories: int
) -> RegressionRows:
    """The rows that the regression of each step is fitted on: all of them, or a sample that takes them evenly.

    A sample has the events of a step if they are rare, and half of the rows are of each class if there are enough. So
    its level is not that of the data, and is set afterwards.
    """

    def part(chosen: np.ndarray) -> LabelledRows:
        return rows.take(chosen if rows.rows is None else rows.rows[chosen]), targets.part(chosen)

    if len(rows) <= (most := most_rows(rows, n_categories)):
        return RegressionRows([part(np.arange(len(rows)))] * len(parents), steps.n_events, n_categories)
    chosen = []
    for k, parent in enumerate(parents):
        used, label = targets.counts(k, parent) > 0, targets.labels[:, k]
        positive, negative = np.flatnonzero(used & (label == 1)), np.flatnonzero(used & (label == 0))
        positive = positive[evenly_spaced(len(positive), max(most // 2, most - len(negative)))]
        negative = negative[evenly_spaced(len(negative), most - len(positive))]
        chosen.append(np.sort(np.concatenate([positive, negative])))
    return RegressionRows(list(map(part, chosen)), steps.n_events, n_categories)


class Regressions(NamedTuple):
    """A logistic regression per step on the encoded columns.

    Attributes
    ----------
    terms : the weights of table rows and numbers, for each of the `K` steps.
    intercepts : (K,)
    n_events : (K,), the number of labels of the rarer class in all training rows. It is 0 for a step without a
        regression: its labels have one class, or there is neither a category, nor a bin, nor a number that varies.
    """

    terms: Linear
    intercepts: Tensor
    n_events: np.ndarray

    def to(self, device: torch.device) -> Regressions:
        """The same on a device."""
        return self._replace(terms=self.terms.to(device), intercepts=self.intercepts.to(device))

    @torch.inference_mode()
    def logits(self, network: MultiTaskNetwork, codes: Tensor, numbers: Tensor, *lists: Lists) -> Tensor:
        """The log-odds of each step, ``(B, K)``; without what the bias features add."""
        located = network.embedding.locate(codes, *lists)
        return self.terms(Embedded(located.codes, numbers, numbers, numbers, located.lists)) + self.intercepts


def fit(network: MultiTaskNetwork, rows: RegressionRows) -> Regressions:
    """Fit a regression for each step on the CPU, on the rows in which it took place.

    The rows have no statistics of the targets, so the weights of these are 0. Bias features are further columns, whose
    weights are left out, so that the others are those of rows at the same position.
    """
    parents, linear = network.link.parents, _first_order_of(network)
    n_rows, former = len(linear.categories.weight), None
    with seeded(0), cpu_by_default():
        terms = Linear(n_rows, len(linear.numbers), len(parents), pooling=linear.pooling).requires_grad_(False)
    terms.categories.weight.zero_()
    intercepts = torch.zeros(len(parents), dtype=torch.float32)
    n_events = np.zeros(len(parents))
    for k, (parent, (of_step, targets)) in enumerate(zip(parents, rows.of_steps, strict=True)):
        weights, y = targets.counts(k, parent).astype(np.float64), targets.labels[:, k]
        used = weights > 0
        if len(np.unique(y[used])) < 2:
            continue
        if of_step is not former:
            design, former = design_of(network, of_step, rows.n_categories, n_rows), of_step
        if not len(design.columns):
            continue
        x = design.x if used.all() else design.x[used]
        of_columns, intercept = fit_ridge(x, y[used], effective_counts(weights[used]), design.sources)
        of_rows, of_numbers, constant = design.first_order(of_columns)
        terms.categories.weight[:, k] = torch.from_numpy(of_rows)
        terms.numbers[: len(of_numbers), k] = torch.from_numpy(of_numbers)
        intercepts[k] = intercept + constant
        n_events[k] = rows.n_events[k]
    return Regressions(terms, intercepts, n_events)


@torch.inference_mode()
def average(net: Net, regressions: Regressions, parts: Sequence[MemberLogits]) -> np.ndarray:
    """Average a network with regressions, in log-odds, by shares that the validation rows determine.

    Parameters
    ----------
    net : its network is changed: both the averaged weights and those with which training goes on.
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
    of_network = torch.from_numpy(shares).to(network.slopes)
    of_regression = (1 - of_network) / network.slopes  # the slopes multiply both
    _fold(network, regressions, of_network, of_regression)
    if net.average_.others:
        with net.average_.other_set():
            _fold(network, regressions, of_network, of_regression)
    for part, logits in zip(parts, added, strict=True):
        part.average(of_network, of_regression * logits)
    return shares


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


def _fold(network: MultiTaskNetwork, regressions: Regressions, of_network: Tensor, of_regression: Tensor) -> None:
    """Multiply the terms of each member by `of_network` ``(K,)``, and add the regressions times `of_regression`."""
    n, terms = len(of_network), regressions.terms
    for member in network.members:
        output, linear, low_order = member.towers.output, _first_order_of(member), member.low_order
        output.weight[:n] *= of_network[:, None, None]
        output.bias[:n] *= of_network[:, None]
        output.bias[:n, 0] += of_regression * regressions.intercepts
        if isinstance(low_order, FM) and low_order.weights is not None:
            low_order.weights[:n] *= of_network[:, None]
        for weight, other in ((linear.categories.weight, terms.categories.weight), (linear.numbers, terms.numbers)):
            weight[:, :n] *= of_network
            weight[:, :n] += other * of_regression


def _first_order_of(member: Member) -> Linear:
    """The first-order terms of a member that has some."""
    linear = member.first_order
    assert linear is not None
    return linear
