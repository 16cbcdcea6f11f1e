"""Exponential decay: the weight of an event halves with every half-life that has passed since it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

MOST_HALF_LIVES = 1000
"""Largest number of half-lives before or after the reference time: float64 ends at 2^1024."""


class Decay(NamedTuple):
    """A half-life in nanoseconds, or None for no decay, and the reference time of the sums.

    An event at time `t` adds 2^((t − reference) / half_life) to the sums. :meth:`factors` converts the sums to a later
    time: the factor is the same for all events. Events too long before the reference have weight 0. Therefore rows
    before `valid_from` cannot get features.
    """

    half_life: int | None
    reference: int
    valid_from: int | None = None

    def weights(self, times: np.ndarray) -> np.ndarray:
        """Weights in the sums of events at these times."""
        if self.half_life is None:
            return np.ones(len(times))
        return np.exp2((times - self.reference) / self.half_life)

    def factors(self, times: np.ndarray) -> np.ndarray:
        """Factors that convert sums as of the reference time to sums as of these times."""
        if self.half_life is None:
            return np.ones(len(times))
        # Rows before the log have no sums; long after the log the factor underflows to 0.
        return np.exp2(((self.reference - times) / self.half_life).clip(max=MOST_HALF_LIVES))

    def weights_sql(self, time: str) -> str:
        """:meth:`weights` of events at `time`, as a DuckDB expression."""
        return "1" if self.half_life is None else f"pow(2.0, ({time} - {self.reference}) / {float(self.half_life)})"

    def factors_sql(self, time: str) -> str:
        """:meth:`factors` at `time`, as a DuckDB expression."""
        if self.half_life is None:
            return "1"
        return f"pow(2.0, least({MOST_HALF_LIVES}, ({self.reference} - {time}) / {float(self.half_life)}))"

    def covers(self, times: np.ndarray) -> bool:
        """Whether events at these times can be added to sums with this reference time."""
        if self.half_life is None or not len(times):
            return True
        distance = max(int(times.max()) - self.reference, self.reference - int(times.min()))
        return distance <= MOST_HALF_LIVES * self.half_life

    def check_times(self, times: np.ndarray) -> None:
        """Raise ValueError if a row comes before `valid_from`: events that count for it have weight 0 here."""
        if self.valid_from is not None and len(times) and times.min() < self.valid_from:
            half_life = self.half_life or 1
            n_half_lives = 2 * MOST_HALF_LIVES + (self.valid_from - int(times.min())) / half_life
            raise ValueError(
                f"Rows and log span {n_half_lives:,.0f} times the half-life of {half_life / 1e9:g} s, and no more than "
                f"{2 * MOST_HALF_LIVES} can be represented. Take a longer `half_life`, or less of the log."
            )


def decays_of(half_lives: Sequence[int | None], times: np.ndarray) -> list[Decay]:
    """Return a decay per half-life, for events at these times.

    If the events span too many half-lives, the decay covers the last ones.
    """
    first, last = (int(times.min()), int(times.max())) if len(times) else (0, 0)
    middle = first + (last - first) // 2
    decays = []
    for half_life in half_lives:
        if half_life is None or last - first <= 2 * MOST_HALF_LIVES * half_life:
            decays.append(Decay(half_life, middle))
        else:
            reference = last - MOST_HALF_LIVES * half_life
            decays.append(Decay(half_life, reference, valid_from=reference - MOST_HALF_LIVES * half_life))
    return decays
