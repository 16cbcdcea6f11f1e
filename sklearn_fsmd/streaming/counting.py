"""How often each value was seen, of vocabularies that may be larger than memory: DuckDB adds the counts up on disk."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from sklearn_fsmd.encoding import Counts
from sklearn_fsmd.runtime import memory_of

WAITING = 1 << 17
"""So many counts of a column stay in memory."""
LARGEST_MEMORY = 2**31
"""DuckDB has a quarter of the machine's memory, and no more bytes than these."""


class Counter:
    """A database in a temporary folder, which is removed with this object.

    Parameters
    ----------
    n_threads : int or None for all that there are.
    """

    def __init__(self, n_threads: int | None) -> None:
        self.folder = tempfile.mkdtemp(prefix="sklearn-fsmd-")
        weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        self.n_threads, self.n_tables = n_threads, 0
        self.opened: Any = None

    @property
    def connection(self) -> Any:
        """The database, which is opened when the first column does not fit into memory."""
        if self.opened is None:
            import duckdb

            memory = int(min(memory_of("cpu") / 4, LARGEST_MEMORY) / 2**20)
            config: dict[str, Any] = {"temp_directory": self.folder, "memory_limit": f"{memory}MB"}
            if self.n_threads is not None:
                config["threads"] = self.n_threads
            self.opened = duckdb.connect(str(Path(self.folder) / "counts.duckdb"), config=config)
        return self.opened

    def execute(self, query: str) -> Any:
        """Run a query.

        Raises
        ------
        OSError
            If the folder cannot be written, such as on a full disk.
        """
        import duckdb

        try:
            return self.connection.execute(query)
        except duckdb.Error as error:
            reason = str(error).splitlines()[0]
            raise OSError(
                f"The values of the columns are counted in {self.folder}, and that failed: {reason} Make room on that "
                "disk, or name a folder with more by the environment variable TMPDIR."
            ) from error

    def table(self, kind: str) -> str:
        """A new table of values, of a type of SQL, and counts."""
        self.n_tables += 1
        self.execute(f"CREATE TABLE counts_{self.n_tables} (value {kind}, n BIGINT)")
        return f"counts_{self.n_tables}"

    def close(self) -> None:
        """Close the database and remove it."""
        if self.opened is not None:
            with suppress(Exception):  # on a full disk it cannot write its last page, which nobody needs
                self.opened.close()
        shutil.rmtree(self.folder, ignore_errors=True)


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

    @property
    def kind(self) -> Any:
        known = [block[2] for block in (self.seen, *self.waiting) if block is not None and block[2] is not None]
        return None if not known else known[0] if len(set(known)) == 1 else "mixed values"

    def add(self, block: Any) -> None:
        self.waiting.append(block)
        self.n_waiting += len(block[0])
        if self.n_waiting > WAITING:
            self._merge()
            if len(self.seen[0]) > WAITING // 4:  # type: ignore[index]
                self._write()

    def _merge(self) -> None:
        for block in self.waiting:
            super().add(block)
        self.waiting, self.n_waiting = [], 0

    def _write(self) -> None:
        """Move what was counted to disk, if it is of a type for that; the rest, which is unusual, stays in memory."""
        import pyarrow as pa

        values, counts, kind = self.seen  # type: ignore[misc]
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

    def frequent(self, min_frequency: int) -> np.ndarray:
        self._merge()
        if self.table is None:
            return super().frequent(min_frequency)
        self._write()
        values, _, kind = self.seen  # type: ignore[misc]
        enough = "" if len(values) else f" HAVING sum(n) >= {int(min_frequency)}"
        found = self.counter.execute(
            f"SELECT value, sum(n)::BIGINT AS n FROM {self.table} GROUP BY value{enough}"
        ).fetchnumpy()
        self.counter.execute(f"DROP TABLE {self.table}")
        values = np.asarray(found["value"], dtype=np.int64 if found["value"].dtype.kind == "i" else object)
        super().add((values, np.asarray(found["n"]), kind))
        return super().frequent(min_frequency)
