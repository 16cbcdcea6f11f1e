"""The order in which a pass reads row groups, such that those that are read together have the labels of all.

In a file that is sorted by label, most row groups have rows of one label alone. Some of these, drawn by chance, would
have another rate than all rows, and so would the batches for as long as these are read.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sklearn_fsmd.encoding import Targets


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


def drawn_order(n: int, seed: int, n_together: int, rates: np.ndarray | None = None) -> np.ndarray:
    """An order of `n` row groups, of which `n_together` are read at a time.

    By chance; with `rates` ``(n, K)`` such that those that are read together have nearly the rates of all. For that the
    groups are sorted by their rates, first by the target whose rates differ most, and of neighbours in that order each
    is read at another time.
    """
    random = np.random.default_rng(seed)
    drawn = random.permutation(n)
    if rates is None:
        return drawn
    whole = rates.mean(axis=0)
    spread = rates.std(axis=0) / np.sqrt(np.maximum(whole * (1 - whole), 1e-12))
    ranked = np.lexsort((drawn, *rates[:, np.argsort(spread)].T))
    n_times = -(-n // n_together)
    times = np.concatenate([random.permutation(n_times) for _ in range(0, n, n_times)])[:n]
    return ranked[np.argsort(times + random.uniform(size=n))]
