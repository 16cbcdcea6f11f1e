"""What a column keeps of the blocks that it has seen while it is learned.

These keep all of it in memory. What is larger than memory is learned with others that have the same methods: see
``training/streaming``.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from sklearn_fsmd.encoding.canonical import Counted, Kind, add_counts

NOTHING: Counted = (np.empty(0, np.int64), np.empty(0, np.int64), None)


class Counts:
    """How often each value of a category was seen."""

    def __init__(self) -> None:
        self.seen: Counted | None = None

    @property
    def kind(self) -> Kind | None:
        """What the values are so far; None if all were missing."""
        return None if self.seen is None else self.seen[2]

    def add(self, block: Counted) -> None:
        """Count the values of a block: distinct ones, and how often each is there."""
        self.seen = block if self.seen is None else add_counts(self.seen, block)

    @property
    def found(self) -> Counted:
        """Distinct values, how often each was seen, and what they are."""
        return self.seen or NOTHING

    def least(self, min_frequency: int | Literal["auto"]) -> int:
        """How often a value has to be seen to be known.

        By "auto" once is enough, except where more than half of the values that were counted were seen once: such a
        column numbers the rows, and a network would learn them by heart.
        """
        if min_frequency != "auto":
            return min_frequency
        n_once, n = self.totals()
        return 2 if 2 * n_once > n else 1

    def totals(self) -> tuple[int, int]:
        """How many values were seen once, and how many there were, of which none was missing."""
        counts = self.found[1]
        return int((counts == 1).sum()), int(counts.sum())

    def frequent(self, least: int) -> np.ndarray:
        """The values that were seen at least so often, in any order."""
        values, counts, _ = self.found
        return values[counts >= least]


class Moments:
    """How many numbers there were, their mean, spread, least and greatest; for vectors, of each component."""

    n = 0
    mean: Any = 0.0
    squares: Any = 0.0
    low: Any = np.inf
    high: Any = -np.inf

    def add(self, block: np.ndarray) -> None:
        """Take a block, ``(m,)`` or ``(m, d)`` float64, to those before; means and squares are merged exactly."""
        m, own = len(block), block.mean(axis=0)
        shift = own - self.mean
        self.squares = self.squares + np.square(block - own).sum(axis=0) + shift**2 * (self.n * m / (self.n + m))
        self.mean = self.mean + shift * (m / (self.n + m))
        self.n += m
        self.low, self.high = np.minimum(self.low, block.min(axis=0)), np.maximum(self.high, block.max(axis=0))

    @property
    def std(self) -> Any:
        """The standard deviation."""
        return np.sqrt(self.squares / self.n)


class Numbers:
    """The numbers of a column."""

    def __init__(self) -> None:
        self.blocks: list[np.ndarray] = []

    def add(self, block: np.ndarray) -> None:
        """Keep the numbers of a block, ``(n,)`` float64, of which none is missing."""
        if block.size:
            self.blocks.append(block)

    def sample(self) -> np.ndarray:
        """The numbers from which bins and ranks are taken: here all, in their order."""
        return self.blocks[0] if len(self.blocks) == 1 else np.concatenate(self.blocks or [np.zeros(1)])

    def moments(self, sample: np.ndarray) -> tuple[float, float, float, float]:
        """Mean, standard deviation, least and greatest of all numbers, of which `sample` was taken."""
        return float(sample.mean()), float(sample.std()), float(sample.min()), float(sample.max())
