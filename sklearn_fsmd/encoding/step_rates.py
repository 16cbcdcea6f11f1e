"""How often each step happened where the one before it did."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sklearn_fsmd.encoding.targets import Targets


class StepSums(NamedTuple):
    """Sums of the weights of labels, ``(K,)`` each.

    `tried` are the labels of each target where the step before it has happened, `positive` those of them that are 1,
    and `squares` are of the squares of their weights. `aside` ``(K, 1 + K)`` and `positive_aside` ``(K,)`` are the same
    where it is not known whether the step before has happened; of the former the first column is of rows in which
    nothing is known of all steps before, and column 1 + a of those in which a is the nearest that is known, and has
    happened.
    """

    tried: np.ndarray
    positive: np.ndarray
    squares: np.ndarray
    aside: np.ndarray
    positive_aside: np.ndarray

    @classmethod
    def from_targets(cls, targets: Targets, parents: Sequence[int | None]) -> StepSums:
        """Those of some rows."""
        weights, labels, columns = targets.full_weights, targets.labels, []
        all_aside = np.zeros((len(parents), 1 + len(parents)))
        for k, parent in enumerate(parents):
            own, yes = weights[:, k].astype(np.float64), labels[:, k]
            tried = own if parent is None else targets.counts(k, parent).astype(np.float64)
            aside = np.zeros(len(own)) if parent is None else np.where(weights[:, parent] == 0, own, 0.0)
            left, before = aside, parent
            while left.any() and before is not None:
                is_known = weights[:, before] > 0
                all_aside[k, 1 + before] = left[is_known & (labels[:, before] == 1)].sum()
                left, before = np.where(is_known, 0.0, left), parents[before]
            all_aside[k, 0] = left.sum()
            columns.append((tried.sum(), tried @ yes, tried @ tried, aside @ yes))
        tried, positive, squares, positive_aside = np.array(columns).T
        return cls(tried, positive, squares, all_aside, positive_aside)

    def plus(self, other: StepSums) -> StepSums:
        """Those of the rows of both."""
        return StepSums(*(a + b for a, b in zip(self, other, strict=True)))

    @property
    def n_labels(self) -> np.ndarray:
        """The effective number of labels that were tried, ``(K,)``: so many of equal weight say as much (Kish)."""
        return np.divide(self.tried**2, self.squares, out=np.zeros_like(self.tried), where=self.squares > 0)

    def rates(self, parents: Sequence[int | None]) -> np.ndarray:
        """P(step | the step before has happened), ``(K,)``; ½ where nothing is known of it.

        Where it is not known whether the step before has happened, a row counts as the probability that it has.
        """
        rates, marginals = np.full(len(parents), 0.5), np.ones(1 + len(parents))  # the first is of all impressions
        for k, parent in enumerate(parents):
            before = 1.0 if parent is None else marginals[1 + parent]
            given = np.divide(before, marginals, out=np.zeros_like(marginals), where=marginals > 0)
            tried = self.tried[k] + self.aside[k] @ given
            if tried > 0:
                rates[k] = min((self.positive[k] + self.positive_aside[k]) / tried, 1.0)
            marginals[1 + k] = before * rates[k]
        return rates
