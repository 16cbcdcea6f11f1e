"""The last items of a key that came to something, before the time of each row."""

from __future__ import annotations

import numpy as np


class LastItems:
    """The items of positive events, sorted by key and time; those of one moment in the order of the log.

    Parameters
    ----------
    keys, times, items : ``(n,)``, those of the positive events; the key 0 is none.
    """

    def __init__(self, keys: np.ndarray, times: np.ndarray, items: np.ndarray) -> None:
        known = keys > 0
        keys, times, items = keys[known], times[known], items[known]
        self.keys, groups = np.unique(keys, return_inverse=True)
        self.moments, ranks = np.unique(times, return_inverse=True)
        place = groups * (len(self.moments) + 1) + ranks
        order = np.argsort(place, kind="stable")
        self.places, self.items = place[order], items[order]

    def before(self, keys: np.ndarray, times: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
        """For each row the span ``start, stop`` of its last `n` items, up to these times, among `items`."""
        groups = self.keys.searchsorted(keys)
        known = (keys > 0) & (groups < len(self.keys))
        known[known] = self.keys[groups[known]] == keys[known]
        first = groups * (len(self.moments) + 1)
        stop = self.places.searchsorted(first + self.moments.searchsorted(times, side="right"))
        start = np.maximum(stop - n, self.places.searchsorted(first))
        return np.where(known, start, 0), np.where(known, stop, 0)
