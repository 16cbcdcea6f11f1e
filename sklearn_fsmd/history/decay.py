"""How events fade: the weight of one is halved with every half-life that has passed since."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

MOST_HALF_LIVES = 1000
"""On each side of the reference time; the exponent of a float64 ends there."""


class Decay(NamedTuple):
    """A half-life in nanoseconds, None for no fading, and the time as of which weights are summed.

    An event at `t` weighs 2^((t − reference) / half_life) in the sums. What they are worth later is one factor for all.
    Events that lie too far back weigh 0; then nothing can be told of rows before `told_from`.
    """

    half_life: int | None
    reference: int
    told_from: int | None = None

    def weights(self, times: np.ndarray) -> np.ndarray:
        """What each event weighs in the sums."""
        if self.half_life is None:
            return np.ones(len(times))
        return np.exp2((times - self.reference) / self.half_life)

    def worth(self, times: np.ndarray) -> np.ndarray:
        """The factor that brings sums to these times."""
        if self.half_life is None:
            return np.ones(len(times))
        # Before the log there is no sum, and long after it the factor ends at 0.
        return np.exp2(((self.reference - times) / self.half_life).clip(max=MOST_HALF_LIVES))

    def weights_sql(self, time: str) -> str:
        """:meth:`weights` of events at `time`, in the language of DuckDB."""
        return "1" if self.half_life is None else f"pow(2.0, ({time} - {self.reference}) / {float(self.half_life)})"

    def worth_sql(self, time: str) -> str:
        """:meth:`worth` at `time`, in the language of DuckDB."""
        if self.half_life is None:
            return "1"
        return f"pow(2.0, least({MOST_HALF_LIVES}, ({self.reference} - {time}) / {float(self.half_life)}))"

    def can_tell(self, times: np.ndarray) -> bool:
        """Whether events at these times can be summed up with those that the reference time is of."""
        if self.half_life is None or not len(times):
            return True
        far = max(int(times.max()) - self.reference, self.reference - int(times.min()))
        return far <= MOST_HALF_LIVES * self.half_life

    def refuse_untold(self, times: np.ndarray) -> None:
        """Raise ValueError if there is a row at which events count that weigh 0 here."""
        if self.told_from is not None and len(times) and times.min() < self.told_from:
            half_life = self.half_life or 1
            spanned = 2 * MOST_HALF_LIVES + (self.told_from - int(times.min())) / half_life
            raise ValueError(
                f"Rows and log span {spanned:,.0f} times the half-life of {half_life / 1e9:g} s, and no more than "
                f"{2 * MOST_HALF_LIVES} can be told apart. Take a longer `half_life`, or less of the log."
            )


def decays_of(half_lives: Sequence[int | None], times: np.ndarray) -> list[Decay]:
    """Those of each half-life, for events at these times: where not all can be told apart, the last ones."""
    first, last = (int(times.min()), int(times.max())) if len(times) else (0, 0)
    middle = first + (last - first) // 2
    decays = []
    for half_life in half_lives:
        if half_life is None or last - first <= 2 * MOST_HALF_LIVES * half_life:
            decays.append(Decay(half_life, middle))
        else:
            reference = last - MOST_HALF_LIVES * half_life
            decays.append(Decay(half_life, reference, told_from=reference - MOST_HALF_LIVES * half_life))
    return decays
