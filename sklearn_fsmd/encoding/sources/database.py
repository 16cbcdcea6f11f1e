"""A DuckDB database in a temporary folder, for data that may be larger than memory."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from sklearn_fsmd.parameters.machine import memory_of

LARGEST_MEMORY = 2**31
"""Upper limit, in bytes, of the memory of DuckDB, which is a quarter of the machine's memory."""


@contextmanager
def working_in(folder: str, work: str, more_memory: str = "") -> Iterator[None]:
    """Convert errors of a database to errors that name its work and its folder.

    Raises
    ------
    OSError
        If the folder cannot be written, such as on a full disk, or the memory is not enough.
    """
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        reason = str(error).splitlines()[0].rstrip(".") + "."
        more = more_memory if isinstance(error, duckdb.OutOfMemoryException) else ""
        raise OSError(
            f"{work} in {folder}, and that failed: {reason} {more}Make room on that disk, or name a folder with more "
            "by the environment variable TMPDIR."
        ) from error


class Database:
    """A database that is created when it is first used; its folder is removed with this object.

    Parameters
    ----------
    work : the beginning of error messages, such as "The values of the columns are counted".
    n_threads : int, or None for all.
    memory : memory limit, such as "4GB"; None for a part of the machine's memory.
    """

    more_memory = ""
    """Hint of error messages on how to give it more memory."""

    def __init__(self, work: str, n_threads: int | None, memory: str | None = None) -> None:
        self.folder = tempfile.mkdtemp(prefix="sklearn-fsmd-")
        self._connections: list[Any] = []
        self._finalize = weakref.finalize(self, _remove, self.folder, self._connections, os.getpid())
        self.work, self.n_threads, self.memory = work, n_threads, memory

    @cached_property
    def connection(self) -> Any:
        import duckdb

        memory = self.memory or f"{int(min(memory_of('cpu') / 4, LARGEST_MEMORY) / 2**20)}MB"
        config: dict[str, Any] = {"temp_directory": self.folder, "memory_limit": memory}
        if self.n_threads is not None:
            config["threads"] = self.n_threads
        try:
            self._connections.append(duckdb.connect(str(Path(self.folder) / "rows.duckdb"), config=config))
        except duckdb.ParserException as error:
            raise ValueError(f"`memory` must be a size such as '4GB'. Got {self.memory!r}.") from error
        return self._connections[0]

    @contextmanager
    def working(self) -> Iterator[Any]:
        """Yield the connection.

        Raises
        ------
        OSError
            If the folder cannot be written, such as on a full disk, or the memory is not enough.
        """
        with working_in(self.folder, self.work, self.more_memory):
            yield self.connection

    def execute(self, query: str) -> Any:
        """Run a query; it raises the errors of :meth:`working`."""
        with self.working() as connection:
            return connection.execute(query)

    def close(self) -> None:
        """Close the database and remove it."""
        self._finalize()


def _remove(folder: str, connections: list[Any], owner: int) -> None:
    """Close the connections and remove the folder, unless this process is a fork of the one that created it."""
    if os.getpid() != owner:
        return
    for connection in connections:  # Windows does not remove open files
        with suppress(Exception):  # on a full disk it cannot write its last page, which is not needed
            connection.close()
    shutil.rmtree(folder, ignore_errors=True)
