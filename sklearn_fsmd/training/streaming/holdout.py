"""Which rows of a data set validate, and which are looked at more closely: said by their positions alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from sklearn_fsmd.encoding.sources import sizes
from sklearn_fsmd.parameters import TrainingParameters

CHUNK = 1 << 20


@dataclass(frozen=True)
class HoldOut:
    """Which rows of a data set are held out.

    A row is drawn by a hash of its position, so each pass, in whatever order, finds the same ones.

    Parameters
    ----------
    n_rows : of the data set.
    seed : of the hash.
    fraction : the share of the rows that is held out.
    last : whether these are the last ones; otherwise they are drawn.
    """

    n_rows: int
    seed: int
    fraction: float = 0.0
    last: bool = False

    @classmethod
    def from_params(cls, p: TrainingParameters, n_rows: int, seed: int) -> HoldOut:
        """As the parameters say.

        Raises
        ------
        ValueError
            If there are too few rows.
        """
        made = cls(n_rows, seed, p.validation_fraction, p.validation == "last")
        if not 0 < made.n_training < n_rows:
            raise ValueError(
                f"The 'validation_fraction' {p.validation_fraction} of {n_rows} rows leaves {made.n_training} rows to "
                f"train on and {n_rows - made.n_training} to validate on. Use more rows, give `validation`, or set "
                "early_stopping=False."
            )
        return made

    @cached_property
    def n_training(self) -> int:
        """How many rows are not held out."""
        if not self.fraction:
            return self.n_rows
        if self.last:
            return self.n_rows - round(self.fraction * self.n_rows)
        starts = range(0, self.n_rows, CHUNK)
        held = sum(int(self.held_out(np.arange(s, min(s + CHUNK, self.n_rows))).sum()) for s in starts)
        return self.n_rows - held

    def held_out(self, positions: np.ndarray) -> np.ndarray:
        """Which of these rows are held out, ``(n,)`` bool."""
        if not self.fraction:
            return np.zeros(len(positions), dtype=bool)
        if self.last:
            return positions >= self.n_rows - round(self.fraction * self.n_rows)
        return chance(positions, self.seed) < self.fraction

    def kept(self, positions: np.ndarray) -> np.ndarray:
        """Which of these rows are held out and kept to validate on: all, or as many as memory is meant for."""
        n = max(self.n_rows - self.n_training, 1)
        return self.held_out(positions) & (chance(positions, self.seed + 1) < sizes.VALID_ROWS / n)

    def sampled(self, positions: np.ndarray) -> np.ndarray:
        """Which of these rows of training are looked at more closely: all of them, or an even sample."""
        return ~self.held_out(positions) & (chance(positions, self.seed + 2) < sizes.SAMPLE_ROWS / self.n_training)


def chance(positions: np.ndarray, seed: int) -> np.ndarray:
    """A number in [0, 1) for each position, ``(n,)`` float64: SplitMix64 of position and seed."""
    with np.errstate(over="ignore"):
        x = positions.astype(np.uint64) + np.uint64((seed + 1) * 0x9E3779B97F4A7C15 % 2**64)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor)
        x ^= x >> np.uint64(31)
    return (x >> np.uint64(11)) * 2.0**-53


def refuse_a_choice(validation: Any) -> None:
    """Raise if the data set of validation is what the parameter of the same name is called."""
    if isinstance(validation, str) and validation in ("last", "random"):
        raise ValueError(
            f"The argument `validation` of `fit_dataset` is a data set. To set the {validation} rows aside, leave it "
            f"out, and set the parameter: FSMDClassifier(validation={validation!r})."
        )
