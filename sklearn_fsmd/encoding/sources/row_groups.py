"""The order in which a pass reads row groups, so that those that are read together have the rates of all rows.

In a file that is sorted by label, most row groups contain a single label. The rates of a random few of these would
differ from those of all rows, and so would the rates of the batches while these groups are read.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sklearn_fsmd.encoding.targets import Targets

RARE = 3.0
"""A row group is rare if one of its rates is more than so many standard deviations of the label above that of all rows.
A group full of a label that less than a tenth of all rows have is rare."""
BY_LABEL = 0.5
"""Rows count as sorted by label if the standard deviation of the rates of row groups, relative to that of the label,
exceeds this number."""

Group = tuple[int, int]
"""Index of a file, and index of a row group in it."""


class GroupRates:
    """The rate of each target in each row group.

    Parameters
    ----------
    firsts : ``(G,)``, the position of the first row of each row group.
    """

    def __init__(self, firsts: Sequence[int]) -> None:
        self.firsts = np.asarray(firsts)
        self.weights: np.ndarray | float = 0.0
        self.positive: np.ndarray | float = 0.0

    def add(self, positions: np.ndarray, targets: Targets) -> None:
        """Add the targets of the rows at `positions`."""
        groups, weights = np.searchsorted(self.firsts, positions, side="right") - 1, targets.full_weights
        self.weights = self.weights + self._sums(groups, weights)
        self.positive = self.positive + self._sums(groups, weights * targets.labels)

    def _sums(self, groups: np.ndarray, columns: np.ndarray) -> np.ndarray:
        n = len(self.firsts)
        return np.stack([np.bincount(groups, column, minlength=n) for column in columns.T], axis=1)

    def table(self) -> np.ndarray:
        """Return the rates, ``(G, K)``; a group without labels gets the rate of all rows."""
        positive, weights = np.asarray(self.positive), np.asarray(self.weights)
        overall = positive.sum(axis=0) / np.maximum(weights.sum(axis=0), 1e-300)
        return np.where(weights > 0, positive / np.maximum(weights, 1e-300), overall)


def n_at_a_time(n: int, most: int) -> int:
    """Number of row groups, of `n`, that are read at a time: at most `most`, and about as many at the end."""
    return -(-n // -(-n // most)) if n else most


def are_by_label(rates: np.ndarray | None) -> bool:
    """Whether the rates of row groups ``(G, K)`` differ so much that the rows must be sorted by a label."""
    return rates is not None and bool((_spread_of(rates) > BY_LABEL).any())


def _spread_of(rates: np.ndarray) -> np.ndarray:
    """Standard deviation of the rates of each target, relative to that of its label, ``(K,)``."""
    return rates.std(axis=0) / _deviation(rates.mean(axis=0))


def _deviation(rate: np.ndarray) -> np.ndarray:
    """Standard deviation of a label with this rate."""
    return np.sqrt(np.maximum(rate * (1 - rate), 1e-12))


def rare_groups(rates: np.ndarray | None, most: int) -> np.ndarray:
    """Indices of at most `most` row groups that are read throughout a pass.

    A rare label fills few groups. If these were read one after the other, the rows of a user with that label would come
    together. Then the statistics of the rows before each row would differ from those of new rows.

    Parameters
    ----------
    rates : ``(G, K)``, see :meth:`GroupRates.table`.
    """
    if rates is None:
        return np.zeros(0, dtype=np.intp)
    overall = rates.mean(axis=0)
    excess = ((rates - overall) / _deviation(overall)).max(axis=1)
    largest = np.argsort(-excess, kind="stable")[:most]
    return np.sort(largest[excess[largest] > RARE])


def drawn_order(n: int, seed: int, most: int, rates: np.ndarray | None = None) -> np.ndarray:
    """Draw an order of `n` row groups, at most `most` of which are read at a time.

    With `rates` ``(n, K)``, groups that are read together have nearly the rates of all rows: the rare ones come first
    (see :func:`rare_groups`), at most half of `most`. The others are sorted by their rates, first by the target whose
    rates differ most, and neighbours in that order are read at different times.
    """
    random = np.random.default_rng(seed)
    drawn = random.permutation(n)
    if rates is None:
        return drawn
    rare = rare_groups(rates, most // 2)
    if len(rare) == n:
        return drawn
    others = drawn[~np.isin(drawn, rare)]
    rates = rates[others]
    ranked = others[np.lexsort((np.arange(len(others)), *rates[:, np.argsort(_spread_of(rates))].T))]
    n_times = -(-len(others) // n_at_a_time(len(others), most - len(rare)))
    times = np.concatenate([random.permutation(n_times) for _ in range(0, len(others), n_times)])[: len(others)]
    return np.concatenate([rare, ranked[np.argsort(times + random.uniform(size=len(others)))]])
