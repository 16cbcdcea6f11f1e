"""What was known of each row's key, for many rows: by DuckDB, in parallel, on disk where memory ends."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from sklearn_fsmd.encoding.sources import working_in
from sklearn_fsmd.history.decay import Decay
from sklearn_fsmd.history.times import NEVER

FEWER_ROWS = "Ask for fewer rows at once, or free memory. "


@contextmanager
def opened(n_threads: int | None) -> Iterator[Engine]:
    """An engine with `n_threads`, or all that there are, for as long as rows are told of their past.

    It is closed after that: a connection that stays open would end a process that is forked later.
    """
    import duckdb  # at the first use: it takes a tenth of a second, and scoring a row does without

    threads = {} if n_threads is None else {"threads": int(n_threads)}
    with (
        tempfile.TemporaryDirectory(prefix="sklearn-fsmd-", ignore_cleanup_errors=True) as folder,
        duckdb.connect(config={"temp_directory": folder, **threads}) as connection,
    ):
        yield Engine(connection, folder)


class Engine:
    """Sums over the events of a log, asked by key and time.

    Parameters
    ----------
    connection : of DuckDB.
    folder : where it works if memory ends.
    """

    def __init__(self, connection: Any, folder: str) -> None:
        self.connection, self.folder = connection, folder

    def known(
        self,
        times: np.ndarray,
        amounts: Sequence[np.ndarray],
        keys: np.ndarray,
        decays: Sequence[Decay],
        asked_keys: np.ndarray,
        before: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """The sums over the events of the same key up to the time `before`, and the time of the last of them.

        Parameters
        ----------
        times, amounts, keys : those of the events, ``(n,)``, ``(m, n)`` and ``(n,)``; the key 0 is none.
        decays : how an event fades; each gives sums of its own.
        asked_keys, before : ``(q,)``

        Returns
        -------
        sums : ``(q, len(decays), m)`` float64, as of the reference time of each decay.
        last : ``(q,)`` int64, the least number where there is no event.
        """
        n_amounts = len(amounts)
        log = {"t": times, "k": keys} | {f"a{i}": column for i, column in enumerate(amounts)}
        asked = {"i": np.arange(len(before)), "k": asked_keys, "t": before}
        names = [f"s{d}_{a}" for d in range(len(decays)) for a in range(n_amounts)]
        of_moments = [
            f"sum(a{a}::DOUBLE * {decay.weights_sql('t')}) AS s{d}_{a}"
            for d, decay in enumerate(decays)
            for a in range(n_amounts)
        ]
        query = f"""
            WITH moments AS (SELECT k, t, {", ".join(of_moments)} FROM log WHERE k > 0 GROUP BY k, t),
            upto AS (
                SELECT k, t, {", ".join(f"sum({name}) OVER past AS {name}" for name in names)} FROM moments
                WINDOW past AS (PARTITION BY k ORDER BY t ROWS UNBOUNDED PRECEDING)
            )
            SELECT asked.i, upto.t, {", ".join(f"upto.{name}" for name in names)}
            FROM asked ASOF JOIN upto ON asked.k = upto.k AND asked.t >= upto.t
            """
        self.connection.register("log", log)  # arrays, which are read where they are
        self.connection.register("asked", asked)
        with working_in(self.folder, "The past of each key is summed up", FEWER_ROWS):
            found: dict[str, Any] = self.connection.execute(query).fetchnumpy()
        rows = found["i"]
        sums = np.zeros((len(before), len(decays), n_amounts))
        for j, name in enumerate(names):
            sums[rows, j // n_amounts, j % n_amounts] = found[name]
        last = np.full(len(before), NEVER)
        last[rows] = found["t"]
        return sums, last
