"""Scoring of Parquet files, in memory that does not grow with the file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from glob import has_magic
from pathlib import Path
from typing import Any

import numpy as np

from sklearn_fsmd.compose import apply_steps, fitted_model, split_pipeline
from sklearn_fsmd.encoding.columns import twice_in
from sklearn_fsmd.encoding.sources import LeftOut, batches_of, columns_of, located, open_parquet
from sklearn_fsmd.encoding.table import as_pandas
from sklearn_fsmd.estimators import MultiTaskClassifier
from sklearn_fsmd.metrics import check_count
from sklearn_fsmd.parameters import warn
from sklearn_fsmd.persistence import replacing
from sklearn_fsmd.ranking import exponents_of, listed, weighted_product

__all__ = ["score_file"]

BATCH_ROWS = 65_536
OTHER_FORMATS = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".feather", ".arrow", ".xlsx", ".pkl")
WITHOUT_MISSING = ("int", "uint", "bool")
"""Prefixes of the Arrow types that pandas converts to another dtype if a value is missing."""
OF_A_MODEL = " If a Pipeline makes that column, pass the Pipeline and not its model."
OF_A_PIPELINE = " If it is one of the `bias_features`, a column of nulls will do."


def score_file(
    model: Any,
    source: str | os.PathLike[str],
    sink: str | os.PathLike[str],
    *,
    keep: Sequence[str] = (),
    rank_weights: Sequence[float] | np.ndarray | Mapping[str, float] | None = None,
    conditionals: bool = False,
    as_shown: bool = False,
    batch_rows: int = BATCH_ROWS,
    resume: bool = False,
    on_error: str = "raise",
) -> int:
    """Score the rows of a Parquet file, and write the scores to another Parquet file, in the same order.

    The sink is written under a temporary name and renamed when it is complete. A call that is killed therefore leaves
    no incomplete sink, and the same call again gives the same file. So any pool of workers can score many files, one
    call per file.

    Parameters
    ----------
    model : a fitted classifier of this package, a Pipeline or a search that ends in one, or the path of a saved one.
    source : str or path of a Parquet file that has the columns of fit.
    sink : str or path
        The file to write. It has the columns `keep`, then ``p_<task>`` with the marginal probability of each binary
        target, ``expected_<value>`` for each target with values, and the columns that the parameters below add.
    keep : sequence of str, or str, default=()
        Columns of the source to copy, such as the ids of user and item.
    rank_weights : array-like of shape (n_tasks,) or (n_tasks + n_values,), or dict, default=None
        The exponents of a column ``rank_score``; a dict maps names to exponents. None writes no such column.
    conditionals : bool, default=False
        Whether to write ``p_<task>_given_<step>`` too, for each target that follows a step, such as pCVR for bidding.
    as_shown : bool, default=False
        Whether to predict each row for the position in its `bias_features`, as in `predict_marginals`. The source then
        needs these columns.
    batch_rows : int, default=65536
        Number of rows that are read, scored and written together.
    resume : bool, default=False
        Whether to skip the file if the sink exists, for a job over many files that was interrupted.
    on_error : {"raise", "skip"}, default="raise"
        What to do with a source that is damaged, has other columns, or has values that cannot be scored. "raise" raises
        an error; "skip" warns and writes nothing, for a job over many files. A missing source always is an error.

    Returns
    -------
    n_rows : int
        Number of rows that were written. It is 0 if the sink existed and `resume` is True, or if the source was
        skipped.

    Raises
    ------
    FileNotFoundError
        If there is no such source.
    ValueError
        If the source is no Parquet file, or a column is missing or cannot be read.
    TypeError
        If a column holds neither numbers nor categories, if `model` is no classifier of this package, or if `source`
        is no path.
    NotFittedError
        If `model` is not fitted.
    OSError
        If the sink cannot be written. A file of that name that existed before is unchanged then.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn_fsmd import FSMDClassifier
    >>> from sklearn_fsmd.datasets import make_funnel
    >>> from sklearn_fsmd.scoring import score_file
    >>> X, Y = make_funnel(500, random_state=0, return_X_y=True)
    >>> model = FSMDClassifier(max_epochs=1, random_state=0).fit(X, Y)
    >>> folder = tempfile.mkdtemp()
    >>> X.to_parquet(f"{folder}/in.parquet")
    >>> score_file(model, f"{folder}/in.parquet", f"{folder}/out.parquet", keep=["user_id"])
    500
    """
    if not isinstance(source, (str, os.PathLike)):
        raise TypeError(f"`source` is the path of one file; call `score_file` once per file. Got {source!r}.")
    skips, keep = LeftOut(on_error).skips, [keep] if isinstance(keep, str) else list(keep)
    check_count("batch_rows", batch_rows)
    if resume and Path(sink).is_file():
        return 0
    if isinstance(model, (str, os.PathLike)):
        model = MultiTaskClassifier.load(model)
    last = fitted_model(model).snapshot()  # so that training in another thread does not change the model within a file
    if os.path.realpath(source) == os.path.realpath(sink):
        raise ValueError(f"Source and sink are the same file, {source}. Name another sink.")
    if (ending := Path(sink).suffix.lower()) in OTHER_FORMATS:
        raise ValueError(f"{sink} would be a Parquet file, but its name ends in {ending}. Name it *.parquet.")
    if rank_weights is not None:
        n_tasks = len(last.task_names_)
        rank_weights = listed(rank_weights, last, "rank_weights")
        exponents_of(rank_weights, sorted({n_tasks, n_tasks + len(last.value_names_)}), "rank_weights")
    columns = _ScoreColumns(last, rank_weights, conditionals=conditionals, as_shown=as_shown)
    if twice := twice_in([*keep, *columns.names]):
        raise ValueError(
            f"The sink would have two columns named {twice[0]!r}. Leave it out of `keep`, or rename the target."
        )
    try:
        return _score(model, columns, source, sink, keep, batch_rows)
    except (TypeError, ValueError) as error:
        if not skips:
            raise
        warn(f"{source} is left out, and {sink} is not written: {error}")
        return 0


class _ScoreColumns:
    """The columns of scores in the sink; `model` is the model at the end of Pipelines and searches."""

    def __init__(self, model: Any, rank_weights: Any, *, conditionals: bool, as_shown: bool) -> None:
        self.model, self.rank_weights, self.as_shown = model, rank_weights, as_shown
        tasks, before = model.task_names_, model._steps_before if conditionals else ()
        self.with_parent = [k for k, parent in enumerate(before) if parent is not None]
        self.names = [f"p_{name}" for name in tasks]
        self.names += [f"p_{tasks[k]}_given_{tasks[before[k]]}" for k in self.with_parent]
        self.names += [f"expected_{name}" for name in model.value_names_]
        self.names += ["rank_score"] if rank_weights is not None else []

    def score(self, X: Any) -> list[np.ndarray]:
        return self._columns_of(self.model._marginals_and_values(X, as_shown=self.as_shown))

    def empty(self) -> list[np.ndarray]:
        """The columns of a file without rows, which have the same dtypes."""
        return self._columns_of(np.empty((0, len(self.model.task_names_) + len(self.model.value_names_)), np.float32))

    def _columns_of(self, predicted: np.ndarray) -> list[np.ndarray]:
        p, values = np.split(predicted, [len(self.model.task_names_)], axis=1)
        conditionals = self.model._conditionals_of(p)[:, self.with_parent].T if self.with_parent else ()
        columns = [*p.T, *conditionals, *values.T]
        if self.rank_weights is not None:
            factors = np.hstack((p, values.clip(min=0)))[:, : len(self.rank_weights)]
            columns.append(weighted_product(factors, self.rank_weights))
        return [np.ascontiguousarray(column) for column in columns]


def _score(model: Any, columns: _ScoreColumns, source: Any, sink: Any, keep: Sequence[str], batch_rows: int) -> int:
    """Score one file, after :func:`score_file` has checked its parameters."""
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    with _open(source) as file, replacing(sink, pa.ArrowException) as temporary:
        before, n_rows = split_pipeline(model)[0], 0
        first = before[0] if before else columns.model
        file_columns = [*columns_of(file.schema_arrow, str(source))]
        features = _columns_of_fit(first, file_columns, with_bias=columns.as_shown)
        _refuse_missing(file, keep, source, where=", which `keep` names")
        advice = OF_A_MODEL if not before else "" if columns.model.bias_features is None else OF_A_PIPELINE
        _refuse_missing(file, features, source, advice=advice)
        kept_fields = [file.schema_arrow.field(name) for name in keep]
        with_missing = _with_missing(file, features, batch_rows, source) if before else []
        score_fields = [
            pa.field(name, pa.array(column).type) for name, column in zip(columns.names, columns.empty(), strict=True)
        ]
        schema = pa.schema([*kept_fields, *score_fields])
        with ParquetWriter(temporary, schema.remove_metadata()) as writer:
            for batch in _batches(file, batch_rows, list(dict.fromkeys([*features, *keep])), source):
                counted = ", here counted from 0" if n_rows else ""
                with _located(f"{source}, rows {n_rows} to {n_rows + batch.num_rows - 1}{counted}"):
                    X = apply_steps(_frame(batch.select(features), bool(before), with_missing), before)
                    scores = [pa.array(column) for column in columns.score(X)]
                copied = [batch.column(name) for name in keep]
                writer.write_batch(pa.record_batch([*copied, *scores], schema=writer.schema))
                n_rows += batch.num_rows
    return n_rows


@contextmanager
def _located(where: str) -> Iterator[None]:
    """As `located`, also for errors of a step of a Pipeline that would be taken for errors of the sink."""
    try:
        with located(where):
            yield
    except (KeyError, OSError) as error:  # such as a missing column, or a file that the step reads
        raise ValueError(f"{where}: a step before the model raised {type(error).__name__}: {error}") from error


def _batches(file: Any, size: int, columns: list[str], source: Any) -> Iterator[Any]:
    """Yield the rows of the source; an error names the source, not the sink that is open at the time."""
    batches = batches_of(file, size, columns=columns)
    while True:
        try:
            batch = next(batches, None)
        except MemoryError:
            raise
        except Exception as error:  # damaged pages raise errors of several kinds
            raise ValueError(f"{source} cannot be read: {error}.") from error
        if batch is None:
            return
        yield batch


def _frame(batch: Any, has_steps: bool, with_missing: Sequence[str]) -> Any:
    """Convert a batch for the model. The steps of a Pipeline get the dtypes that pandas gives to the whole file.

    So if a column of the file has missing values, its integers become floats and its booleans objects, also in batches
    without a missing value.
    """
    import pyarrow as pa

    table = pa.Table.from_batches([batch])
    if not has_steps:
        return as_pandas(table.replace_schema_metadata())
    frame = table.to_pandas()
    if frame.index.names != [None]:  # a column that was the index when the file was written
        frame = frame.reset_index()[table.column_names]
    dtypes = {name: frame[name].dtype for name in with_missing}
    kinds = {name: dtype.kind for name, dtype in dtypes.items() if isinstance(dtype, np.dtype) and dtype.kind in "biu"}
    return frame.astype({name: object if kind == "b" else float for name, kind in kinds.items()})


def _with_missing(file: Any, columns: Sequence[str], batch_rows: int, source: Any) -> list[str]:
    """Which columns of integers or booleans have a missing value anywhere in the file."""
    types = {name: file.schema_arrow.field(name).type for name in columns}
    with_missing: set[str] = set()
    candidates = [name for name, kind in types.items() if str(kind).startswith(WITHOUT_MISSING)]
    for batch in _batches(file, batch_rows, candidates, source):
        with_missing |= {name for name in batch.schema.names if batch.column(name).null_count}
    return sorted(with_missing)


def _columns_of_fit(first: Any, file_columns: Sequence[str], *, with_bias: bool) -> list[str]:
    """The columns that a model or a Pipeline needs; all columns of the file, if the first step has no names of columns.

    A model needs its `bias_features` only `with_bias`.
    """
    names = getattr(first, "feature_names_in_", None)
    if names is None and hasattr(first, "steps"):
        return list(file_columns)
    if names is None:
        raise ValueError(
            "The model was fitted without names of columns, or with names that are no strings. Fit it on a DataFrame "
            "with the names of the file."
        )
    encoder = getattr(first, "_encoder", None)
    bias = set() if encoder is None or with_bias else set(np.asarray(names)[encoder.is_bias])
    return [name for name in names if name not in bias]


def _refuse_missing(file: Any, names: Sequence[str], source: Any, *, where: str = "", advice: str = "") -> None:
    columns = set(file.schema_arrow.names)
    if missing := [name for name in names if name not in columns]:
        raise ValueError(f"{source} has no column {missing[0]!r}{where}. It has {sorted(columns)}.{advice}")


def _open(source: Any) -> Any:
    if not Path(source).exists():
        one = " A glob has several: call `score_file` once per file." if has_magic(os.fspath(source)) else ""
        raise FileNotFoundError(f"There is no file {source}.{one}")
    try:
        return open_parquet(source)
    except Exception as error:
        raise ValueError(f"{source} cannot be read as a Parquet file: {error}.") from error
