"""Choose the validation rows and samples of a data set by the positions of the rows alone."""

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

    A row is drawn by a hash of its position, so each pass chooses the same rows, whatever its order.

    Parameters
    ----------
    n_rows : number of rows of the data set.
    seed : of the hash.
    fraction : the share of the rows that is held out.
    last : whether the last rows are held out; otherwise rows are drawn.
    """

    n_rows: int
    seed: int
    fraction: float = 0.0
    last: bool = False

    @classmethod
    def from_params(cls, p: TrainingParameters, n_rows: int, seed: int) -> HoldOut:
        """The hold-out for the parameters of `p`.

        Raises
        ------
        ValueError
            If there are too few rows.
        """
        hold_out = cls(n_rows, seed, p.validation_fraction, p.validation == "last")
        if not 0 < hold_out.n_training < n_rows:
            raise ValueError(
                f"The 'validation_fraction' {p.validation_fraction} of {n_rows} rows leaves {hold_out.n_training} rows "
                f"to train on and {n_rows - hold_out.n_training} to validate on. Use more rows, give `validation`, or "
                "set early_stopping=False."
            )
        return hold_out

    @cached_property
    def n_training(self) -> int:
        """Number of rows that are not held out."""
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

    def validation_sample(self, positions: np.ndarray) -> np.ndarray:
        """Which of these rows are kept in memory for validation: all held-out rows, or a sample if they are many."""
        n = max(self.n_rows - self.n_training, 1)
        return self.held_out(positions) & (chance(positions, self.seed + 1) < sizes.VALID_ROWS / n)

    def training_sample(self, positions: np.ndarray) -> np.ndarray:
        """Which of these rows are kept in memory as a sample of the training rows: all, or some if they are many."""
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
    """Raise if `validation`, a data set, is a value of the parameter of the same name."""
    if isinstance(validation, str) and validation in ("last", "random"):
        raise ValueError(
            f"The argument `validation` of `fit_dataset` is a data set. To set the {validation} rows aside, leave it "
            f"out, and set the parameter: FSMDClassifier(validation={validation!r})."
        )
