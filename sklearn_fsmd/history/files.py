"""The past of each row of a log in files, for logs that are larger than memory."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np

from sklearn_fsmd.encoding import shown, warn_of_contradictions
from sklearn_fsmd.history.decay import decays_of
from sklearn_fsmd.history.features import HistoryFeatures, refuse_strange
from sklearn_fsmd.history.query import Labels, Query, quoted
from sklearn_fsmd.history.times import UNITS
from sklearn_fsmd.persistence import replacing
from sklearn_fsmd.streaming import find_files

NUMBERS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "FLOAT", "DOUBLE"}
ROW_GROUP = 122_880
"""Rows of a row group of what is written: small ones can be mixed when a model is trained on the file."""


def write_history(
    history: HistoryFeatures,
    source: Any,
    sink: str | os.PathLike[str],
    *,
    targets: Sequence[str],
    memory: str | None = None,
) -> int:
    """Write a log with the past of each of its rows, as :meth:`HistoryFeatures.fit_transform` tells it.

    The log is read from Parquet files and never held in memory: DuckDB sums it up and sorts it, on disk where memory
    ends. The result is one Parquet file with the columns of the log, the targets among them, and the further ones; the
    rows are in the order of the files. A model is trained on it by ``fit_dataset``. To score new rows, fit `history`
    on as much of the latest log as fits into memory.

    Parameters
    ----------
    history : HistoryFeatures
        What is told; it need not be fitted, and is left as it is.
    source : str, path or list of these
        A Parquet file, a glob, a folder, or an fsspec URL.
    sink : str or path
        The file to write. It is there when it is complete, or not at all.
    targets : sequence of str
        The columns that say what came of each event, in their order: 0, 1 or missing.
    memory : str, default=None
        The most that DuckDB may take, such as "4GB"; None for what it takes by itself, most of the machine's.

    Returns
    -------
    n_rows : int

    Raises
    ------
    ValueError
        If a column is not there, a time is missing, a target is something else than 0 or 1, or `history` lists the
        last items, which is not done for files.
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
    import duckdb

    history._validate_params()
    if history.last:
        raise ValueError(f"last={history.last}: lists of the last items are not made for files. Set last=0.")
    files = find_files(source)
    with tempfile.TemporaryDirectory(prefix="sklearn-fsmd-") as folder:
        connection: Any = duckdb.connect(config={"temp_directory": folder})
        try:
            _configure(connection, history.n_threads, memory, files)
            with replacing(sink, duckdb.Error) as temporary:
                query = _query(connection, history, files, list(targets))
                how = f"(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP})"
                written = connection.execute(f"COPY ({query.text(history.drop)}) TO {_text(temporary)} {how}")
                return int(written.fetchone()[0])
        finally:
            connection.close()


def _configure(connection: Any, n_threads: int | None, memory: str | None, files: Sequence[Any]) -> None:
    if n_threads is not None:
        connection.execute(f"SET threads = {int(n_threads)}")
    if memory is not None:
        connection.execute(f"SET memory_limit = {_text(memory)}")
    for system in {id(file.system): file.system for file in files if file.system is not None}.values():
        connection.register_filesystem(system)


def _query(connection: Any, history: HistoryFeatures, files: Sequence[Any], targets: Sequence[str]) -> Query:
    """What is asked, once the log has been looked at.

    Raises
    ------
    ValueError
        If the log does not fit what is asked.
    """
    for file in files:
        file.open().close()  # which names a file that is none, or not whole
    names = [file.path if file.system is None else file.system.unstrip_protocol(file.path) for file in files]
    listed = f"[{', '.join(map(_text, names))}]"
    read = f"read_parquet({listed}, filename = true, file_row_number = true)"
    place = f"list_position({listed}, filename)::BIGINT * {2**40} + file_row_number"
    source = f"SELECT * EXCLUDE (filename, file_row_number), {place} AS _row FROM {read}"
    described = connection.execute(f"DESCRIBE SELECT * EXCLUDE (_row) FROM ({source})").fetchall()
    types = {name: kind for name, kind, *_ in described}
    keys = history._keys()
    in_keys = dict.fromkeys(str(name) for key in keys for name in key)
    named = {"time": [history.time], "keys": in_keys, "targets": targets, "drop": history.drop}
    refuse_strange(named, list(types), "the files")
    if not keys or not targets:
        raise ValueError(f"The {'targets' if keys else 'keys'!r} parameter must name columns. Got none.")
    time = _nanoseconds(history.time, types[history.time], history.unit)
    questions, spans = history._asked(targets)
    span = _look(connection, source, history.time, time, Labels(targets, questions.parents))
    query = Query(
        questions,
        decays_of(questions.half_lives, np.array(span)),
        questions.names(targets, spans),
        source,
        time,
        targets,
        {name: _value(name, types[name]) for name in in_keys},
    )
    if taken := [name for name in query.names if name in types]:
        raise ValueError(f"The files have a column {taken[0]!r}, which is the name of one of the result. Rename it.")
    return query


def _nanoseconds(column: str, kind: str, unit: str | None) -> str:
    """The time of a row in nanoseconds since 1970, in SQL."""
    name = quoted(column)
    if kind.startswith("TIMESTAMP") or kind == "DATE":
        return f"epoch_ns({name}::{kind if kind != 'DATE' else 'TIMESTAMP'})"
    if kind.removeprefix("U") not in NUMBERS:
        raise ValueError(f"Column {column!r} must hold datetimes or numbers, to tell the time. It is of type {kind}.")
    if unit is None:
        raise ValueError(f"Column {column!r} holds numbers: say in what `unit` they count, one of {list(UNITS)}.")
    return f"round({name} * {UNITS[unit]})::BIGINT"


def _look(connection: Any, source: str, column: str, time: str, labels: Labels) -> tuple[int, int]:
    """The first and the last time, by one pass over times and labels, which says what is wrong with these."""
    strange = [
        f"min(CASE WHEN {quoted(name)}::DOUBLE NOT IN (0, 1) THEN {quoted(name)} END)" for name in labels.targets
    ]
    odd = labels.contradictions()
    asked = ["count(*)", f"count({quoted(column)})", f"min({time})", f"max({time})", *strange, *odd.values()]
    found = connection.execute(f"SELECT {', '.join(asked)} FROM ({source})").fetchone()
    (n, n_known, first, last), found = found[:4], found[4:]
    if n == 0:
        raise ValueError("The files have no rows.")
    if n_known < n:
        raise ValueError(f"Column {column!r} has no time in {n - n_known:,} of {n:,} rows. Leave these rows out.")
    for name, value in zip(labels.targets, found, strict=False):
        if value is not None:
            raise ValueError(f"Column {name!r} must hold 0, 1 or nothing. Found {shown(value)}.")
    n_odd = {k: int(count) for k, count in zip(odd, found[len(strange) :], strict=True) if count}
    warn_of_contradictions(n_odd, n, labels.targets, labels.parents)
    return first, last


def _value(name: str, kind: str) -> str:
    """The value of a column of a key in SQL; NULL where it is missing."""
    value = quoted(name)
    return f"CASE WHEN isnan({value}) THEN NULL ELSE {value} END" if kind in ("FLOAT", "DOUBLE") else value


def _text(value: Any) -> str:
    """A string in SQL."""
    return "'" + str(value).replace("'", "''") + "'"
