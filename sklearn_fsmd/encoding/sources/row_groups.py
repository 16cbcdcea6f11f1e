"""The order in which a pass reads row groups, such that those that are read together have the labels of all.

In a file that is sorted by label, most row groups have rows of one label alone. Some of these, drawn by chance, would
have another rate than all rows, and so would the batches for as long as these are read.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sklearn_fsmd.encoding import Targets

RARE = 3.0
"""A row group is rare if one of its rates is so many standard deviations of a label above that of all: if it is full of
a label that less than a tenth of all rows have."""
BY_LABEL = 0.5
"""Rows are sorted by label if the rates of row groups differ by so many standard deviations of the label."""

Group = tuple[int, int]
"""The number of a file, and that of a row group in it."""


class GroupRates:
    """The rate of each target in each row group.

    Parameters
    ----------
    firsts : ``(G,)``, the position of the first row of each.
    """

    def __init__(self, firsts: Sequence[int]) -> None:
        self.firsts = np.asarray(firsts)
        self.weights: np.ndarray | float = 0.0
        self.positive: np.ndarray | float = 0.0

    def add(self, positions: np.ndarray, targets: Targets) -> None:
        """Take some rows into the rates, those at `positions`."""
        groups, weights = np.searchsorted(self.firsts, positions, side="right") - 1, targets.full_weights
        self.weights = self.weights + self._sums(groups, weights)
        self.positive = self.positive + self._sums(groups, weights * targets.labels)

    def _sums(self, groups: np.ndarray, columns: np.ndarray) -> np.ndarray:
        n = len(self.firsts)
        return np.stack([np.bincount(groups, column, minlength=n) for column in columns.T], axis=1)

    def table(self) -> np.ndarray:
        """The rates, ``(G, K)``; where a group has no label, that of all."""
        positive, weights = np.asarray(self.positive), np.asarray(self.weights)
        whole = positive.sum(axis=0) / np.maximum(weights.sum(axis=0), 1e-300)
        return np.where(weights > 0, positive / np.maximum(weights, 1e-300), whole)


def n_at_a_time(n: int, most: int) -> int:
    """How many of `n` row groups are read at a time, at most so many: the last ones are as many as those before."""
    return -(-n // -(-n // most)) if n else most


def are_by_label(rates: np.ndarray | None) -> bool:
    """Whether row groups differ so much in the rates of a target, ``(G, K)``, that the rows are sorted by it."""
    return rates is not None and bool((_spread_of(rates) > BY_LABEL).any())


def _spread_of(rates: np.ndarray) -> np.ndarray:
    """The standard deviation of the rates of each target over that of a label, ``(K,)``."""
    return rates.std(axis=0) / _deviation(rates.mean(axis=0))


def _deviation(rate: np.ndarray) -> np.ndarray:
    """The standard deviation of a label that has this rate."""
    return np.sqrt(np.maximum(rate * (1 - rate), 1e-12))


def rare_groups(rates: np.ndarray | None, most: int) -> np.ndarray:
    """The numbers of the row groups that are read from the beginning of a pass to its end, at most so many.

    A rare label fills few groups. If these were read one after the other, the rows of a user that have the label would
    come together, and the statistics of the rows before each would not be like those of new rows.

    Parameters
    ----------
    rates : ``(G, K)``, see :meth:`GroupRates.table`.
    """
    if rates is None:
        return np.zeros(0, dtype=np.intp)
    whole = rates.mean(axis=0)
    apart = ((rates - whole) / _deviation(whole)).max(axis=1)
    most_apart = np.argsort(-apart, kind="stable")[:most]
    return np.sort(most_apart[apart[most_apart] > RARE])


def drawn_order(n: int, seed: int, most: int, rates: np.ndarray | None = None) -> np.ndarray:
    """An order of `n` row groups, of which so many are read at a time, at most.

    By chance; with `rates` ``(n, K)`` such that those that are read together have nearly the rates of all. For that the
    rare ones come first, see :func:`rare_groups`, half of `most` at most. The others are sorted by their rates, first
    by the target whose rates differ most, and of neighbours in that order each is read at another time.
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
