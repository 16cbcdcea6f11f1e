"""How often each step happened where the one before it did."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sklearn_fsmd.encoding.targets import Targets


class StepSums(NamedTuple):
    """Sums of the weights of labels, ``(K,)`` each.

    `tried` are the labels of each target where the step before it has happened, `positive` those of them that are 1,
    and `squares` are of the squares of their weights. `aside` and `positive_aside` are the same where it is not known
    whether the step before has happened.
    """

    tried: np.ndarray
    positive: np.ndarray
    squares: np.ndarray
    aside: np.ndarray
    positive_aside: np.ndarray

    @classmethod
    def of(cls, targets: Targets, parents: Sequence[int | None]) -> StepSums:
        """Those of some rows."""
        weights, labels, columns = targets.full_weights, targets.labels, []
        for k, parent in enumerate(parents):
            own, yes = weights[:, k].astype(np.float64), labels[:, k]
            tried = own if parent is None else targets.counts(k, parent).astype(np.float64)
            aside = np.zeros(1) if parent is None else own[weights[:, parent] == 0]
            yes_aside = np.zeros(1) if parent is None else yes[weights[:, parent] == 0]
            columns.append((tried.sum(), tried @ yes, tried @ tried, aside.sum(), aside @ yes_aside))
        return cls(*np.array(columns).T)

    def plus(self, other: StepSums) -> StepSums:
        """Those of the rows of both."""
        return StepSums(*(a + b for a, b in zip(self, other, strict=True)))

    @property
    def n_labels(self) -> np.ndarray:
        """The effective number of labels that were tried, ``(K,)``: so many of equal weight say as much (Kish)."""
        return np.divide(self.tried**2, self.squares, out=np.zeros_like(self.tried), where=self.squares > 0)

    def rates(self, parents: Sequence[int | None]) -> np.ndarray:
        """P(step | the step before has happened), ``(K,)``; ½ where nothing is known of it."""
        rates: list[float] = []
        marginals: list[float] = []
        for k, parent in enumerate(parents):
            before = 1.0 if parent is None else marginals[parent]
            if self.tried[k] > 0:
                rate = self.positive[k] / self.tried[k]
            elif self.aside[k] > 0 and before > 0:
                rate = min(self.positive_aside[k] / self.aside[k] / before, 1.0)
            else:
                rate = 0.5
            rates.append(rate)
            marginals.append(before * rate)
        return np.array(rates)
