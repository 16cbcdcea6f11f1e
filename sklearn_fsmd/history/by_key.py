"""Events sorted by key and time, to look up the events that precede a query row."""

from __future__ import annotations

import numpy as np


class ByKey:
    """Events sorted by the value of a key, then by time; events at the same time keep the order of the log.

    Parameters
    ----------
    keys, times : ``(n,)``, of the events. A key of 0 is missing.

    Attributes
    ----------
    order : indices of the events in sorted order, without the events whose key is missing.
    keys : the distinct values of the key, sorted.
    groups : for each sorted event, the index of its value in `keys`.
    times : the distinct times, sorted.
    ranks : for each sorted event one number, which increases by key and then by time.
    """

    def __init__(self, keys: np.ndarray, times: np.ndarray) -> None:
        with_key = np.flatnonzero(keys > 0)
        self.keys, groups = np.unique(keys[with_key], return_inverse=True)
        self.times, time_ranks = np.unique(times[with_key], return_inverse=True)
        ranks = groups * (len(self.times) + 1) + time_ranks
        order = np.argsort(ranks, kind="stable")
        self.order, self.groups, self.ranks = with_key[order], groups[order], ranks[order]

    def until(self, keys: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """For each query row, return the range ``start, stop`` of the sorted events of its key up to its time.

        The range is 0, 0 if the key is missing or has no events.
        """
        groups = self.keys.searchsorted(keys)
        has_events = (keys > 0) & (groups < len(self.keys))
        has_events[has_events] = self.keys[groups[has_events]] == keys[has_events]
        first = groups * (len(self.times) + 1)
        start = self.ranks.searchsorted(first)
        stop = self.ranks.searchsorted(first + self.times.searchsorted(times, side="right"))
        return np.where(has_events, start, 0), np.where(has_events, stop, 0)
