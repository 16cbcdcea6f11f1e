"""A part of a log, with the sums by key and time and the last items that are computed from it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from sklearn_fsmd.history.decay import Decay
from sklearn_fsmd.history.engine import Engine
from sklearn_fsmd.history.index import Index
from sklearn_fsmd.history.last import LastItems
from sklearn_fsmd.history.log import Amounts, EventLog, Key

ALL: Key = ()
"""The key that all events share, for the overall rates."""


class Part:
    """A part of a log, which query rows look up by codes of its vocabularies.

    Indices are built when they are first needed.

    Parameters
    ----------
    log : the events.
    parents : the parent of each target, as in the link.
    decays : the decays of the keys.
    no_decay : the decay of `ALL`, without a half-life.
    """

    def __init__(
        self,
        log: EventLog,
        parents: Sequence[int | None],
        decays: Sequence[Decay],
        no_decay: Decay,
    ) -> None:
        self.log, self.parents, self.decays, self.no_decay = log, parents, decays, no_decay
        self.amounts = Amounts(log, parents)
        self.indices: dict[Key, Index] = {}
        self.items: dict[Key, LastItems] = {}

    @cached_property
    def last_labels(self) -> tuple[list[int], list[int]]:
        """See :meth:`EventLog.last_labels`; computed once, since later updates do not change this part."""
        return self.log.last_labels(self.parents)

    def sums_until(
        self, key: Key, codes: Sequence[np.ndarray], times: np.ndarray, engine: Engine | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """For each query row, return the sums over events of its key up to its time, and the last event's time.

        The `engine`, if there is one, computes the sums of these rows only. Otherwise an index of all events is built
        once, and the sums are looked up.

        Returns
        -------
        sums : ``(n, decays, 1 + 2 · outcomes)``: number of events, positives and trials of each outcome.
        last : ``(n,)`` int64, as in :meth:`Engine.sums_until`.
        """
        keys = self._key_codes(key, codes, len(times))
        decays = [self.no_decay] if key == ALL else self.decays
        if engine is not None:
            event_keys = self._key_codes(key, self.log.codes, len(self.log))
            sums, last = engine.sums_until(event_keys, self.log.times, self.amounts.columns, decays, keys, times)
        else:
            sums, last = self._index(key, decays).sums_until(keys, times)
        return sums[:, :, self.amounts.indices], last

    def last_items(
        self, key: Key, codes: Sequence[np.ndarray], times: np.ndarray, n: int, item_column: str
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """For each query row, return the last `n` items of its key up to its time, and their times."""
        if key not in self.items:
            log, column = self.log, self.log.columns.index(item_column)
            is_positive = (log.labels[:, 0] == 1) & log.observed[:, 0] & (log.codes[column] > 0)
            keys = self._key_codes(key, log.codes, len(log))[is_positive]
            values = log.vocabularies[column].values.to_numpy()
            items = values[log.codes[column][is_positive] - 1]
            self.items[key] = LastItems(keys, log.times[is_positive], items)
        return self.items[key].until(self._key_codes(key, codes, len(times)), times, n)

    def _key_codes(self, key: Key, codes: Sequence[np.ndarray], n: int) -> np.ndarray:
        return np.ones(n, np.int64) if key == ALL else self.log.key_codes(key, codes)

    def _index(self, key: Key, decays: Sequence[Decay]) -> Index:
        if key not in self.indices:
            keys = self._key_codes(key, self.log.codes, len(self.log))
            self.indices[key] = Index(keys, self.log.times, self.amounts.columns, decays)
        return self.indices[key]
