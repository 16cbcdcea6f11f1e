"""One column of vectors, such as the embedding of an item's picture or text: numbers that are scaled together."""

from __future__ import annotations

from typing import Any

import numpy as np

from sklearn_fsmd.encoding.seen import Moments
from sklearn_fsmd.encoding.vector_rows import read_vectors

BLOCK = 8192
"""Rows that are scaled together, in float64."""


class VectorColumn:
    """How a column of vectors is read, and how its components are scaled: each to mean 0 and variance 1.

    As those of numeric columns, scaled components stay within the range that fit has seen. A missing vector counts as
    the mean, which is 0 everywhere.

    Parameters
    ----------
    name : str, for messages.

    Attributes
    ----------
    width : `d`, how many numbers a vector has: those of the first; None before it was seen.
    center, scale, low, high : ``(d,)`` float64, of each component.
    seen : what was seen of the rows so far; None before and after.
    """

    seen: Moments | None = None

    def __init__(self, name: str) -> None:
        self.name = name
        self.width: int | None = None

    def read(self, column: Any) -> np.ndarray:
        """The vectors as they are, ``(n, d)`` float32, NaN where a row has none; see :func:`read_vectors`."""
        return read_vectors(column, self.name, self.width)

    def fit(self, x: np.ndarray) -> None:
        """Learn from all rows."""
        self.update(x)
        self.finalize()

    def update(self, x: np.ndarray) -> None:
        """Learn from some rows, as :meth:`read` gives them."""
        for start in range(0, len(x), BLOCK):
            block = x[start : start + BLOCK]
            known = block[~np.isnan(block).any(axis=1)].astype(np.float64)
            if known.size:
                self.width = known.shape[1]
                self.seen = self.seen or Moments()
                self.seen.add(known)

    def finalize(self) -> None:
        """All rows have been seen: the scale is fixed from now on.

        Raises
        ------
        ValueError
            If no row had a vector.
        """
        if self.seen is None:
            raise ValueError(f"Column {self.name!r} holds vectors, and in fit no row has one. Leave the column out.")
        self.low, self.high = self.seen.low, self.seen.high
        constant = self.low == self.high
        self.center = np.where(constant, self.low, self.seen.mean)
        self.scale = np.where(constant, 1.0, self.seen.std)
        del self.seen

    def write_scaled(self, x: np.ndarray, into: np.ndarray) -> None:
        """Write the scaled vectors of `x`, as :meth:`read` gives them, to `into` ``(n, d)``."""
        for start in range(0, len(x), BLOCK):
            s = slice(start, start + BLOCK)
            scaled = (np.clip(x[s], self.low, self.high) - self.center) / self.scale
            into[s] = np.where(np.isnan(scaled), 0.0, scaled)
