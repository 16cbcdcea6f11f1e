"""What was known of each row's key, for the few rows of an online request: sorted arrays in memory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from sklearn_fsmd.history.decay import Decay


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
        order = np.lexsort((times, keys))
        order = order[np.searchsorted(keys[order], 1) :]
        keys, self.times = keys[order], times[order]
        self.values, starts = np.unique(keys, return_index=True)
        self.starts = np.append(starts, len(keys))
        self.sums = np.zeros((len(keys), len(decays), len(amounts)))
        for d, decay in enumerate(decays):
            weights = decay.weights(self.times)
            for a, amount in enumerate(amounts):  # key by key: a difference of sums over all would lose small ones
                self.sums[:, d, a] = pd.Series(amount[order] * weights).groupby(keys, sort=False).cumsum()

    def known(self, asked_keys: np.ndarray, before: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As :meth:`Engine.known`."""
        sums = np.zeros((len(before), *self.sums.shape[1:]))
        last = np.full(len(before), np.iinfo(np.int64).min)
        for row, (key, time) in enumerate(zip(asked_keys.tolist(), before.tolist(), strict=True)):
            place = self.values.searchsorted(key)
            if key == 0 or place == len(self.values) or self.values[place] != key:
                continue
            start, stop = self.starts[place : place + 2]
            n = self.times[start:stop].searchsorted(time, side="right")
            if n:
                sums[row], last[row] = self.sums[start + n - 1], self.times[start + n - 1]
        return sums, last
