"""Events sorted by key and time: which of them each row may know."""

from __future__ import annotations

import numpy as np


class ByKey:
    """The events of a key, value by value and each in the order of time; those of one moment in the order of the log.

    Parameters
    ----------
    keys, times : ``(n,)``, those of the events; the key 0 is none.

    Attributes
    ----------
    order : which events these are, those without a key left out.
    keys : the values of the key, sorted.
    groups : for each event the place of its value among these.
    """

    def __init__(self, keys: np.ndarray, times: np.ndarray) -> None:
        known = np.flatnonzero(keys > 0)
        self.keys, groups = np.unique(keys[known], return_inverse=True)
        self.moments, ranks = np.unique(times[known], return_inverse=True)
        places = groups * (len(self.moments) + 1) + ranks
        order = np.argsort(places, kind="stable")
        self.order, self.groups, self.places = known[order], groups[order], places[order]

    def until(self, keys: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """For each row the span ``start, stop`` of the events of its key up to its time; 0, 0 where there are none."""
        groups = self.keys.searchsorted(keys)
        known = (keys > 0) & (groups < len(self.keys))
        known[known] = self.keys[groups[known]] == keys[known]
        first = groups * (len(self.moments) + 1)
        start = self.places.searchsorted(first)
        stop = self.places.searchsorted(first + self.moments.searchsorted(times, side="right"))
        return np.where(known, start, 0), np.where(known, stop, 0)
