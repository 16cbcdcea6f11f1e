"""From sums over past events to numbers that a model reads: counts, rates, and how long ago."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sklearn_fsmd.encoding import events_of
from sklearn_fsmd.history.decay import decays_of
from sklearn_fsmd.history.engine import Engine
from sklearn_fsmd.history.freshness import Freshness
from sklearn_fsmd.history.index import Index
from sklearn_fsmd.history.last import LastItems
from sklearn_fsmd.history.log import Amounts, EventLog, Key

FEW_ROWS = 100
"""Up to so many rows are looked up in memory; more are a query of the engine."""

NEVER = np.iinfo(np.int64).min
ALL: Key = ()
"""The key of all events, which tells the overall rates."""


@dataclass(frozen=True)
class Questions:
    """What is to be told of each row.

    Parameters
    ----------
    keys : whose past.
    parents : of each target, as in the link.
    delay : nanoseconds by which an event must be older than the row, at least one.
    half_lives : nanoseconds, or None for no fading.
    smoothing : how many events of the overall rate are added.
    log : whether numbers of events and seconds are given as log(1 + x).
    last, last_of : how many of the last items are listed, and the column that they are values of; None for none.
    """

    keys: Sequence[Key]
    parents: Sequence[int | None]
    delay: int
    half_lives: Sequence[int | None]
    smoothing: float
    log: bool
    last: int = 0
    last_of: str | None = None

    def names(self, targets: Sequence[str], spans: Sequence[str]) -> list[str]:
        """Those of the columns; `spans` is what each half-life is called.

        Raises
        ------
        ValueError
            If two columns have the same name.
        """
        names = []
        for key in self.keys:
            start = "_x_".join(map(str, key))
            for span in spans:
                names.append(f"{start}_events{span}")
                for k, parent in events_of(self.parents):
                    given = "" if parent is None else f"_given_{targets[parent]}"
                    names.append(f"{start}_{targets[k]}{given}_rate{span}")
            names.append(f"{start}_seconds_since")
        if twice := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"Two columns of the result would be named {twice[0]!r}: name keys and half-lives once.")
        return names

    def list_names(self) -> list[str]:
        """Those of the columns of lists."""
        return [f"{'_x_'.join(map(str, key))}_last_{self.last_of}" for key in self.keys] if self.last else []


class Past:
    """The past by a log, for any rows.

    The overall rates are those of all events known at a row, none of which fades.
    """

    def __init__(self, log: EventLog, questions: Questions, n_threads: int | None) -> None:
        self.log, self.questions, self.n_threads = log, questions, n_threads
        self.amounts = Amounts(log, questions.parents)
        self.decays = decays_of(questions.half_lives, log.times)
        self.forever = decays_of([None], log.times)
        self.freshness = Freshness(log.times, questions.delay)
        self.indices: dict[Key, Index] = {}
        self.last_items: dict[Key, LastItems] = {}

    @cached_property
    def engine(self) -> Engine:
        return Engine(self.log.times, self.amounts.columns, self.n_threads)

    def columns(self, times: np.ndarray, codes: Sequence[np.ndarray]) -> np.ndarray:
        """What was known at each of `times` of the keys of `codes`, ``(n, columns)`` float32.

        A rate of which nothing is known at all, not even overall, is NaN; so are the seconds since no event.
        """
        for decay in self.decays:
            decay.refuse_untold(times)
        before = times - self.questions.delay
        rates = self._rates(self._known(ALL, before, codes)[0][:, 0], None)
        columns = []
        for key in self.questions.keys:
            sums, last = self._known(key, before, codes)
            for d, decay in enumerate(self.decays):
                own = sums[:, d] * decay.worth(times)[:, None]
                columns.append(np.log1p(own[:, :1]) if self.questions.log else own[:, :1])
                # Without smoothing the factor cancels, and long after the log it is 0.
                columns.append(self._rates(own if self.questions.smoothing else sums[:, d], rates))
            since = np.where(last == NEVER, np.nan, (times - last) / 1e9)
            columns.append(np.log1p(since)[:, None] if self.questions.log else since[:, None])
        return np.concatenate(columns, axis=1, dtype=np.float32) if columns else np.empty((len(times), 0), np.float32)

    def lists(self, times: np.ndarray, codes: Sequence[np.ndarray]) -> list[np.ndarray]:
        """For each key the last items that came true in the first target, the newest last, ``(n,)`` objects."""
        if not self.questions.last:
            return []
        before, columns = times - self.questions.delay, []
        for key in self.questions.keys:
            last = self._last_items(key)
            start, stop = last.before(self._values(key, codes, len(times)), before, self.questions.last)
            column = np.empty(len(times), dtype=object)
            column[:] = [last.items[a:b].tolist() for a, b in zip(start.tolist(), stop.tolist(), strict=True)]
            columns.append(column)
        return columns

    def _last_items(self, key: Key) -> LastItems:
        if key not in self.last_items:
            log = self.log
            place = log.columns.index(str(self.questions.last_of))
            happened = (log.labels[:, 0] == 1) & log.observed[:, 0] & (log.codes[place] > 0)
            keys = self._values(key, log.codes, len(log))[happened]
            values = log.vocabularies[place].values.to_numpy()
            self.last_items[key] = LastItems(keys, log.times[happened], values[log.codes[place][happened] - 1])
        return self.last_items[key]

    def _rates(self, sums: np.ndarray, overall: np.ndarray | None) -> np.ndarray:
        """The rate of each outcome, ``(n, outcomes)``, smoothed towards `overall`, if that is given."""
        positive, tried = sums[:, self.amounts.positive], sums[:, self.amounts.tried]
        if overall is not None and self.questions.smoothing:
            positive, tried = positive + self.questions.smoothing * overall, tried + self.questions.smoothing
        return np.divide(positive, tried, out=np.full(positive.shape, np.nan), where=tried > 0)

    def _known(self, key: Key, before: np.ndarray, codes: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        asked = self._values(key, codes, len(before))
        decays = self.forever if key == ALL else self.decays
        if len(before) <= FEW_ROWS:
            return self._index(key).known(asked, before)
        return self.engine.known(self._values(key, self.log.codes, len(self.log)), decays, asked, before)

    def _values(self, key: Key, codes: Sequence[np.ndarray], n: int) -> np.ndarray:
        return np.ones(n, np.int64) if key == ALL else self.log.combined(key, codes)

    def _index(self, key: Key) -> Index:
        if key not in self.indices:
            values = self._values(key, self.log.codes, len(self.log))
            decays = self.forever if key == ALL else self.decays
            self.indices[key] = Index(values, self.log.times, self.amounts.columns, decays)
        return self.indices[key]
