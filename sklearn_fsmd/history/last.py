"""The last items of a key with a positive first target, before the time of each query row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sklearn_fsmd.history.by_key import ByKey


class LastItems:
    """The items of positive events, sorted by key and time.

    Parameters
    ----------
    keys, times, items : ``(n,)``, of the positive events. A key of 0 is missing.
    """

    def __init__(self, keys: np.ndarray, times: np.ndarray, items: np.ndarray) -> None:
        self.events = ByKey(keys, times)
        self.times, self.items = times[self.events.order], items[self.events.order]

    def until(self, keys: np.ndarray, times: np.ndarray, n: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """For each query row, return its last `n` items up to its time, the newest last, and their times."""
        start, stop = self.events.until(keys, times)
        ranges = zip(np.maximum(start, stop - n).tolist(), stop.tolist(), strict=True)
        return [(self.items[a:b], self.times[a:b]) for a, b in ranges]


def newest(parts: Sequence[tuple[np.ndarray, np.ndarray]], n: int) -> list[object]:
    """Merge the last items of the parts of a log, and return the last `n` by time.

    At equal times, items of a later part come last.
    """
    items = [item for part_items, _ in parts for item in part_items.tolist()]  # one array would unify their types
    if len(parts) == 1:
        return items
    order = np.argsort(np.concatenate([times for _, times in parts]), kind="stable")
    return [items[i] for i in order[-n:]]
