"""What was known of each row's key, for the rows of an online request or a small log: sorted arrays in memory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from sklearn_fsmd.history.by_key import ByKey
from sklearn_fsmd.history.decay import Decay
from sklearn_fsmd.history.times import NEVER


class Index:
    """The events of one key, sorted by its value and time, with the sums up to each of them.

    Parameters
    ----------
    keys, times : ``(n,)``; the key 0 is none.
    amounts : ``(m, n)``
    decays : as for the engine.
    """

    def __init__(
        self, keys: np.ndarray, times: np.ndarray, amounts: Sequence[np.ndarray], decays: Sequence[Decay]
    ) -> None:
        self.events = ByKey(keys, times)
        self.times = times[self.events.order]
        self.sums = np.zeros((len(self.times), len(decays), len(amounts)))
        for d, decay in enumerate(decays):
            weights = decay.weights(self.times)
            for a, amount in enumerate(amounts):  # key by key: a difference of sums over all would lose small ones
                own = pd.Series(amount[self.events.order] * weights)
                self.sums[:, d, a] = own.groupby(self.events.groups, sort=False).cumsum()

    def known(self, asked_keys: np.ndarray, before: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As :meth:`Engine.known`."""
        sums = np.zeros((len(before), *self.sums.shape[1:]))
        last = np.full(len(before), NEVER)
        start, stop = self.events.until(asked_keys, before)
        some = np.flatnonzero(stop > start)
        sums[some], last[some] = self.sums[stop[some] - 1], self.times[stop[some] - 1]
        return sums, last
