"""The past of each row of a log in files, for logs that are larger than memory."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from sklearn_fsmd.encoding import twice_in
from sklearn_fsmd.encoding.sources import ParquetSource, is_of
from sklearn_fsmd.history.beside import write_beside
from sklearn_fsmd.history.decay import decays_of
from sklearn_fsmd.history.events import Events
from sklearn_fsmd.history.features import HistoryFeatures, refuse_strange
from sklearn_fsmd.history.query import Query
from sklearn_fsmd.training.streaming import as_given, listed


def write_history(
    history: HistoryFeatures,
    source: Any,
    sink: str | os.PathLike[str],
    *,
    targets: Sequence[str],
    memory: str | None = None,
) -> int:
    """Write a log with the past of each of its rows, as :meth:`HistoryFeatures.fit_transform` tells it.

    The log is read from Parquet files and never held in memory: DuckDB sums its events up and sorts them, on disk where
    memory ends. The result is one Parquet file with the columns of the log, the targets among them, and the further
    ones; the rows are in the order of the files. A model is trained on it by ``fit_dataset``. To score new rows, fit
    `history` on as much of the latest log as fits into memory.

    Parameters
    ----------
    history : HistoryFeatures
        What is told; it need not be fitted, and is left as it is.
    source : str, path or list of these
        A Parquet file, a glob, a folder, or an fsspec URL. Several files must have the same columns.
    sink : str or path
        The file to write, which is not one of the log. It is there when it is complete, or not at all.
    targets : sequence of str, or str
        The columns that say what came of each event, in their order: 0, 1 or missing. The `value_targets` of `history`
        are left out.
    memory : str, default=None
        The most that DuckDB may take, such as "4GB"; None for a quarter of the machine's, and 2 GiB at the most.

    Returns
    -------
    n_rows : int

    Raises
    ------
    ValueError
        If a column is not there, a time is missing, a target is something else than 0 or 1, a file does not fit the
        first, `drop` names all columns, or `history` lists the last items, which is not done for files.
    TypeError
        If a key holds what is no category, such as dates.
    OSError
        If a file cannot be read, or `sink` cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> import pandas as pd
    >>> from sklearn_fsmd.history import HistoryFeatures, write_history
    >>> folder = tempfile.mkdtemp()
    >>> log = pd.DataFrame({"time": pd.date_range("2026-01-01", periods=3), "user": ["a", "a", "b"]})
    >>> log.assign(click=[1, 0, 1]).to_parquet(f"{folder}/log.parquet")
    >>> history = HistoryFeatures(keys=["user"], log=False)
    >>> write_history(history, f"{folder}/log.parquet", f"{folder}/past.parquet", targets=["click"])
    3
    >>> pd.read_parquet(f"{folder}/past.parquet")["user_events"].tolist()
    [0.0, 1.0, 0.0]
    """
    history._validate_params()
    if history.last:
        raise ValueError(f"last={history.last}: lists of the last items are not made for files. Set last=0.")
    if callable(source):
        raise TypeError(
            "`write_history` reads files: a path, a glob, a folder, a URL, or a list of these. Got a function."
        )
    log = ParquetSource(source)
    if is_of(sink, source, [footer.file for footer in log.footers]):
        raise ValueError(f"{sink} is one of the files of the log, or would be. Name another sink.")
    targets, drop = listed(as_given("targets", targets)), list(history.drop)
    keys = history._keys()
    columns = list(dict.fromkeys(name for key in keys for name in key))
    values = list(history.value_targets or ())
    named: dict[str, list[Any]] = {
        "time": [history.time],
        "keys": columns,
        "targets": targets,
        "drop": drop,
        "value_targets": values,
    }
    refuse_strange(named, log.columns, "the files")
    if not (kept := [name for name in log.columns if name not in drop]):
        raise ValueError("The 'drop' parameter names all columns of the files. Keep one.")
    if twice := twice_in(targets):
        raise ValueError(f"The 'targets' parameter names {twice[0]!r} twice.")
    targets = [name for name in targets if name not in values]
    if not keys or not targets:
        raise ValueError(f"The {'targets' if keys else 'keys'!r} parameter must name columns. Got none.")
    questions, spans = history._asked(targets)
    told = questions.names(targets, spans)
    if taken := [name for name in told if name in log.columns]:
        raise ValueError(f"The files have a column {taken[0]!r}, which is the name of one of the result. Rename it.")
    events = Events(history.time, history.unit, columns, targets, questions.parents, history.n_threads, memory)
    try:
        events.take(log)
        decays = decays_of(questions.half_lives, np.array(events.span))
        for decay in decays:
            decay.refuse_untold(np.array(events.span))
        query = Query(questions, decays, columns)
        with events.answers(query.text()) as past:
            write_beside(sink, log, kept, told, past)
    finally:
        events.close()
    return log.n_rows
