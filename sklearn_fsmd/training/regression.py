"""Logistic regressions that are averaged with the network where there are few rows or few events.

On few rows a network makes too few steps to learn what a regression finds at once; on many rows it finds more. The mean
of the log-odds of both is better than either at most sizes in between. Since a regression on the encoded columns is a
sum of first-order terms, the mean is the same network with other weights: nothing is added to it.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from scipy import sparse
from scipy.optimize import minimize_scalar
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from sklearn_fsmd.encoding.columns import evenly_spaced
from sklearn_fsmd.encoding.table import Encoded
from sklearn_fsmd.encoding.targets import LabelledRows, StepSums, Targets
from sklearn_fsmd.inference import in_chunks_alone
from sklearn_fsmd.network import FM, Embedded, Linear, Lists, Member, MultiTaskNetwork
from sklearn_fsmd.parameters import LOW_ORDER, NetworkParameters
from sklearn_fsmd.parameters.machine import cpu_by_default, seeded
from sklearn_fsmd.training.level import binary_tasks_of, information, level_of, trials
from sklearn_fsmd.training.member_logits import MemberLogits

FEW_ROWS, FEW_EVENTS = 100_000, 1000
"""With fewer rows than these, or fewer labels of the rarer class of a step, "auto" adds regressions."""
C, MAX_ITER = 0.1, 200
"""Inverse strength of the ridge penalty, and largest number of iterations, as in scikit-learn."""
MOST_ENTRIES = 5_000_000
"""The largest number of entries of the rows of a regression; of more rows a sample is used."""
SHARE, SPREAD, LEAST = 0.5, 0.3, 0.05
"""Mean and standard deviation of the prior of the network's share of the log-odds, and its smallest value."""


def are_few(n_rows: int, steps: StepSums) -> bool:
    """Whether there are so few training rows, or so few events of a step, that "auto" adds regressions."""
    events = np.minimum(steps.positive, steps.tried - steps.positive)
    n_events = np.divide(events, steps.tried, out=np.zeros_like(events), where=steps.tried > 0) * steps.n_labels
    return n_rows < FEW_ROWS or bool(((n_events > 0) & (n_events < FEW_EVENTS)).any())


def adds_regressions(p: NetworkParameters, has_lists: bool, is_few: bool) -> bool:
    """Whether a fit averages its network with regressions.

    Raises
    ------
    ValueError
        If they are asked for and lists are pooled by their maximum, which is no sum of first-order terms.
    """
    if p.low_order is None or "logistic_regression" not in LOW_ORDER.parts[p.low_order].reads:
        return False
    if has_lists and p.list_pooling == "max":
        if p.logistic_regression not in (False, "auto"):
            raise ValueError(
                "logistic_regression=True needs lists that are pooled by a sum, and list_pooling='max' is none. Set "
                "list_pooling='mean', or logistic_regression=False."
            )
        return False
    return is_few if p.logistic_regression == "auto" else bool(p.logistic_regression)


