"""What was known of each row's key, for many rows: by DuckDB, in parallel, on disk where memory ends."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np

from sklearn_fsmd.history.decay import Decay
from sklearn_fsmd.streaming import working_in


class Engine:
    """Sums over the events of a log, asked by key and time.

    Parameters
    ----------
    times, amounts : those of the events, ``(n,)`` and ``(m, n)``.
    n_threads : int or None for all that there are.
    """

    def __init__(self, times: np.ndarray, amounts: Sequence[np.ndarray], n_threads: int | None) -> None:
        import duckdb  # at the first use: it takes a tenth of a second, and scoring a row does without

        self.folder = tempfile.mkdtemp(prefix="sklearn-fsmd-")  # what does not fit into memory goes there
        weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        self.connection = duckdb.connect(config={"temp_directory": self.folder})
        if n_threads is not None:
            self.connection.execute(f"SET threads = {int(n_threads)}")
        self.columns = {"t": times} | {f"a{i}": column for i, column in enumerate(amounts)}
        self.n_amounts = len(amounts)

    def known(
        self, keys: np.ndarray, decays: Sequence[Decay], asked_keys: np.ndarray, before: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The sums over the events of the same key up to the time `before`, and the time of the last of them.

        Parameters
        ----------
        keys : ``(n,)``, those of the events; 0 is no key.
        decays : how an event fades; each gives sums of its own.
        asked_keys, before : ``(q,)``

        Returns
        -------
        sums : ``(q, len(decays), m)`` float64, as of the reference time of each decay.
        last : ``(q,)`` int64, the least number where there is no event.
        """
        asked = {"i": np.arange(len(before)), "k": asked_keys, "t": before}
        names = [f"s{d}_{a}" for d in range(len(decays)) for a in range(self.n_amounts)]
        amounts = [
            f"sum(a{a}::DOUBLE{decay.sql('t')}) AS s{d}_{a}"
            for d, decay in enumerate(decays)
            for a in range(self.n_amounts)
        ]
        connection = self.connection.cursor()  # other threads may ask too
        connection.register("log", {**self.columns, "k": keys})  # arrays, which are read where they are
        connection.register("asked", asked)
        query = f"""
            WITH moments AS (SELECT k, t, {", ".join(amounts)} FROM log WHERE k > 0 GROUP BY k, t),
            upto AS (
                SELECT k, t, {", ".join(f"sum({name}) OVER past AS {name}" for name in names)} FROM moments
                WINDOW past AS (PARTITION BY k ORDER BY t ROWS UNBOUNDED PRECEDING)
            )
            SELECT asked.i, upto.t, {", ".join(f"upto.{name}" for name in names)}
            FROM asked ASOF JOIN upto ON asked.k = upto.k AND asked.t >= upto.t
            """
        with working_in(self.folder, "The past of each key is summed up"):
            found: dict[str, Any] = connection.execute(query).fetchnumpy()
        rows = found["i"]
        sums = np.zeros((len(before), len(decays), self.n_amounts))
        for j, name in enumerate(names):
            sums[rows, j // self.n_amounts, j % self.n_amounts] = found[name]
        last = np.full(len(before), np.iinfo(np.int64).min)
        last[rows] = found["t"]
        return sums, last
