"""From sums over past events to numbers that a model reads: counts, rates, and how long ago."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property, reduce

import numpy as np
import pandas as pd

from sklearn_fsmd.encoding import events_of, twice_in
from sklearn_fsmd.history.decay import decays_of
from sklearn_fsmd.history.engine import Engine, opened
from sklearn_fsmd.history.freshness import Freshness
from sklearn_fsmd.history.last import newest
from sklearn_fsmd.history.log import EventLog, Key
from sklearn_fsmd.history.part import ALL, Part
from sklearn_fsmd.history.times import NEVER

FEW_ROWS, FEW_OF_LOG, SMALL_LOG = 100, 0.001, 100_000
"""Up to so many rows, or such a share of the log, are looked up in memory, and all rows by a log of so few events; more
are a query of the engine."""
MERGED = 3
"""New events are merged with the part before if that has at most so many times as many."""


Asked = Sequence[tuple[Part, Sequence[np.ndarray]]]
"""The parts of a log that are asked, and the codes of the rows in each."""


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
        if twice := twice_in(names):
            raise ValueError(f"Two columns of the result would be named {twice[0]!r}: name keys and half-lives once.")
        return names

    def list_names(self) -> list[str]:
        """Those of the columns of lists."""
        return [f"{'_x_'.join(map(str, key))}_last_{self.last_of}" for key in self.keys] if self.last else []


class Past:
    """The past by a log, for any rows.

    New events are a part of their own, merged with the part before where that has no more than `MERGED` times as many.
    So an update costs as much as its events and, now and then, those of a part; the parts are few, and their sums add
    up [1]_.

    The overall rates are those of all events known at a row, none of which fades.

    References
    ----------
    .. [1] J. L. Bentley, J. B. Saxe, "Decomposable Searching Problems I: Static-to-Dynamic Transformation", Journal of
       Algorithms 1(4), 1980.
    """

    def __init__(self, log: EventLog, questions: Questions, n_threads: int | None) -> None:
        self.questions, self.n_threads = questions, n_threads
        self.decays = decays_of(questions.half_lives, log.times)
        self.forever = decays_of([None], log.times)[0]
        self.parts = [self._part(log)]

    def _part(self, log: EventLog) -> Part:
        return Part(log, self.questions.parents, self.decays, self.forever)

    def __len__(self) -> int:
        return sum(len(part.log) for part in self.parts)

    @cached_property
    def log(self) -> EventLog:
        """All events."""
        logs = [part.log for part in reversed(self.parts)]
        return reduce(lambda later, log: log.followed_by(later), logs)  # from the end: the large ones are copied once

    @cached_property
    def whole(self) -> Part:
        """All events in one part."""
        return self.parts[0] if len(self.parts) == 1 else self._part(self.log)

    @cached_property
    def freshness(self) -> Freshness:
        return Freshness([part.log.times for part in self.parts], self.questions.delay)

    def followed_by(self, more: EventLog) -> Past:
        """The past with further events; this one stays as it is."""
        for part in self.parts:
            more.take_kinds_of(part.log)
        if not all(decay.can_tell(more.times) for decay in self.decays):
            return Past(self.log.followed_by(more), self.questions, self.n_threads)
        made, times = copy.copy(self), more.times
        made.parts = list(self.parts)
        for made_of_all in ("log", "whole", "freshness"):
            made.__dict__.pop(made_of_all, None)
        while made.parts and len(made.parts[-1].log) <= MERGED * len(more):
            more = made.parts.pop().log.followed_by(more)
        made.parts.append(self._part(more))
        made.freshness.take_over(self.freshness, times)
        return made

    def asked(self, X: pd.DataFrame) -> Asked:
        """The parts of the log that are asked about rows, and the codes of the rows there."""
        parts = self.parts if self._are_few(len(X)) else [self.whole]
        return [(part, part.log.encode(X)) for part in parts]

    def asked_itself(self) -> Asked:
        """The same of the rows of the log."""
        return [(self.whole, self.log.codes)]

    def columns(self, times: np.ndarray, asked: Asked) -> np.ndarray:
        """What was known at each of `times` of the keys of these rows, ``(n, columns)`` float32.

        A rate of which nothing is known at all, not even overall, is NaN; so are the seconds since no event.
        """
        for decay in self.decays:
            decay.refuse_untold(times)
        before = times - self.questions.delay
        with nullcontext() if self._are_few(len(times)) else opened(self.n_threads) as engine:
            rates = self._rates(self._known(ALL, before, asked, engine)[0][:, 0], None)
            columns = [
                self._of_key(times, *self._known(key, before, asked, engine), rates) for key in self.questions.keys
            ]
        return np.concatenate(columns, axis=1) if columns else np.empty((len(times), 0), np.float32)

    def _of_key(self, times: np.ndarray, sums: np.ndarray, last: np.ndarray, rates: np.ndarray) -> np.ndarray:
        """The columns of a key, float32, by its sums, the time of its last event, and the overall rates."""
        columns = []
        for d, decay in enumerate(self.decays):
            own = sums[:, d] * decay.worth(times)[:, None]
            columns.append(np.log1p(own[:, :1]) if self.questions.log else own[:, :1])
            # Without smoothing the factor cancels, and long after the log it is 0.
            columns.append(self._rates(own if self.questions.smoothing else sums[:, d], rates))
        since = np.where(last == NEVER, np.nan, (times - last) / 1e9)
        columns.append(np.log1p(since)[:, None] if self.questions.log else since[:, None])
        return np.concatenate(columns, axis=1, dtype=np.float32)

    def lists(self, times: np.ndarray, asked: Asked) -> list[np.ndarray]:
        """For each key the last items that came true in the first target, the newest last, ``(n,)`` objects."""
        if not self.questions.last:
            return []
        before, n, columns = times - self.questions.delay, self.questions.last, []
        for key in self.questions.keys:
            of_parts = [part.last_items(key, codes, before, n, str(self.questions.last_of)) for part, codes in asked]
            column = np.empty(len(times), dtype=object)
            column[:] = [newest(of_row, n) for of_row in zip(*of_parts, strict=True)]
            columns.append(column)
        return columns

    @staticmethod
    def _known(key: Key, before: np.ndarray, asked: Asked, engine: Engine | None) -> tuple[np.ndarray, np.ndarray]:
        """The sums of the events, of what came true and of what could, ``(n, decays, 1 + 2 · outcomes)``; the last."""
        of_parts = [part.known(key, codes, before, engine) for part, codes in asked]
        sums, last = zip(*of_parts, strict=True)
        return sum(sums[1:], start=sums[0]), reduce(np.maximum, last)

    def _are_few(self, n_rows: int) -> bool:
        return len(self) <= SMALL_LOG or n_rows <= max(FEW_ROWS, FEW_OF_LOG * len(self))

    def _rates(self, sums: np.ndarray, overall: np.ndarray | None) -> np.ndarray:
        """The rate of each outcome, ``(n, outcomes)``, smoothed towards `overall`, if that is given."""
        positive, tried = np.split(sums[:, 1:], 2, axis=1)
        if overall is not None and self.questions.smoothing:
            positive, tried = positive + self.questions.smoothing * overall, tried + self.questions.smoothing
        return np.divide(positive, tried, out=np.full(positive.shape, np.nan), where=tried > 0)