def samples(rows: Encoded, targets: Targets, parents: Sequence[int | None]) -> list[LabelledRows]:
    """The rows that the regression of each step is fitted on: all of them, or a sample in which each class is half.

    A sample has the events of a rare step, and another level than the data. The weights of the columns are those of the
    data nevertheless, and the level is set afterwards.
    """
    bias_width = 0 if rows.bias is None else rows.bias.codes.shape[1] + rows.bias.numbers.shape[1]
    width = rows.codes.shape[1] + rows.numbers.shape[1] + bias_width
    most = MOST_ENTRIES // max(width, 1)

    def part(chosen: np.ndarray) -> LabelledRows:
        return rows.take(chosen if rows.rows is None else rows.rows[chosen]), targets.part(chosen)

    if len(rows) <= most:
        return [part(np.arange(len(rows)))] * len(parents)
    chosen = []
    for k, parent in enumerate(parents):
        used = targets.counts(k, parent) > 0
        positive, negative = np.flatnonzero(used & (targets.labels[:, k] == 1)), np.flatnonzero(used)
        negative = np.setdiff1d(negative, positive, assume_unique=True)
        positive = positive[evenly_spaced(len(positive), max(most // 2, most - len(negative)))]
        negative = negative[evenly_spaced(len(negative), most - len(positive))]
        chosen.append(np.sort(np.concatenate([positive, negative])))
    return list(map(part, chosen))


class Regressions(NamedTuple):
    """A logistic regression per step on the encoded columns.

    Attributes
    ----------
    terms : the weights of table rows and numbers, for each of the `K` steps.
    intercepts : (K,)
    has : (K,) bool, whether the step has a regression: its labels have two classes, and some column is not constant.
    """

    terms: Linear
    intercepts: Tensor
    has: np.ndarray

    @torch.inference_mode()
    def logits(self, network: MultiTaskNetwork, codes: Tensor, numbers: Tensor, *lists: Lists) -> Tensor:
        """The log-odds of each step, ``(B, K)``; without what the bias features add."""
        located = network.embedding.locate(codes, *lists)
        return self.terms(Embedded(located.codes, numbers, numbers, numbers, located.lists)) + self.intercepts


def fit(network: MultiTaskNetwork, rows_of_steps: Sequence[LabelledRows]) -> Regressions:
    """Fit a regression for each step on the rows in which it took place; `rows_of_steps` are its rows, see `samples`.

    The rows have no statistics of the targets, so a network that has them gives them no weight. Bias features are
    further columns, whose weights are left out, so that the others are those of rows at the same position.
    """
    parents, device, linear = network.link.parents, network.slopes.device, _linear_of(network)
    n_rows, former = len(linear.categories.weight), None
    with seeded(0), cpu_by_default():
        terms = Linear(n_rows, len(linear.numbers), len(parents), pooling=linear.pooling).requires_grad_(False)
    terms.to(device).categories.weight.zero_()
    intercepts = torch.zeros(len(parents), dtype=torch.float32, device=device)
    has = np.zeros(len(parents), dtype=bool)
    for k, (parent, (rows, targets)) in enumerate(zip(parents, rows_of_steps, strict=True)):
        if rows is not former:
            columns, x = _one_hot(network, rows, n_rows)
            means, scales = _means_and_scales(rows.numbers)
            former = rows
        weights, y = targets.counts(k, parent).astype(np.float64), targets.labels[:, k]
        used = weights > 0
        if not len(columns) or len(np.unique(y[used])) < 2:
            continue
        weights *= weights.sum() / np.square(weights).sum()  # their sum is the effective number of rows
        regression = _regression(x[used], y[used], weights[used])
        w = np.zeros(n_rows + len(scales))
        is_feature = columns < len(w)
        w[columns[is_feature]] = regression.coef_[0, is_feature]
        w[n_rows:] /= scales
        terms.categories.weight[:, k] = torch.from_numpy(w[:n_rows])
        terms.numbers[: len(scales), k] = torch.from_numpy(w[n_rows:])
        intercepts[k], has[k] = float(regression.intercept_[0] - w[n_rows:] @ means), True
    return Regressions(terms, intercepts, has)


def _regression(x: sparse.csr_matrix, y: np.ndarray, weights: np.ndarray) -> LogisticRegression:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # further iterations change the AUC by less than 0.0001
        return LogisticRegression(C=C, max_iter=MAX_ITER).fit(x, y, sample_weight=weights)


def _one_hot(network: MultiTaskNetwork, rows: Encoded, n_rows: int) -> tuple[np.ndarray, sparse.csr_matrix]:
    """The rows as a sparse matrix without empty columns, and the number of each column.

    The columns are the rows of the table, the numbers, and the codes and numbers of the bias features.
    """
    device_codes, _, *lists = replace(rows, bias=None).tensors(network.slopes.device)
    located = network.embedding.locate(device_codes, *lists)
    blocks = [_counts(located.codes.cpu().numpy(), n_rows)]
    for column in located.lists or ():
        values, offsets = column.flat.cpu().numpy(), column.offsets.cpu().numpy()
        shares = np.ones(len(values), np.float32)
        if _linear_of(network).pooling == "mean":
            shares /= np.repeat(np.diff(offsets), np.diff(offsets))
        blocks[0] = blocks[0] + sparse.csr_matrix((shares, values, offsets), shape=(len(rows), n_rows))
    blocks.append(_standardised(rows.numbers))
    if rows.bias is not None:
        codes, numbers = rows.bias.codes, rows.bias.numbers
        blocks += [_counts(codes, int(codes.max(initial=0)) + 1), _standardised(numbers)]
    x = sparse.hstack(blocks, format="csr")
    columns, indices = np.unique(x.indices, return_inverse=True)
    return columns, sparse.csr_matrix((x.data, indices.astype(np.int32), x.indptr), shape=(len(rows), len(columns)))


def _means_and_scales(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each column; 1 instead of a deviation of 0."""
    scales = numbers.std(axis=0, dtype=np.float64)
    return numbers.mean(axis=0, dtype=np.float64), np.where(scales > 0, scales, 1.0)


def _standardised(numbers: np.ndarray) -> sparse.csr_matrix:
    """The numbers with mean 0 and standard deviation 1, whatever `numeric_scaling` is, since the penalty needs that."""
    means, scales = _means_and_scales(numbers)
    return sparse.csr_matrix(((numbers - means) / scales).astype(np.float32))


def _counts(codes: np.ndarray, n_columns: int) -> sparse.csr_matrix:
    """How often each code occurs in each row."""
    n, n_fields = codes.shape
    starts = np.arange(0, n * n_fields + 1, n_fields) if n_fields else np.zeros(n + 1, dtype=int)
    return sparse.csr_matrix((np.ones(codes.size, np.float32), codes.ravel(), starts), shape=(n, n_columns))


@torch.inference_mode()
def average(network: MultiTaskNetwork, regressions: Regressions, parts: Sequence[MemberLogits]) -> np.ndarray:
    """Average the network with regressions, in log-odds, by shares that the validation rows determine.

    Parameters
    ----------
    network : its weights are changed.
    parts : logits of training rows and, optionally, of validation rows, which are changed alike.

    Returns
    -------
    shares : (K,), the share of the network; the rest is that of the regression.
    """
    parents = network.link.parents
    added = [in_chunks_alone(partial(regressions.logits, network), *part.inputs) for part in parts]
    shares = np.where(regressions.has, SHARE, 1.0)
    if len(parts) > 1:
        valid, z_regression = parts[1], added[1].cpu().numpy().astype(np.float64)
        rows = binary_tasks_of(valid.labelled(), len(parents))
        counts, bias = trials(parents, rows), valid.bias_logits().cpu().numpy().astype(np.float64)
        for k in np.flatnonzero(regressions.has & (information(parents, rows) > 0)):
            used = counts[:, k] > 0
            z, rest = rows.logits[used, k].astype(np.float64), bias[used, k]
            labels, weights = rows.labels[used, k], counts[used, k]
            shares[k] = share_of(z - rest, z_regression[used, k], rest, labels, weights)
    of_network = torch.from_numpy(shares).to(network.slopes)
    of_regression = (1 - of_network) / network.slopes  # the slopes multiply both
    for member in network.members:
        _average(member, regressions, of_network, of_regression)
    for part, logits in zip(parts, added, strict=True):
        part.average(of_network, of_regression * logits)
    return shares


def share_of(z: np.ndarray, z_regression: np.ndarray, rest: np.ndarray, y: np.ndarray, w: np.ndarray) -> float:
    """The most probable share of the log-odds `z` in their mean with `z_regression`, at the best level.

    The labels `y` have the log-odds ``rest + level + share · z + (1 − share) · z_regression``. The prior of the share
    is normal. Arrays are ``(n,)``; `w` are weights. The share is rounded to four decimals.
    """
    positive = (w * y).sum()

    def loss(share: float) -> float:
        logits = rest + share * z + (1 - share) * z_regression
        logits += level_of(logits, positive, w)
        return float((w * (np.logaddexp(0, logits) - y * logits)).sum() + ((share - SHARE) / SPREAD) ** 2 / 2)

    return round(float(minimize_scalar(loss, bounds=(LEAST, 1), method="bounded", options={"xatol": 1e-7}).x), 4)


def _average(member: Member, regressions: Regressions, of_network: Tensor, of_regression: Tensor) -> None:
    """Multiply the terms of a member by `of_network` ``(K,)``, and add the regressions multiplied by the other."""
    n, output, linear = len(of_network), member.towers.output, _linear_of(member)
    output.weight[:n] *= of_network[:, None, None]
    output.bias[:n] *= of_network[:, None]
    output.bias[:n, 0] += of_regression * regressions.intercepts
    for pair_weights in _pair_weights_of(member):
        pair_weights[:n] *= of_network[:, None]
    terms = regressions.terms
    for weight, other in ((linear.categories.weight, terms.categories.weight), (linear.numbers, terms.numbers)):
        weight[:, :n] = weight[:, :n] * of_network + other * of_regression


def moved(member: Member) -> list[Tensor]:
    """The weights of a member that change when it is averaged with regressions."""
    output, linear = member.towers.output, _linear_of(member)
    return [output.weight, output.bias, linear.categories.weight, linear.numbers, *_pair_weights_of(member)]


def _pair_weights_of(member: Member) -> list[Tensor]:
    """The weights of the pairwise terms of each task, if there is an FM."""
    weights = member.low_order.weights if isinstance(member.low_order, FM) else None
    return [] if weights is None else [weights]


def _linear_of(member: Member) -> Linear:
    """The first-order terms of a member that has some."""
    part = member.low_order
    linear = part.linear if isinstance(part, FM) else part
    assert isinstance(linear, Linear)
    return linear
