"""The log of events: when, of whom, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from sklearn_fsmd.encoding import CategoryColumn, Targets, codes_of, events_of, shallow, warn_of_codes

Key = tuple[str, ...]
"""One column, or several whose values are taken together."""


class EventLog:
    """Events by the order in which they were given.

    Parameters
    ----------
    columns : the columns that keys consist of, and that of the last items.

    Attributes
    ----------
    vocabularies : of each column, a :class:`CategoryColumn`: values by value, whatever their type is called.
    codes : list of ``(n,)`` int32, those of each column; 0 where the value is missing.
    times : ``(n,)`` int64, nanoseconds.
    labels, observed : ``(n, K)``, float32 and bool.
    """

    def __init__(self, columns: Sequence[str]) -> None:
        self.columns = list(columns)
        self.vocabularies: list[CategoryColumn] = []
        self.codes: list[np.ndarray] = []
        self.times = np.empty(0, np.int64)
        self.labels, self.observed = np.empty((0, 0), np.float32), np.empty((0, 0), bool)

    @classmethod
    def from_frame(cls, columns: Sequence[str], X: pd.DataFrame, times: np.ndarray, targets: Targets) -> EventLog:
        """A log of these events."""
        made = cls(columns)
        made.vocabularies = [CategoryColumn(name) for name in made.columns]
        made.codes = [column.fit_encode(X[column.name]).astype(np.int32) for column in made.vocabularies]
        warn_of_codes([(column.name, column, X[column.name]) for column in made.vocabularies])
        made.times, made.labels = times, targets.labels
        made.observed = np.ones(targets.labels.shape, bool) if targets.weights is None else targets.weights > 0
        return made

    def __len__(self) -> int:
        return len(self.times)

    def take_kinds_of(self, earlier: EventLog) -> None:
        """Be a later part of a log, whose columns hold values of the same kinds.

        Raises
        ------
        ValueError
            If one holds numbers and held strings, or the other way round.
        """
        for own, before in zip(self.vocabularies, earlier.vocabularies, strict=True):
            before.unknown_of(own)  # which says if they are of another kind
            if before.kind == "mixed values":
                own.kind = before.kind

    def followed_by(self, later: EventLog) -> EventLog:
        """The events of both."""
        made, logs = EventLog(self.columns), (self, later)
        for i, (column, other) in enumerate(zip(self.vocabularies, later.vocabularies, strict=True)):
            both, new = shallow(column), column.unknown_of(other)
            if len(new):
                both.append(new, other.kind)
            moved = np.append(0, both.encode(pd.Series(other.values)))  # the codes of this log stay
            made.vocabularies.append(both)
            made.codes.append(np.concatenate([self.codes[i], moved[later.codes[i]].astype(np.int32)]))
        made.times = np.concatenate([log.times for log in logs])
        made.labels = np.concatenate([log.labels for log in logs])
        made.observed = np.concatenate([log.observed for log in logs])
        return made

    def encode(self, X: pd.DataFrame) -> list[np.ndarray]:
        """The codes of each column for other rows; 0 where the log does not know the value."""
        codes = []
        for column in self.vocabularies:
            values = X[column.name]
            of_few = codes_of(column, values)
            codes.append(column.encode(values) if of_few is None else of_few)
        return codes

    def combined(self, key: Key, codes: Sequence[np.ndarray]) -> np.ndarray:
        """One number for the values of a key, ``(n,)`` int64; 0 where one of them is missing or unknown.

        Raises
        ------
        ValueError
            If there are more combinations than numbers.
        """
        positions = [self.columns.index(name) for name in key]
        sizes = [self.vocabularies[i].n_rows for i in positions]
        if np.prod(np.array(sizes, dtype=np.float64)) >= 2.0**63:
            raise ValueError(f"The key {list(key)} has more combinations of values than can be counted.")
        combined = codes[positions[0]].astype(np.int64)
        for i, size in zip(positions[1:], sizes[1:], strict=True):
            combined = np.where((combined > 0) & (codes[i] > 0), combined * size + codes[i], 0)
        return combined


class Amounts:
    """What each event adds to the sums: 1, and for each outcome whether it came true and whether it could be seen.

    An outcome is a target, or a step given that its parent has happened. Equal columns are summed once.

    Attributes
    ----------
    columns : the distinct ones, `m` arrays ``(n,)`` of float32.
    places : the numbers of the columns by what they count: the events, what came true of each outcome, and what could.
    """

    def __init__(self, log: EventLog, parents: Sequence[int | None]) -> None:
        targets = Targets(log.labels, log.observed.astype(np.float32))
        self.columns = [np.ones(len(log), np.float32)]
        tried, positive = zip(*targets.outcomes(events_of(parents)), strict=True)
        self.places = [0, *map(self._place, positive), *map(self._place, tried)]

    def _place(self, column: np.ndarray) -> int:
        for i, known in enumerate(self.columns):
            if np.array_equal(known, column):
                return i
        self.columns.append(column)
        return len(self.columns) - 1
