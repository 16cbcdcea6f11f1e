"""The log of events: their times, keys and labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from sklearn_fsmd.encoding.columns import CategoryColumn
from sklearn_fsmd.encoding.table import codes_of, shallow
from sklearn_fsmd.encoding.targets import Targets, events_of
from sklearn_fsmd.encoding.warnings import warn_of_codes
from sklearn_fsmd.history.times import NO_EVENT

Key = tuple[str, ...]
"""One column, or several columns whose values are combined."""


class EventLog:
    """Events in the order in which they were added. Fitted transformers store it in files and pickles.

    Parameters
    ----------
    columns : the columns of the keys and of the last items.

    Attributes
    ----------
    vocabularies : a :class:`CategoryColumn` per column; equal values have one code, whatever their dtype.
    codes : list of ``(n,)`` int32, one array per column; 0 for missing values.
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
        """Encode the rows of a DataFrame as a log."""
        log = cls(columns)
        log.vocabularies = [CategoryColumn(name) for name in log.columns]
        log.codes = [column.fit_encode(X[column.name]).astype(np.int32) for column in log.vocabularies]
        warn_of_codes([(column.name, column, X[column.name]) for column in log.vocabularies])
        log.times, log.labels = times, targets.labels
        log.observed = np.ones(targets.labels.shape, bool) if targets.weights is None else targets.weights > 0
        return log

    def __len__(self) -> int:
        return len(self.times)

    def adopt_kinds(self, earlier: EventLog) -> None:
        """Check that each column holds values of the same kind as in an earlier part of the log, and adopt that kind.

        Raises
        ------
        ValueError
            If a column holds numbers and held strings, or vice versa.
        """
        for column, earlier_column in zip(self.vocabularies, earlier.vocabularies, strict=True):
            earlier_column.unknown_of(column)  # raises for another kind
            if earlier_column.kind == "mixed values":
                column.kind = earlier_column.kind

    def followed_by(self, later: EventLog) -> EventLog:
        """Return a new log with the events of both."""
        merged, logs = EventLog(self.columns), (self, later)
        for i, (column, later_column) in enumerate(zip(self.vocabularies, later.vocabularies, strict=True)):
            vocabulary, new_values = shallow(column), column.unknown_of(later_column)
            if len(new_values):
                vocabulary.append(new_values, later_column.kind)
            # The codes of this log do not change; those of the later log are mapped to the merged vocabulary.
            mapping = np.append(0, vocabulary.encode(pd.Series(later_column.values)))
            merged.vocabularies.append(vocabulary)
            merged.codes.append(np.concatenate([self.codes[i], mapping[later.codes[i]].astype(np.int32)]))
        merged.times = np.concatenate([log.times for log in logs])
        merged.labels = np.concatenate([log.labels for log in logs])
        merged.observed = np.concatenate([log.observed for log in logs])
        return merged

    def last_labels(self, parents: Sequence[int | None]) -> tuple[list[int], list[int]]:
        """For each target, the times of the last events in which its parent has happened: with its label, and of all.

        NO_EVENT if there is none, or the target has no parent.
        """
        known, possible = [NO_EVENT] * len(parents), [NO_EVENT] * len(parents)
        for k, parent in enumerate(parents):
            if parent is not None:
                has_happened = self.observed[:, parent] & (self.labels[:, parent] == 1)
                known[k] = int(self.times[has_happened & self.observed[:, k]].max(initial=NO_EVENT))
                possible[k] = int(self.times[has_happened].max(initial=NO_EVENT))
        return known, possible

    def encode(self, X: pd.DataFrame) -> list[np.ndarray]:
        """Return the codes of each column for query rows; 0 for values that are not in the log."""
        codes = []
        for column in self.vocabularies:
            values = X[column.name]
            codes_of_few = codes_of(column, values)
            codes.append(column.encode(values) if codes_of_few is None else codes_of_few)
        return codes

    def key_codes(self, key: Key, codes: Sequence[np.ndarray]) -> np.ndarray:
        """Combine the codes of the columns of a key, ``(n,)`` int64; 0 if one of the values is missing or unknown.

        Raises
        ------
        ValueError
            If the combinations do not fit into int64.
        """
        indices, sizes = [self.columns.index(name) for name in key], self.sizes_of(key)
        combined = codes[indices[0]].astype(np.int64)
        for i, size in zip(indices[1:], sizes[1:], strict=True):
            combined = np.where((combined > 0) & (codes[i] > 0), combined * size + codes[i], 0)
        return combined

    def sizes_of(self, key: Key) -> list[int]:
        """Number of codes of each column of a key.

        Raises
        ------
        ValueError
            If their combinations do not fit into int64.
        """
        sizes = [self.vocabularies[self.columns.index(name)].n_rows for name in key]
        if np.prod(np.array(sizes, dtype=np.float64)) >= 2.0**63:
            raise ValueError(f"The key {list(key)} has more combinations of values than can be counted.")
        return sizes


class Amounts:
    """What each event adds to the sums: 1, and for each outcome whether it was positive and whether it is counted.

    An outcome is a target, or a step given that its parent has happened. Identical columns are stored and summed once.

    Attributes
    ----------
    columns : the `m` distinct columns, ``(n,)`` float32.
    indices : indices into `columns`: of the 1, the positives of each outcome, and the trials of each outcome.
    """

    def __init__(self, log: EventLog, parents: Sequence[int | None]) -> None:
        targets = Targets(log.labels, log.observed.astype(np.float32))
        self.columns = [np.ones(len(log), np.float32)]
        trials, positives = zip(*targets.outcomes(events_of(parents)), strict=True)
        self.indices = [0, *map(self._index_of, positives), *map(self._index_of, trials)]

    def _index_of(self, column: np.ndarray) -> int:
        """Return the index of a column, which is added if no equal one is there."""
        for i, stored in enumerate(self.columns):
            if np.array_equal(stored, column):
                return i
        self.columns.append(column)
        return len(self.columns) - 1
