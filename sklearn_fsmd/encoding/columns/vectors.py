"""A column of vectors, such as embeddings of pictures or texts."""

from __future__ import annotations

from typing import Any

import numpy as np

from sklearn_fsmd.encoding.columns.seen import Moments
from sklearn_fsmd.encoding.columns.vector_rows import read_vectors

BLOCK = 8192
"""Number of rows that are scaled together, in float64."""


class VectorColumn:
    """A column of vectors, each component of which is scaled to mean 0 and variance 1.

    Like numeric columns, components are clipped to their range in fit. A missing vector is replaced by the mean, which
    is 0 in each component.

    Parameters
    ----------
    name : str, for messages.

    Attributes
    ----------
    width : `d`, the length of the first vector; None before one was seen.
    center, scale, low, high : ``(d,)`` float64, per component.
    seen : moments of the rows so far; None before and after fit.
    """

    seen: Moments | None = None

    def __init__(self, name: str) -> None:
        self.name = name
        self.width: int | None = None

    def read(self, column: Any) -> np.ndarray:
        """Read the unscaled vectors, ``(n, d)`` float32, NaN where a row has none; see :func:`read_vectors`."""
        return read_vectors(column, self.name, self.width)

    def fit(self, x: np.ndarray) -> None:
        """Learn from all rows."""
        self.update(x)
        self.finalize()

    def update(self, x: np.ndarray) -> None:
        """Learn from some rows, as returned by :meth:`read`."""
        for start in range(0, len(x), BLOCK):
            block = x[start : start + BLOCK]
            known = block[~np.isnan(block).any(axis=1)].astype(np.float64)
            if known.size:
                self.width = known.shape[1]
                self.seen = self.seen or Moments()
                self.seen.add(known)

    def finalize(self) -> None:
        """Fix the scale, after all rows have been seen.

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

    def write_scaled(self, x: np.ndarray, out: np.ndarray) -> None:
        """Scale the vectors `x`, as returned by :meth:`read`, and write them to `out` ``(n, d)``."""
        for start in range(0, len(x), BLOCK):
            s = slice(start, start + BLOCK)
            scaled = (np.clip(x[s], self.low, self.high) - self.center) / self.scale
            out[s] = np.where(np.isnan(scaled), 0.0, scaled)
