"""Point-in-time features: from sums over past events to counts, rates and the time since the last event."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextlib import nullcontext
from functools import cached_property, reduce

import numpy as np
import pandas as pd

from sklearn_fsmd.history.decay import decays_of
from sklearn_fsmd.history.engine import Engine, open_engine
from sklearn_fsmd.history.freshness import Freshness
from sklearn_fsmd.history.last import newest
from sklearn_fsmd.history.log import EventLog, Key
from sklearn_fsmd.history.part import ALL, Part
from sklearn_fsmd.history.spec import FeatureSpec
from sklearn_fsmd.history.times import NO_EVENT

FEW_ROWS, FEW_OF_LOG, SMALL_LOG = 100, 0.001, 100_000
"""Query rows are looked up in memory if there are at most `FEW_ROWS`, or `FEW_OF_LOG` times the events of the log, or
if the log has at most `SMALL_LOG` events. Otherwise the engine computes them."""
MERGED = 3
"""New events are merged with the last part of the log if it has at most this many times their number of events."""

EncodedRows = Sequence[tuple[Part, Sequence[np.ndarray]]]
"""Query rows: the parts of the log in which they are looked up, each with the codes of the rows in that part."""


class Past:
    """Point-in-time features of any query rows, computed from a log.

    New events become a part of their own, which is merged with the part before it if that has at most `MERGED` times
    as many events. So an update costs as much as its events, and occasionally as much as some earlier parts. There are
    few parts, and their sums are added [1]_.

    The overall rates count all events that are known at a row, without decay.

    References
    ----------
    .. [1] J. L. Bentley, J. B. Saxe, "Decomposable Searching Problems I: Static-to-Dynamic Transformation", Journal of
       Algorithms 1(4), 1980.
    """

    def __init__(self, log: EventLog, spec: FeatureSpec, n_threads: int | None) -> None:
        self.spec, self.n_threads = spec, n_threads
        self.decays = decays_of(spec.half_lives, log.times)
        self.no_decay = decays_of([None], log.times)[0]
        self.parts = [self._part(log)]

    def _part(self, log: EventLog) -> Part:
        return Part(log, self.spec.parents, self.decays, self.no_decay)

    def __len__(self) -> int:
        return sum(len(part.log) for part in self.parts)

    @cached_property
    def log(self) -> EventLog:
        """All events as one log."""
        logs = [part.log for part in reversed(self.parts)]
        return reduce(lambda later, log: log.followed_by(later), logs)  # from the end: large logs are copied once

    @cached_property
    def whole(self) -> Part:
        """All events as one part."""
        return self.parts[0] if len(self.parts) == 1 else self._part(self.log)

    @cached_property
    def freshness(self) -> Freshness:
        return Freshness([part.log.times for part in self.parts], self.spec.delay)

    @cached_property
    def cutoffs(self) -> dict[tuple[int, int], list[int]]:
        """See :meth:`FeatureSpec.cutoffs`."""
        last_known, last_possible = np.max([part.last_labels for part in self.parts], axis=0).tolist()
        return self.spec.cutoffs(self.spec.final_until(last_known, last_possible))

    def followed_by(self, new_events: EventLog) -> Past:
        """Return a copy with further events; this object does not change."""
        for part in self.parts:
            new_events.adopt_kinds(part.log)
        if not all(decay.covers(new_events.times) for decay in self.decays):
            return Past(self.log.followed_by(new_events), self.spec, self.n_threads)
        updated = copy.copy(self)
        updated.parts = list(self.parts)
        for cached in ("log", "whole", "freshness", "cutoffs"):
            updated.__dict__.pop(cached, None)
        last_part = new_events
        while updated.parts and len(updated.parts[-1].log) <= MERGED * len(last_part):
            last_part = updated.parts.pop().log.followed_by(last_part)
        updated.parts.append(self._part(last_part))
        updated.freshness.extend(self.freshness, new_events.times)
        return updated

    def encode(self, X: pd.DataFrame) -> EncodedRows:
        """Encode query rows for the parts in which they are looked up."""
        parts = self.parts if self._are_few(len(X)) else [self.whole]
        return [(part, part.log.encode(X)) for part in parts]

    def encoded_log(self) -> EncodedRows:
        """Return the rows of the log itself as query rows."""
        return [(self.whole, self.log.codes)]

    def features(self, times: np.ndarray, rows: EncodedRows) -> np.ndarray:
        """Compute the numeric features of query rows at these times, ``(n, features)`` float32.

        A rate is NaN if there are no labels, not even for the overall rate. The time since the last event is NaN if
        there is no event.
        """
        for decay in self.decays:
            decay.check_times(times)
        with nullcontext() if self._are_few(len(times)) else open_engine(self.n_threads) as engine:
            overall = self._rates(self._known_sums(ALL, times, rows, engine)[0][:, 0], None)
            blocks = [
                self._features_of_key(times, *self._known_sums(key, times, rows, engine), overall)
                for key in self.spec.keys
            ]
        return np.concatenate(blocks, axis=1) if blocks else np.empty((len(times), 0), np.float32)

    def _features_of_key(
        self, times: np.ndarray, sums: np.ndarray, last: np.ndarray, overall: np.ndarray
    ) -> np.ndarray:
        """Compute the features of a key, float32, from its sums, the time of its last event and the overall rates."""
        columns = []
        for d, decay in enumerate(self.decays):
            decayed = sums[:, d] * decay.factors(times)[:, None]
            columns.append(np.log1p(decayed[:, :1]) if self.spec.log else decayed[:, :1])
            # Without smoothing the factor cancels out; and long after the log it underflows to 0.
            columns.append(self._rates(decayed if self.spec.smoothing else sums[:, d], overall))
        seconds = np.where(last == NO_EVENT, np.nan, (times - last) / 1e9)
        columns.append(np.log1p(seconds)[:, None] if self.spec.log else seconds[:, None])
        return np.concatenate(columns, axis=1, dtype=np.float32)

    def lists(self, times: np.ndarray, rows: EncodedRows) -> list[np.ndarray]:
        """For each key, return the lists of the last items whose first target is 1, newest last, ``(n,)`` objects."""
        if not self.spec.last:
            return []
        until, n, columns = times - self.spec.delay_of(0), self.spec.last, []
        for key in self.spec.keys:
            items = [part.last_items(key, codes, until, n, str(self.spec.last_of)) for part, codes in rows]
            column = np.empty(len(times), dtype=object)
            column[:] = [newest(items_of_row, n) for items_of_row in zip(*items, strict=True)]
            columns.append(column)
        return columns

    def _known_sums(
        self, key: Key, times: np.ndarray, rows: EncodedRows, engine: Engine | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The sums over the events that are old enough at these times, and the time of the last such event."""
        sums, last = self._sums_until(key, times - self.spec.delay, rows, engine)
        n_outcomes = sums.shape[2] // 2
        for (delay, final), outcomes in self.cutoffs.items():
            columns = [first + j for first in (1, 1 + n_outcomes) for j in outcomes]  # their positives and trials
            until = np.minimum(times - delay, final)
            sums[:, :, columns] = self._sums_until(key, until, rows, engine)[0][:, :, columns]
        return sums, last

    @staticmethod
    def _sums_until(
        key: Key, until: np.ndarray, rows: EncodedRows, engine: Engine | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """:meth:`Part.sums_until` over all parts: the total sums, and the latest of the last times."""
        sums, last = zip(*[part.sums_until(key, codes, until, engine) for part, codes in rows], strict=True)
        return sum(sums[1:], start=sums[0]), reduce(np.maximum, last)

    def _are_few(self, n_rows: int) -> bool:
        return len(self) <= SMALL_LOG or n_rows <= max(FEW_ROWS, FEW_OF_LOG * len(self))

    def _rates(self, sums: np.ndarray, overall: np.ndarray | None) -> np.ndarray:
        """Compute the rate of each outcome, ``(n, outcomes)``, smoothed towards `overall` unless that is None."""
        positives, trials = np.split(sums[:, 1:], 2, axis=1)
        if overall is not None and self.spec.smoothing:
            positives, trials = positives + self.spec.smoothing * overall, trials + self.spec.smoothing
        return np.divide(positives, trials, out=np.full(positives.shape, np.nan), where=trials > 0)
