"""Rows sorted by a value, and sums over the rows of each value."""

from __future__ import annotations

import numpy as np


class ByValue:
    """Rows sorted by a value; rows with the same value keep their order.

    Parameters
    ----------
    values : ``(n,)``, non-negative integers; 0 stands for an unknown value.
    order : permutation of the rows; None keeps the order in which they are given.
    """

    def __init__(self, values: np.ndarray, order: np.ndarray | None = None) -> None:
        self.rows = order_of(values) if order is None else order[order_of(values[order])]
        self.values = values[self.rows]
        self.starts = np.flatnonzero(np.diff(self.values, prepend=-1))

    def totals(self, addends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the distinct values, sorted, and for each the sums of `addends` ``(n, m)`` over its rows."""
        if not len(self.rows):
            return self.values, addends
        return self.values[self.starts], np.add.reduceat(addends[self.rows], self.starts, axis=0)

    def before(self, addends: np.ndarray) -> np.ndarray:
        """Sum `addends` ``(n, m)``, for each row, over the rows before it that have the same value.

        The sums of rows with an unknown value are 0.
        """
        sums = np.empty(addends.shape, order="F")
        first_with_value = np.repeat(self.starts, np.diff(self.starts, append=len(self.rows)))
        is_unknown = self.values == 0
        for column, column_sums in zip(addends.T, sums.T, strict=True):  # a single column fits into the cache
            in_order = column[self.rows]
            before = np.cumsum(in_order) - in_order
            before -= before[first_with_value]
            before[is_unknown] = 0
            column_sums[self.rows] = before.clip(min=0)  # rounding errors of large sums may make it negative
        return sums


def order_of(values: np.ndarray) -> np.ndarray:
    """Return ``np.argsort(values, kind="stable")`` of non-negative integers, but faster.

    numpy uses a radix sort for integers of 16 bits, and a slower comparison sort for longer ones. So this function
    sorts by the lower 16 bits first, and then by the upper ones.
    """
    largest = int(values.max(initial=0))
    if largest >= 2**32:
        return np.argsort(values, kind="stable")
    lower = np.argsort(values.astype(np.uint16), kind="stable")  # the cast drops the upper bits
    if largest < 2**16:
        return lower
    return lower[np.argsort((values >> 16).astype(np.uint16)[lower], kind="stable")]
