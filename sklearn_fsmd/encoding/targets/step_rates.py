"""Rates of the steps of a funnel, each among the rows in which its parent step has happened, and steps without any."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from sklearn_fsmd.encoding.targets.encoder import Targets


class StepSums(NamedTuple):
    """Sums of the weights of labels, ``(K,)`` each.

    Attributes
    ----------
    tried : sums over the labels of each target in rows where its parent step has happened.
    positive : sums over those of these labels that are 1.
    squares : sums of the squares of the weights in `tried`.
    parent_unknown : ``(K, 1 + K)``, sums over the labels in rows where it is not known whether the parent step has
        happened. Column 0 is for rows in which no earlier step is known. Column 1 + a is for rows in which `a` is the
        nearest earlier step that is known, and has happened.
    positive_parent_unknown : sums over those of these labels that are 1.
    """

    tried: np.ndarray
    positive: np.ndarray
    squares: np.ndarray
    parent_unknown: np.ndarray
    positive_parent_unknown: np.ndarray

    @classmethod
    def from_targets(cls, targets: Targets, parents: Sequence[int | None]) -> StepSums:
        """Compute the sums over the rows of `targets`."""
        weights, labels, sums = targets.full_weights, targets.labels, []
        parent_unknown = np.zeros((len(parents), 1 + len(parents)))
        for k, parent in enumerate(parents):
            weight, label = weights[:, k].astype(np.float64), labels[:, k]
            tried = weight if parent is None else targets.counts(k, parent).astype(np.float64)
            unknown = np.zeros(len(weight)) if parent is None else np.where(weights[:, parent] == 0, weight, 0.0)
            rest, ancestor = unknown, parent
            while rest.any() and ancestor is not None:
                is_known = weights[:, ancestor] > 0
                parent_unknown[k, 1 + ancestor] = rest[is_known & (labels[:, ancestor] == 1)].sum()
                rest, ancestor = np.where(is_known, 0.0, rest), parents[ancestor]
            parent_unknown[k, 0] = rest.sum()
            sums.append((tried.sum(), tried @ label, tried @ tried, unknown @ label))
        tried, positive, squares, positive_parent_unknown = np.array(sums).T
        return cls(tried, positive, squares, parent_unknown, positive_parent_unknown)

    def plus(self, other: StepSums) -> StepSums:
        """Add the sums of other rows."""
        return StepSums(*(a + b for a, b in zip(self, other, strict=True)))

    @property
    def n_labels(self) -> np.ndarray:
        """Effective number of the labels in `tried`, ``(K,)``: as many of equal weight are as informative (Kish)."""
        return np.divide(self.tried**2, self.squares, out=np.zeros_like(self.tried), where=self.squares > 0)

    @property
    def n_events(self) -> np.ndarray:
        """Effective number of those of these labels that are of the rarer class, ``(K,)``."""
        events = np.minimum(self.positive, self.tried - self.positive)
        return np.divide(events, self.tried, out=np.zeros_like(events), where=self.tried > 0) * self.n_labels

    def young(self, positive: np.ndarray, parents: Sequence[int | None]) -> list[int]:
        """Find the steps whose only labels in these rows are 0s that follow from their parents.

        The parent has happened in some rows, and in none of these the label of the step is known yet: the rows are too
        young. A step whose parent is such a step is one too, unless it has labels itself.

        Parameters
        ----------
        positive : ``(K,)``, the weights of the positive labels of each target.
        """
        known, young = self.tried + self.parent_unknown.sum(axis=1), []
        for k, parent in enumerate(parents):
            if parent is not None and not known[k] and (parent in young or positive[parent] > 0):
                young.append(k)
        return young

    def rates(self, parents: Sequence[int | None]) -> np.ndarray:
        """P(step | its parent step has happened), ``(K,)``; ½ for a step without labels.

        If it is not known whether the parent step has happened, a row is weighted by the probability that it has.
        """
        rates, marginals = np.full(len(parents), 0.5), np.ones(1 + len(parents))  # element 0 stands for impressions
        for k, parent in enumerate(parents):
            p_parent = 1.0 if parent is None else marginals[1 + parent]
            p_parent_given_ancestor = np.divide(p_parent, marginals, out=np.zeros_like(marginals), where=marginals > 0)
            tried = self.tried[k] + self.parent_unknown[k] @ p_parent_given_ancestor
            if tried > 0:
                rates[k] = min((self.positive[k] + self.positive_parent_unknown[k]) / tried, 1.0)
            marginals[1 + k] = p_parent * rates[k]
        return rates


def without_young_steps(targets: Targets, parents: Sequence[int | None]) -> Targets:
    """Drop the labels of steps whose only known labels are 0s that follow from their parents.

    With them, the rates of these steps would count only rows in which the step cannot have happened.
    """
    _, positive = targets.totals()
    young = StepSums.from_targets(targets, parents).young(positive, parents)
    if not young:
        return targets
    weights = targets.full_weights.copy()
    weights[:, young] = 0
    return replace(targets, weights=weights)
