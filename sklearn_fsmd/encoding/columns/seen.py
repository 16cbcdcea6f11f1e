"""Counts and numbers that a column collects from the blocks of rows during fit.

These classes keep them in memory. ``training/streaming`` has subclasses for data that are larger than memory.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from sklearn_fsmd.encoding.columns.canonical import Counted, Kind, add_counts

NOTHING: Counted = (np.empty(0, np.int64), np.empty(0, np.int64), None)


class Counts:
    """Counts of the values of a category, and of missing ones."""

    n_missing = 0

    def __init__(self) -> None:
        self.seen: Counted | None = None

    @property
    def kind(self) -> Kind | None:
        """Kind of the values so far; None if all were missing."""
        return None if self.seen is None else self.seen[2]

    def add(self, block: Counted) -> None:
        """Add the distinct values of a block and their counts."""
        self.seen = block if self.seen is None else add_counts(self.seen, block)

    @property
    def found(self) -> Counted:
        """Distinct values, their counts, and their kind."""
        return self.seen or NOTHING

    def least(self, min_frequency: int | Literal["auto"]) -> int:
        """Smallest count with which a value gets a code.

        For "auto" it is 1, except if more than half of the rows have a value that occurs once: then it is 2. Such a
        column is a row identifier, with which the network would memorise the rows.
        """
        if min_frequency != "auto":
            return min_frequency
        n_once, n = self.totals()
        return 2 if 2 * n_once > n else 1

    def totals(self) -> tuple[int, int]:
        """Number of values that were seen once, and number of rows whose value is not missing."""
        counts = self.found[1]
        return int((counts == 1).sum()), int(counts.sum())

    def frequent(self, least: int) -> np.ndarray:
        """Values that were seen at least `least` times, in any order."""
        values, counts, _ = self.found
        return values[counts >= least]


class Moments:
    """Count, mean, sum of squared deviations, minimum and maximum of numbers; for vectors, of each component."""

    n = 0
    mean: Any = 0.0
    squares: Any = 0.0
    low: Any = np.inf
    high: Any = -np.inf

    def add(self, block: np.ndarray) -> None:
        """Add a block, ``(m,)`` or ``(m, d)`` float64; means and squared deviations are merged exactly."""
        m, mean = len(block), block.mean(axis=0)
        shift = mean - self.mean
        self.squares = self.squares + np.square(block - mean).sum(axis=0) + shift**2 * (self.n * m / (self.n + m))
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
        """Add the numbers of a block, ``(n,)`` float64, none of which is missing."""
        if block.size:
            self.blocks.append(block)

    def sample(self) -> np.ndarray:
        """Return the numbers from which bins and ranks are computed: here all, in their order."""
        return self.blocks[0] if len(self.blocks) == 1 else np.concatenate(self.blocks or [np.zeros(1)])

    def moments(self, sample: np.ndarray) -> tuple[float, float, float, float]:
        """Mean, standard deviation, minimum and maximum of all numbers, of which `sample` is a sample."""
        return float(sample.mean()), float(sample.std()), float(sample.min()), float(sample.max())
