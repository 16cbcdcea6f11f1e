"""The last items of a key that came to something, before the time of each row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sklearn_fsmd.history.by_key import ByKey


class LastItems:
    """The items of positive events.

    Parameters
    ----------
    keys, times, items : ``(n,)``, those of the positive events; the key 0 is none.
    """

    def __init__(self, keys: np.ndarray, times: np.ndarray, items: np.ndarray) -> None:
        self.events = ByKey(keys, times)
        self.times, self.items = times[self.events.order], items[self.events.order]

    def before(self, keys: np.ndarray, times: np.ndarray, n: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """For each row its last `n` items up to its time, the newest last, and their times."""
        start, stop = self.events.until(keys, times)
        spans = zip(np.maximum(start, stop - n).tolist(), stop.tolist(), strict=True)
        return [(self.items[a:b], self.times[a:b]) for a, b in spans]


def newest(parts: Sequence[tuple[np.ndarray, np.ndarray]], n: int) -> list[object]:
    """The last `n` items of the parts of a log, by their times; of one moment those of a later part come after."""
    items = [item for of_part, _ in parts for item in of_part.tolist()]  # an array would make them all of one type
    if len(parts) == 1:
        return items
    order = np.argsort(np.concatenate([times for _, times in parts]), kind="stable")
    return [items[i] for i in order[-n:]]
