"""Rows sorted by a value, and sums over the rows of each value."""

from __future__ import annotations

import numpy as np


class ByValue:
    """Rows sorted by a value; rows of the same value stay in their order.

    Parameters
    ----------
    values : ``(n,)``, whole numbers from 0 on; 0 stands for an unknown value.
    order : of the rows; None takes them as they stand.
    """

    def __init__(self, values: np.ndarray, order: np.ndarray | None = None) -> None:
        self.rows = order_of(values) if order is None else order[order_of(values[order])]
        self.values = values[self.rows]
        self.starts = np.flatnonzero(np.diff(self.values, prepend=-1))

    def totals(self, counted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The distinct values, sorted, and the sums of `counted` ``(n, m)`` over the rows of each."""
        if not len(self.rows):
            return self.values, counted
        return self.values[self.starts], np.add.reduceat(counted[self.rows], self.starts, axis=0)

    def before(self, counted: np.ndarray) -> np.ndarray:
        """For each row the sums of `counted` over the rows of its value that stand before it; 0 for unknown values.

        Column by column: a single one fits the cache.
        """
        sums = np.empty(counted.shape, order="F")
        first = np.repeat(self.starts, np.diff(self.starts, append=len(self.rows)))  # row of the same value
        is_unknown = self.values == 0
        for column, of_column in zip(counted.T, sums.T, strict=True):
            own = column[self.rows]
            before = np.cumsum(own) - own
            before -= before[first]
            before[is_unknown] = 0
            of_column[self.rows] = before.clip(min=0)  # differences of large sums may fall below
        return sums


def order_of(values: np.ndarray) -> np.ndarray:
    """What ``np.argsort(values, kind="stable")`` gives, of whole numbers from 0 on.

    numpy sorts numbers of 16 bits by their digits, and longer ones by comparing, which takes longer. So the lower 16
    bits are sorted first, and the upper ones then.
    """
    largest = int(values.max(initial=0))
    if largest >= 2**32:
        return np.argsort(values, kind="stable")
    lower = np.argsort(values.astype(np.uint16), kind="stable")  # which leaves the upper bits out
    if largest < 2**16:
        return lower
    return lower[np.argsort((values >> 16).astype(np.uint16)[lower], kind="stable")]
