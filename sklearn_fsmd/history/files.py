"""History features of the rows of a log in files, for logs that are larger than memory."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from sklearn_fsmd.encoding.columns import twice_in
from sklearn_fsmd.encoding.sources import ParquetSource, is_of
from sklearn_fsmd.history.decay import decays_of
from sklearn_fsmd.history.events import EventTable
from sklearn_fsmd.history.features import HistoryFeatures, refuse_unknown_columns
from sklearn_fsmd.history.output import write_with_features
from sklearn_fsmd.history.query import Query
from sklearn_fsmd.history.spec import keys_of
from sklearn_fsmd.training.streaming import as_given, listed


def write_history(
    history: HistoryFeatures,
    source: Any,
    sink: str | os.PathLike[str],
    *,
    targets: Sequence[str],
    memory: str | None = None,
) -> int:
    """Add history features to a log in Parquet files.

    The features are those of :meth:`HistoryFeatures.fit_transform`. The log is never held in memory: DuckDB sorts and
    sums its events, on disk if memory runs out. The output is one Parquet file with the columns of the log, including
    the targets, and the features. Its rows are in the order of the files. Train a model on it with ``fit_dataset``. To
    score new rows, fit `history` on as much of the latest log as fits into memory.

    Parameters
    ----------
    history : HistoryFeatures
        The transformer whose parameters define the features. It need not be fitted, and does not change.
    source : str, path or list of these
        A Parquet file, a glob, a folder, or an fsspec URL. Several files must have the same columns.
    sink : str or path
        The file to write, which must not be a file of the log. It appears only when it is complete.
    targets : sequence of str, or str
        The columns of binary targets, in the order of the steps: 0, 1 or missing. The `value_targets` of `history` are
        left out.
    memory : str, default=None
        The most memory that DuckDB may use, such as "4GB". None is a quarter of the machine's, at most 2 GiB.

    Returns
    -------
    n_rows : int
        Number of rows that were written.

    Raises
    ------
    ValueError
        If a column does not exist, a time is missing, a target is not 0, 1 or missing or has no label at all, a file
        does not fit the first, `drop` names all columns, or `history` has `last` > 0, which is not supported for files.
    TypeError
        If a key does not hold categories but, for example, dates.
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
    if not isinstance(history, HistoryFeatures):
        raise TypeError(f"`history` must be a HistoryFeatures, whose parameters define the features. Got {history!r}.")
    history._validate_params()
    if history.last:
        raise ValueError(f"last={history.last}: lists of the last items are not supported for files. Set last=0.")
    if callable(source):
        raise TypeError(
            "`write_history` reads files: a path, a glob, a folder, a URL, or a list of these. Got a function."
        )
    log = ParquetSource(source)
    if is_of(sink, source, [footer.file for footer in log.footers]):
        raise ValueError(f"{sink} is one of the files of the log, or would become one. Choose another sink.")
    targets, drop = listed(as_given("targets", targets)), list(history.drop)
    keys = keys_of(history.keys)
    columns = list(dict.fromkeys(name for key in keys for name in key))
    values = list(history.value_targets or ())
    named: dict[str, list[Any]] = {
        "time": [history.time],
        "keys": columns,
        "targets": targets,
        "drop": drop,
        "value_targets": values,
    }
    refuse_unknown_columns(named, log.columns, "the files")
    if not (log_columns := [name for name in log.columns if name not in drop]):
        raise ValueError("The 'drop' parameter names all columns of the files. Keep one.")
    if twice := twice_in(targets):
        raise ValueError(f"The 'targets' parameter names {twice[0]!r} twice.")
    targets = [name for name in targets if name not in values]
    if not keys or not targets:
        raise ValueError(f"The {'targets' if keys else 'keys'!r} parameter must name columns. Got none.")
    spec, suffixes = history._feature_spec(targets)
    feature_names = spec.names(targets, suffixes)
    if duplicates := [name for name in feature_names if name in log.columns]:
        raise ValueError(
            f"The files have a column {duplicates[0]!r}, which is the name of a feature too. Rename it, or set "
            "`prefix`."
        )
    events = EventTable(history.time, history.unit, columns, targets, spec.parents, history.n_threads, memory)
    try:
        events.load(log)
        span = np.array(events.span)
        decays = decays_of(spec.half_lives, span)
        for decay in decays:
            decay.check_times(span)
        query = Query(spec, decays, columns, spec.final_until(*events.last_labels()))
        with events.result(query.text()) as batches:
            write_with_features(sink, log, log_columns, feature_names, batches)
    finally:
        events.close()
    return log.n_rows
