"""The log of events: when, of whom, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from sklearn_fsmd.encoding import CategoryColumn, Targets, codes_of, events_of

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

    def __len__(self) -> int:
        return len(self.times)

    def add(self, X: pd.DataFrame, times: np.ndarray, targets: Targets) -> EventLog:
        """A log with these events too; this one stays as it is."""
        more = EventLog(self.columns)
        observed = np.ones(targets.labels.shape, bool) if targets.weights is None else targets.weights > 0
        for i, name in enumerate(self.columns):
            vocabulary = CategoryColumn(name)
            if self.vocabularies:
                vocabulary.update(pd.Series(self.vocabularies[i].values))
            vocabulary.update(X[name])
            vocabulary.finalize()
            codes = vocabulary.encode(X[name]).astype(np.int32)
            if self.vocabularies:  # the values of before have moved
                moved = np.append(0, vocabulary.encode(pd.Series(self.vocabularies[i].values))).astype(np.int32)
                codes = np.concatenate([moved[self.codes[i]], codes])
            more.vocabularies.append(vocabulary)
            more.codes.append(codes)
        n_tasks = targets.labels.shape[1]
        more.times = np.concatenate([self.times, times])
        more.labels = np.concatenate([self.labels.reshape(-1, n_tasks), targets.labels])
        more.observed = np.concatenate([self.observed.reshape(-1, n_tasks), observed])
        return more

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
    positive, tried : for each outcome the number of its column.
    """

    def __init__(self, log: EventLog, parents: Sequence[int | None]) -> None:
        targets = Targets(log.labels, log.observed.astype(np.float32))
        self.columns = [np.ones(len(log), np.float32)]
        self.positive: list[int] = []
        self.tried: list[int] = []
        for tried, positive in targets.outcomes(events_of(parents)):
            self.tried.append(self._place(tried))
            self.positive.append(self._place(positive))

    def _place(self, column: np.ndarray) -> int:
        for i, known in enumerate(self.columns):
            if np.array_equal(known, column):
                return i
        self.columns.append(column)
        return len(self.columns) - 1
