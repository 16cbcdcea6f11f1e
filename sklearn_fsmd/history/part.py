"""A part of a log, and what is made of it to be asked: sums by key and time, and lists of items."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sklearn_fsmd.history.decay import Decay
from sklearn_fsmd.history.engine import Engine
from sklearn_fsmd.history.index import Index
from sklearn_fsmd.history.last import LastItems
from sklearn_fsmd.history.log import Amounts, EventLog, Key

ALL: Key = ()
"""The key of all events, which tells the overall rates."""


class Part:
    """What the events of a log say of a row, whose codes are those of this log's vocabularies.

    Parameters
    ----------
    log : the events.
    parents : of each target, as in the link.
    decays : how events fade.
    forever : how those of `ALL` do not.
    """

    def __init__(
        self,
        log: EventLog,
        parents: Sequence[int | None],
        decays: Sequence[Decay],
        forever: Decay,
    ) -> None:
        self.log, self.decays, self.forever = log, decays, forever
        self.amounts = Amounts(log, parents)
        self.indices: dict[Key, Index] = {}
        self.items: dict[Key, LastItems] = {}

    def known(
        self, key: Key, codes: Sequence[np.ndarray], before: np.ndarray, engine: Engine | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The sums up to the time `before`, ``(n, decays, places)``, and the time of the last event, as by the engine.

        By an `engine` they are computed for these rows alone; else for all events once, and looked up.
        """
        asked = self._values(key, codes, len(before))
        decays = [self.forever] if key == ALL else self.decays
        if engine is not None:
            keys = self._values(key, self.log.codes, len(self.log))
            sums, last = engine.known(self.log.times, self.amounts.columns, keys, decays, asked, before)
        else:
            sums, last = self._index(key, decays).known(asked, before)
        return sums[:, :, self.amounts.places], last

    def last_items(
        self, key: Key, codes: Sequence[np.ndarray], before: np.ndarray, n: int, of: str
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """For each row the last `n` items, values of the column `of`, and their times."""
        if key not in self.items:
            log, place = self.log, self.log.columns.index(of)
            happened = (log.labels[:, 0] == 1) & log.observed[:, 0] & (log.codes[place] > 0)
            keys = self._values(key, log.codes, len(log))[happened]
            values = log.vocabularies[place].values.to_numpy()
            self.items[key] = LastItems(keys, log.times[happened], values[log.codes[place][happened] - 1])
        return self.items[key].before(self._values(key, codes, len(before)), before, n)

    def _values(self, key: Key, codes: Sequence[np.ndarray], n: int) -> np.ndarray:
        return np.ones(n, np.int64) if key == ALL else self.log.combined(key, codes)

    def _index(self, key: Key, decays: Sequence[Decay]) -> Index:
        if key not in self.indices:
            values = self._values(key, self.log.codes, len(self.log))
            self.indices[key] = Index(values, self.log.times, self.amounts.columns, decays)
        return self.indices[key]
