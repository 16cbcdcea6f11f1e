"""Counts of the values of vocabularies that may be larger than memory: DuckDB adds them up on disk."""

from __future__ import annotations

from typing import Any

import numpy as np

from sklearn_fsmd.encoding.columns import Counts
from sklearn_fsmd.encoding.sources import Database

MAX_PENDING = 1 << 17
"""The number of new counts of a column that are held in memory before they are merged into the others."""


class Counter(Database):
    """A database with a table of counts for each column whose counts are on disk.

    Parameters
    ----------
    n_threads : int, or None for all threads of the machine.
    """

    def __init__(self, n_threads: int | None) -> None:
        super().__init__("The values of the columns are counted", n_threads)
        self.n_tables = 0

    def table(self, kind: str) -> str:
        """Create a table of counts of values of the SQL type `kind`, and return its name."""
        self.n_tables += 1
        self.execute(f"CREATE TABLE counts_{self.n_tables} (value {kind}, n BIGINT)")
        return f"counts_{self.n_tables}"


class CountsOnDisk(Counts):
    """The counts of one column; integers and strings are moved to disk when there are many.

    Parameters
    ----------
    counter : the database for them.
    """

    def __init__(self, counter: Counter) -> None:
        super().__init__()
        self.counter = counter
        self.pending: list[Any] = []
        self.n_pending = 0
        self.table: str | None = None
        self.added_up: str | None = None

    @property
    def kind(self) -> Any:
        kinds = [block[2] for block in (self.seen, *self.pending) if block is not None and block[2] is not None]
        return None if not kinds else kinds[0] if len(set(kinds)) == 1 else "mixed values"

    def add(self, block: Any) -> None:
        self.pending.append(block)
        self.n_pending += len(block[0])
        if self.n_pending > MAX_PENDING:
            self._merge()
            if len(self.found[0]) > MAX_PENDING // 4:
                self._write()

    def _merge(self) -> None:
        for block in self.pending:
            super().add(block)
        self.pending, self.n_pending = [], 0

    def _write(self) -> None:
        """Move the counts of integers or strings to disk; other values, which are rare, stay in memory."""
        import pyarrow as pa

        values, counts, kind = self.found
        if kind not in ("numbers", "strings") or (kind == "numbers" and values.dtype != np.int64):
            return
        try:
            block = pa.table({"value": pa.array(values), "n": counts})
        except (UnicodeEncodeError, pa.ArrowInvalid):  # strings that are not valid Unicode
            return
        self.table = self.table or self.counter.table("BIGINT" if kind == "numbers" else "VARCHAR")
        connection = self.counter.connection
        connection.register("block", block)
        self.counter.execute(f"INSERT INTO {self.table} SELECT value, n FROM block")
        connection.unregister("block")
        self.seen = values[:0], counts[:0], kind

    def totals(self) -> tuple[int, int]:
        self._finish()
        if self.added_up is None:
            return super().totals()
        query = f"SELECT count(*) FILTER (n = 1), sum(n)::BIGINT FROM {self.added_up}"
        [(n_once, n)] = self.counter.execute(query).fetchall()
        return n_once, n

    def frequent(self, least: int) -> np.ndarray:
        self._finish()
        if self.added_up is not None:
            self._read(least)
        return super().frequent(least)

    def _finish(self) -> None:
        """Add up all counts: on disk, or in memory if some of them have to stay there."""
        self._merge()
        if self.table is None:
            return
        self._write()
        partial_counts, self.table, self.added_up = self.table, None, f"{self.table}_added_up"
        added_up = f"SELECT value, sum(n)::BIGINT AS n FROM {partial_counts} GROUP BY value"
        self.counter.execute(f"CREATE TABLE {self.added_up} AS {added_up}")
        self.counter.execute(f"DROP TABLE {partial_counts}")
        if len(self.found[0]):  # values in memory may be equal to values on disk
            self._read()

    def _read(self, least: int = 1) -> None:
        """Move the counts of at least `least` back to memory."""
        kind = self.found[2]
        arrays = self.counter.execute(f"SELECT value, n FROM {self.added_up} WHERE n >= {least:d}").fetchnumpy()
        self.counter.execute(f"DROP TABLE {self.added_up}")
        self.added_up = None
        values = np.asarray(arrays["value"], dtype=np.int64 if arrays["value"].dtype.kind == "i" else object)
        super().add((values, np.asarray(arrays["n"]), kind))
