"""Regressions that are averaged with the network where there are few rows, few events or few values.

On few rows a network makes too few steps to learn what a regression finds at once; on many rows it finds more. The mean
of the log-odds of both is better than either at most sizes in between. Since a regression on the encoded columns is a
sum of first-order terms, the mean is the same network with other weights: nothing is added to it.

Steps have logistic regressions. A value has one of the first output of its tower, to which the network's first-order
terms are added.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor

from sklearn_fsmd.encoding.table import Encoded
from sklearn_fsmd.encoding.targets import Values, effective_counts
from sklearn_fsmd.network import Embedded, Linear, Lists, Member, MultiTaskNetwork, ValueModel
from sklearn_fsmd.parameters.machine import cpu_by_default, seeded
from sklearn_fsmd.training.regression_columns import design_of
from sklearn_fsmd.training.regression_rows import RegressionRows
from sklearn_fsmd.training.ridge import FAMILIES, FamilyName, fit_ridge
from sklearn_fsmd.training.value_level import spread_of


class Regressions(NamedTuple):
    """A regression per target on the encoded columns.

    Attributes
    ----------
    terms : the weights of table rows and numbers, for each of the `T` targets: `K` steps and `V` values.
    intercepts : (T,)
    n_events : (T,), the number of labels of the rarer class, or of known values, in all training rows. It is 0 for a
        step without a regression: its labels have one class, or there is neither a category, nor a bin, nor a number
        that varies. The regression of a value is a constant then. It is also 0 for a value that is never known.
    spreads : (V,), the mean deviance of what is regressed of the values; 0 if it is constant.
    """

    terms: Linear
    intercepts: Tensor
    n_events: np.ndarray
    spreads: np.ndarray

    def to(self, device: torch.device) -> Regressions:
        """The same on a device."""
        return self._replace(terms=self.terms.to(device), intercepts=self.intercepts.to(device))

    def minus(self, others: Regressions) -> Regressions:
        """The regressions whose outputs are the difference."""
        terms = copy.deepcopy(self.terms)
        terms.categories.weight.sub_(others.terms.categories.weight)
        terms.numbers.sub_(others.terms.numbers)
        return self._replace(terms=terms, intercepts=self.intercepts - others.intercepts)

    @torch.inference_mode()
    def outputs(self, network: MultiTaskNetwork, codes: Tensor, numbers: Tensor, *lists: Lists) -> Tensor:
        """The log-odds of each step and the first output of each value, with zeros for others, ``(B, K + V·P)``.

        What bias features would add is left out.
        """
        located = network.embedding.locate(codes, *lists)
        first = self.terms(Embedded(located.codes, numbers, numbers, numbers, located.lists)) + self.intercepts
        n_steps, n_outputs = len(network.link.parents), network.towers.output.bias.shape[1]
        of_values = first.new_zeros(len(first), first.shape[1] - n_steps, n_outputs)
        of_values[..., 0] = first[:, n_steps:]
        return torch.cat((first[:, :n_steps], of_values.flatten(1)), dim=1)


class _Task(NamedTuple):
    """What one regression is fitted on: its rows, what it predicts and the weights ``(n,)``, and its distribution."""

    rows: Encoded
    y: np.ndarray
    weights: np.ndarray
    family: FamilyName


def fit(network: MultiTaskNetwork, rows: RegressionRows) -> Regressions:
    """Fit a regression for each target on the CPU, on the rows in which the step took place or the value is known.

    The rows have no statistics of the targets, so the weights of these are 0. Bias features are further columns, whose
    weights are left out, so that the others are those of rows at the same position.
    """
    linear = first_order_of(network)
    n_rows, n_targets, former = len(linear.categories.weight), network.n_learned, None
    with seeded(0), cpu_by_default():
        terms = Linear(n_rows, len(linear.numbers), n_targets, pooling=linear.pooling).requires_grad_(False)
    terms.categories.weight.zero_()
    intercepts = torch.zeros(n_targets, dtype=torch.float32)
    n_steps, n_events = len(network.link.parents), np.zeros(n_targets)
    spreads = np.zeros(n_targets - n_steps)
    for t, task in enumerate(_tasks(network, rows)):
        used, is_value = task.weights > 0, t >= n_steps
        if not used.any():
            continue
        if task.rows is not former:
            design, former = design_of(network, task.rows, rows.n_categories, n_rows), task.rows
        weights = effective_counts(task.weights[used])
        if is_value:
            spreads[t - n_steps] = spread_of(task.y[used], weights, multiplies=task.family == "poisson")
        if not len(design.columns) or len(np.unique(task.y[used])) < 2:
            if is_value:
                intercepts[t] = FAMILIES[task.family].link(np.average(task.y[used], weights=weights))
                n_events[t] = rows.n_events[t]
            continue
        x = design.x if used.all() else design.x[used]
        of_columns, intercept = fit_ridge(x, task.y[used], weights, design.sources, task.family)
        of_rows, of_numbers, constant = design.first_order(of_columns)
        terms.categories.weight[:, t] = torch.from_numpy(of_rows)
        terms.numbers[: len(of_numbers), t] = torch.from_numpy(of_numbers)
        intercepts[t] = intercept + constant
        n_events[t] = rows.n_events[t]
    return Regressions(terms, intercepts, n_events, spreads)


def _tasks(network: MultiTaskNetwork, rows: RegressionRows) -> Iterator[_Task]:
    for k, (parent, (of_step, targets)) in enumerate(zip(network.link.parents, rows.of_steps, strict=True)):
        yield _Task(of_step, targets.labels[:, k], targets.counts(k, parent).astype(np.float64), "logistic")
    for v, (of_value, targets) in enumerate(rows.of_values):
        model, values = _values_of(network, targets.values)
        y, weights = (x[:, v].cpu().numpy() for x in model.regressed(*values))
        yield _Task(of_value, y, weights.astype(np.float64), model.family)


def _values_of(network: MultiTaskNetwork, values: Values | None) -> tuple[ValueModel, Sequence[Tensor]]:
    """The model of the values, and some values and their weights on its device."""
    model = cast("ValueModel", network.values)
    return model, [torch.from_numpy(x).to(model.center.device) for x in cast("Values", values).arrays]


def first_order_of(member: Member) -> Linear:
    """The first-order terms of a member that has some."""
    linear = member.first_order
    assert linear is not None
    return linear
