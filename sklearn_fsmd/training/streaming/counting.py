"""How often each value was seen, of vocabularies that may be larger than memory: DuckDB adds the counts up on disk."""

from __future__ import annotations

from typing import Any

import numpy as np

from sklearn_fsmd.encoding import Counts
from sklearn_fsmd.encoding.sources import Database

WAITING = 1 << 17
"""So many counts of a column stay in memory."""


class Counter(Database):
    """A database with a table of counts for each column that needs one.

    Parameters
    ----------
    n_threads : int or None for all that there are.
    """

    def __init__(self, n_threads: int | None) -> None:
        super().__init__("The values of the columns are counted", n_threads)
        self.n_tables = 0

    def table(self, kind: str) -> str:
        """A new table of values, of a type of SQL, and counts."""
        self.n_tables += 1
        self.execute(f"CREATE TABLE counts_{self.n_tables} (value {kind}, n BIGINT)")
        return f"counts_{self.n_tables}"


class CountsOnDisk(Counts):
    """The counts of one column: whole numbers and strings go to disk where they become many.

    Parameters
    ----------
    counter : where they go.
    """

    def __init__(self, counter: Counter) -> None:
        super().__init__()
        self.counter = counter
        self.waiting: list[Any] = []
        self.n_waiting = 0
        self.table: str | None = None
        self.added_up: str | None = None

    @property
    def kind(self) -> Any:
        known = [block[2] for block in (self.seen, *self.waiting) if block is not None and block[2] is not None]
        return None if not known else known[0] if len(set(known)) == 1 else "mixed values"

    def add(self, block: Any) -> None:
        self.waiting.append(block)
        self.n_waiting += len(block[0])
        if self.n_waiting > WAITING:
            self._merge()
            if len(self.found[0]) > WAITING // 4:
                self._write()

    def _merge(self) -> None:
        for block in self.waiting:
            super().add(block)
        self.waiting, self.n_waiting = [], 0

    def _write(self) -> None:
        """Move what was counted to disk, if it is of a type for that; the rest, which is unusual, stays in memory."""
        import pyarrow as pa

        values, counts, kind = self.found
        if kind not in ("numbers", "strings") or (kind == "numbers" and values.dtype != np.int64):
            return
        try:
            block = pa.table({"value": pa.array(values), "n": counts})
        except (UnicodeEncodeError, pa.ArrowInvalid):  # strings that are no Unicode
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
        asked = f"SELECT count(*) FILTER (n = 1), sum(n)::BIGINT FROM {self.added_up}"
        [(n_once, n)] = self.counter.execute(asked).fetchall()
        return n_once, n

    def frequent(self, least: int) -> np.ndarray:
        self._finish()
        if self.added_up is not None:
            self._read(least)
        return super().frequent(least)

    def _finish(self) -> None:
        """All has been counted: add up what is on disk, or in memory, if some of it has to stay there."""
        self._merge()
        if self.table is None:
            return
        self._write()
        parts, self.table, self.added_up = self.table, None, f"{self.table}_added_up"
        added_up = f"SELECT value, sum(n)::BIGINT AS n FROM {parts} GROUP BY value"
        self.counter.execute(f"CREATE TABLE {self.added_up} AS {added_up}")
        self.counter.execute(f"DROP TABLE {parts}")
        if len(self.found[0]):  # which may be equal to what could be written
            self._read()

    def _read(self, least: int = 1) -> None:
        """Take the values that were seen so often back to memory."""
        kind = self.found[2]
        found = self.counter.execute(f"SELECT value, n FROM {self.added_up} WHERE n >= {least:d}").fetchnumpy()
        self.counter.execute(f"DROP TABLE {self.added_up}")
        self.added_up = None
        values = np.asarray(found["value"], dtype=np.int64 if found["value"].dtype.kind == "i" else object)
        super().add((values, np.asarray(found["n"]), kind))
