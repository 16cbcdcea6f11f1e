"""Check that query rows do not come so long after the log that their features lack recent events."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from sklearn_fsmd.history.times import moment_of, text_of
from sklearn_fsmd.parameters import warn

HOUR = 3_600 * 10**9


class Freshness:
    """How recent a log is.

    The features of a row of fit contain all events up to `delay` before it. Those of a row long after the last event
    lack the events in between.

    Parameters
    ----------
    times : arrays of int64 nanoseconds, the times of the events.
    delay : minimum age in nanoseconds of an event that is counted for a row.
    """

    def __init__(self, times: Sequence[np.ndarray], delay: int) -> None:
        self.times, self.delay = times, delay

    @cached_property
    def last(self) -> int:
        """The time of the last event."""
        return max(int(times.max()) for times in self.times if len(times))

    @cached_property
    def longest_gap(self) -> int:
        """The longest time between two consecutive events, such as a night. Rows of fit came after such a gap too."""
        return int(np.diff(np.sort(np.concatenate(self.times))).max(initial=0))

    def extend(self, former: Freshness, times: np.ndarray) -> None:
        """Update the values of a `former` state by new events, so that the whole log need not be sorted again.

        `former` is the state before events at these `times` were added.
        """
        self.last = max(former.last, int(times.max()))
        if "longest_gap" in vars(former) and times.min() >= former.last:
            between = int(times.min()) - former.last
            self.longest_gap = max(former.longest_gap, between, Freshness([times], self.delay).longest_gap)

    def warn_of_late_rows(self, times: np.ndarray, *, has_zone: bool) -> None:
        """Warn of query rows that come too long after the last event."""
        if not (len(times) and any(map(len, self.times))) or times.max() - self.last <= self.delay:
            return
        late = times - self.last > self.delay + self.longest_gap
        if late.any():
            hours = -(-int(times.max() - self.last) // HOUR)
            enough = f"{hours}h" if hours < 24 else f"{-(-hours // 24)}D"
            warn(
                f"{late.sum():,} of {len(times):,} rows come more than delay={text_of(self.delay)!r} after the last "
                f"event of the history, of {moment_of(self.last, has_zone)}. In fit, the features of each row counted "
                "all events up to `delay` before it. Those of these rows lack the later events, so predictions from "
                "them are off. Add the events in between by `update`, or fit with a `delay`, for each target, of at "
                f"least the age that the history may have: here '{enough}'."
            )
