"""Sums over the past events of a few query rows, or of a small log: sorted arrays in memory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from sklearn_fsmd.history.by_key import ByKey
from sklearn_fsmd.history.decay import Decay
from sklearn_fsmd.history.times import NO_EVENT


class Index:
    """The events of one key, sorted by value and time, with the running sums up to each event.

    Parameters
    ----------
    keys, times : ``(n,)``, of the events. A key of 0 is missing.
    amounts : ``(m, n)``, what each event adds to the sums.
    decays : the decays; each has its own sums.
    """

    def __init__(
        self, keys: np.ndarray, times: np.ndarray, amounts: Sequence[np.ndarray], decays: Sequence[Decay]
    ) -> None:
        self.events = ByKey(keys, times)
        self.times = times[self.events.order]
        self.sums = np.zeros((len(self.times), len(decays), len(amounts)))
        for d, decay in enumerate(decays):
            weights = decay.weights(self.times)
            for a, amount in enumerate(amounts):
                # One sum per key: differences of one running sum over all keys would lose small sums to rounding.
                weighted = pd.Series(amount[self.events.order] * weights)
                self.sums[:, d, a] = weighted.groupby(self.events.groups, sort=False).cumsum()

    def sums_until(self, keys: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As :meth:`Engine.sums_until`, for the events of this index."""
        sums = np.zeros((len(times), *self.sums.shape[1:]))
        last = np.full(len(times), NO_EVENT)
        start, stop = self.events.until(keys, times)
        with_events = np.flatnonzero(stop > start)
        latest = stop[with_events] - 1
        sums[with_events], last[with_events] = self.sums[latest], self.times[latest]
        return sums, last
