"""How much later than the log rows may come and still be told as much as those of fit were."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from sklearn_fsmd.history.times import moment_of, text_of
from sklearn_fsmd.parameters import warn

HOUR = 3_600 * 10**9


class Freshness:
    """A row of fit knew all that had happened up to `delay` before it. One long after the last event knows less.

    Parameters
    ----------
    times : arrays of int64 nanoseconds, those of the events.
    delay : nanoseconds by which an event must be older than a row.
    """

    def __init__(self, times: Sequence[np.ndarray], delay: int) -> None:
        self.times, self.delay = times, delay

    @cached_property
    def last(self) -> int:
        """The time of the last event."""
        return max(int(of_part.max()) for of_part in self.times if len(of_part))

    @cached_property
    def longest_gap(self) -> int:
        """For how long nothing happened in the log, at most, such as at night; rows of the log came after that too."""
        return int(np.diff(np.sort(np.concatenate(self.times))).max(initial=0))

    def take_over(self, former: Freshness, times: np.ndarray) -> None:
        """Know what the log was before events at these `times` came, so that not all of it is gone through again."""
        self.last = max(former.last, int(times.max()))
        if "longest_gap" in vars(former) and times.min() >= former.last:
            between = int(times.min()) - former.last
            self.longest_gap = max(former.longest_gap, between, Freshness([times], self.delay).longest_gap)

    def warn_of_later(self, times: np.ndarray, *, has_zone: bool) -> None:
        """Warn of rows that come so late that events are missing."""
        if not (len(times) and any(map(len, self.times))) or times.max() - self.last <= self.delay:
            return
        late = times - self.last > self.delay + self.longest_gap
        if late.any():
            hours = -(-int(times.max() - self.last) // HOUR)
            enough = f"{hours}h" if hours < 24 else f"{-(-hours // 24)}D"
            warn(
                f"{late.sum():,} of {len(times):,} rows come more than delay={text_of(self.delay)!r} after the last "
                f"event that the history knows, of {moment_of(self.last, has_zone)}. In fit each row was told of all "
                "events up to `delay` before it; these are told of fewer, and predictions made from them are off. Add "
                f"the events in between by `update`, or fit with a `delay` as long as the history may be old: here "
                f"'{enough}'."
            )
