"""Logistic regressions that are averaged with the network where there are few rows or few events.

On few rows a network makes too few steps to learn what a regression finds at once; on many rows it finds more. The mean
of the log-odds of both is better than either at most sizes in between. Since a regression on the encoded columns is a
sum of first-order terms, the mean is the same network with other weights: nothing is added to it.
"""

from __future__ import annotations

import copy
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from sklearn_fsmd.network import Embedded, Linear, Lists, Member, MultiTaskNetwork
from sklearn_fsmd.parameters.machine import cpu_by_default, seeded
from sklearn_fsmd.training.level import effective_counts
from sklearn_fsmd.training.regression_columns import design_of
from sklearn_fsmd.training.regression_rows import RegressionRows
from sklearn_fsmd.training.ridge import fit_ridge


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

    def minus(self, others: Regressions) -> Regressions:
        """The regressions whose log-odds are the difference."""
        terms = copy.deepcopy(self.terms)
        terms.categories.weight.sub_(others.terms.categories.weight)
        terms.numbers.sub_(others.terms.numbers)
        return self._replace(terms=terms, intercepts=self.intercepts - others.intercepts)

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
    parents, linear = network.link.parents, first_order_of(network)
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


def first_order_of(member: Member) -> Linear:
    """The first-order terms of a member that has some."""
    linear = member.first_order
    assert linear is not None
    return linear
