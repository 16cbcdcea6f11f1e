"""Sums over the past events of many query rows: by DuckDB, in parallel, and on disk if memory runs out."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from sklearn_fsmd.encoding.sources import working_in
from sklearn_fsmd.history.decay import Decay
from sklearn_fsmd.history.times import NO_EVENT

FEWER_ROWS = "Free memory; in `transform`, pass fewer rows at once. "


@contextmanager
def open_engine(n_threads: int | None) -> Iterator[Engine]:
    """Open an engine with `n_threads`, or all threads if None, and close it at the end of the block.

    A connection that stays open would terminate a process that is forked later.
    """
    import duckdb  # here, since the import takes a tenth of a second, and scoring a row does not need it

    threads = {} if n_threads is None else {"threads": int(n_threads)}
    with (
        tempfile.TemporaryDirectory(prefix="sklearn-fsmd-", ignore_cleanup_errors=True) as folder,
        duckdb.connect(config={"temp_directory": folder, **threads}) as connection,
    ):
        yield Engine(connection, folder)


class Engine:
    """Sums over the events of a log, by key and up to a time.

    Parameters
    ----------
    connection : DuckDB connection.
    folder : temporary folder of DuckDB, for work that does not fit into memory.
    """

    def __init__(self, connection: Any, folder: str) -> None:
        self.connection, self.folder = connection, folder

    def sums_until(
        self,
        event_keys: np.ndarray,
        event_times: np.ndarray,
        amounts: Sequence[np.ndarray],
        decays: Sequence[Decay],
        keys: np.ndarray,
        times: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """For each query row, return the sums over the events of its key up to its time, and the last event's time.

        Parameters
        ----------
        event_keys, event_times, amounts : of the events, ``(n,)``, ``(n,)`` and ``(m, n)``. A key of 0 is missing.
        decays : the decays; each has its own sums.
        keys, times : of the query rows, ``(q,)``. Events at the given time are included.

        Returns
        -------
        sums : ``(q, len(decays), m)`` float64, as of the reference time of each decay.
        last : ``(q,)`` int64; `NO_EVENT` if there is no event.
        """
        n_amounts = len(amounts)
        log = {"t": event_times, "k": event_keys} | {f"a{i}": column for i, column in enumerate(amounts)}
        queries = {"i": np.arange(len(times)), "k": keys, "t": times}
        names = [f"s{d}_{a}" for d in range(len(decays)) for a in range(n_amounts)]
        sums_at_time = [
            f"sum(a{a}::DOUBLE * {decay.weights_sql('t')}) AS s{d}_{a}"
            for d, decay in enumerate(decays)
            for a in range(n_amounts)
        ]
        query = f"""
            WITH at_time AS (SELECT k, t, {", ".join(sums_at_time)} FROM log WHERE k > 0 GROUP BY k, t),
            running AS (
                SELECT k, t, {", ".join(f"sum({name}) OVER past AS {name}" for name in names)} FROM at_time
                WINDOW past AS (PARTITION BY k ORDER BY t ROWS UNBOUNDED PRECEDING)
            )
            SELECT queries.i, running.t, {", ".join(f"running.{name}" for name in names)}
            FROM queries ASOF JOIN running ON queries.k = running.k AND queries.t >= running.t
            """
        self.connection.register("log", log)  # DuckDB reads the arrays without a copy
        self.connection.register("queries", queries)
        with working_in(self.folder, "The history features are computed", FEWER_ROWS):
            result: dict[str, Any] = self.connection.execute(query).fetchnumpy()
        rows = result["i"]
        sums = np.zeros((len(times), len(decays), n_amounts))
        for j, name in enumerate(names):
            sums[rows, j // n_amounts, j % n_amounts] = result[name]
        last = np.full(len(times), NO_EVENT)
        last[rows] = result["t"]
        return sums, last
