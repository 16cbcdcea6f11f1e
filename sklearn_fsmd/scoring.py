"""Scoring files: Parquet in, Parquet out, in memory that does not grow with the file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sklearn_fsmd.compose import fitted_model, taken_apart, transformed
from sklearn_fsmd.encoding import as_pandas, twice_in
from sklearn_fsmd.encoding.sources import LeftOut, batches_of, columns_of, located
from sklearn_fsmd.estimators import MultiTaskClassifier
from sklearn_fsmd.metrics import check_count
from sklearn_fsmd.parameters import warn
from sklearn_fsmd.persistence import replacing
from sklearn_fsmd.ranking import exponents_of, listed, weighted_product

__all__ = ["score_file"]

BATCH_ROWS = 65_536
OTHER_FORMATS = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".feather", ".arrow", ".xlsx", ".pkl")
GAPLESS = ("int", "uint", "bool")
"""Types of Arrow whose values pandas holds as others where one is missing."""


def score_file(
    model: Any,
    source: str | os.PathLike[str],
    sink: str | os.PathLike[str],
    *,
    keep: Sequence[str] = (),
    rank_weights: Sequence[float] | np.ndarray | Mapping[str, float] | None = None,
    conditionals: bool = False,
    batch_rows: int = BATCH_ROWS,
    resume: bool = False,
    on_error: str = "raise",
) -> int:
    """Score the rows of a Parquet file, and write the scores to another, in the same order.

    The sink is written under a temporary name and renamed when it is complete. So a call that was killed leaves nothing
    behind that looks like a result, and calling it again gives the same file: many files can be scored by any pool of
    workers, one call per file.

    Parameters
    ----------
    model : a fitted estimator of this library, a Pipeline or a search that ends in one, or the path of a saved one.
    source : str or path of a Parquet file that has the columns of fit.
    sink : str or path, the file to write. It has the columns `keep`, then ``p_<task>`` for each binary target, its
        marginal probability, ``expected_<value>`` for each target with values, and what is asked for below.
    keep : sequence of str, or str, default=()
        Columns of the source to copy, such as the ids of user and item.
    rank_weights : array-like of shape (n_tasks,) or (n_tasks + n_values,), or dict, default=None
        The exponents of ``rank_score``, a dict has them by name; None writes none.
    conditionals : bool, default=False
        Whether to write ``p_<task>_given_<step>`` too, for each target that follows a step: pCVR, to bid by.
    batch_rows : int, default=65536
        Rows that are read, scored and written together.
    resume : bool, default=False
        Whether to leave a sink that exists as it is, for a job over many files that was interrupted.
    on_error : {"raise", "skip"}, default="raise"
        What is done with a source that is damaged, has other columns, or holds what cannot be scored. "raise" ends with
        an error; "skip" warns and writes nothing, for a job over many files. A source that is not there is an error.

    Returns
    -------
    n_rows : int, how many rows were written; 0 if the sink was there and `resume` is True, or the source was left out.

    Raises
    ------
    FileNotFoundError
        If there is no such source.
    ValueError
        If the source is no Parquet file, or a column is missing or cannot be read.
    TypeError
        If a column holds what is neither a number nor a category, or `model` is none of this library's classifiers.
    NotFittedError
        If `model` is not fitted.
    OSError
        If the sink cannot be written; what was there before is unchanged then.

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
    skips, keep = LeftOut(on_error).skips, [keep] if isinstance(keep, str) else list(keep)
    check_count("batch_rows", batch_rows)
    if resume and Path(sink).is_file():
        return 0
    if isinstance(model, (str, os.PathLike)):
        model = MultiTaskClassifier.load(model)
    own = fitted_model(model).snapshot()  # which training that goes on beside does not change: a file is of one model
    if os.path.realpath(source) == os.path.realpath(sink):
        raise ValueError(f"Source and sink are one file, {source}. Name another sink.")
    if (ending := Path(sink).suffix.lower()) in OTHER_FORMATS:
        raise ValueError(f"{sink} would hold Parquet, and its name says {ending}. Name it *.parquet.")
    if rank_weights is not None:
        n_tasks = len(own.task_names_)
        rank_weights = listed(rank_weights, own, "rank_weights")
        exponents_of(rank_weights, sorted({n_tasks, n_tasks + len(own.value_names_)}), "rank_weights")
    columns = _Columns(own, rank_weights, conditionals)
    if twice := twice_in([*keep, *columns.names]):
        raise ValueError(f"The sink would have two columns named {twice[0]!r}. Leave it out of `keep`.")
    try:
        return _score(model, columns, source, sink, keep, batch_rows)
    except (TypeError, ValueError, KeyError) as error:  # the last, of steps that miss a column
        if not skips:
            raise
        warn(f"{source} is left out, and {sink} is not written: {error}")
        return 0


class _Columns:
    """What is written of some rows, beside the columns that are kept; `model` is the one at the end."""

    def __init__(self, model: Any, rank_weights: Any, conditionals: bool) -> None:
        self.model, self.rank_weights = model, rank_weights
        tasks, before = model.task_names_, model._steps_before if conditionals else ()
        self.given = [k for k, parent in enumerate(before) if parent is not None]
        self.names = [f"p_{name}" for name in tasks]
        self.names += [f"p_{tasks[k]}_given_{tasks[before[k]]}" for k in self.given]
        self.names += [f"expected_{name}" for name in model.value_names_]
        self.names += ["rank_score"] if rank_weights is not None else []

    def scored(self, X: Any) -> list[np.ndarray]:
        return self._of(self.model._marginals_and_values(X))

    def of_no_rows(self) -> list[np.ndarray]:
        return self._of(np.empty((0, len(self.model.task_names_) + len(self.model.value_names_)), np.float32))

    def _of(self, predicted: np.ndarray) -> list[np.ndarray]:
        p, values = np.split(predicted, [len(self.model.task_names_)], axis=1)
        columns = [*p.T, *self.model._conditionals_of(p)[:, self.given].T, *values.T]
        if self.rank_weights is not None:
            factors = np.hstack((p, values.clip(min=0)))[:, : len(self.rank_weights)]
            columns.append(weighted_product(factors, self.rank_weights))
        return [np.ascontiguousarray(column) for column in columns]


def _score(model: Any, columns: _Columns, source: Any, sink: Any, keep: Sequence[str], batch_rows: int) -> int:
    """What :func:`score_file` does with one file, after its parameters are checked."""
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    with _opened(source) as file, replacing(sink, pa.ArrowException) as temporary:
        before, n_rows = taken_apart(model)[0], 0
        first = _refitted(model) if before else columns.model
        features = _columns_of_fit(first, [*columns_of(file.schema_arrow, str(source))])
        _refuse_missing(file, [*features, *keep], source)
        kept = [file.schema_arrow.field(name) for name in keep]
        with_gaps = _with_gaps(file, features, batch_rows, source) if before else []
        scores = zip(columns.names, columns.of_no_rows(), strict=True)
        schema = pa.schema([*kept, *(pa.field(name, pa.array(column).type) for name, column in scores)])
        with ParquetWriter(temporary, schema.remove_metadata()) as writer:
            for batch in _batches(file, batch_rows, list(dict.fromkeys([*features, *keep])), source):
                counted = ", here counted from 0" if n_rows else ""
                with located(f"{source}, rows {n_rows} to {n_rows + batch.num_rows - 1}{counted}"):
                    X = transformed(_frame(batch.select(features), bool(before), with_gaps), before)
                    scored = [pa.array(column) for column in columns.scored(X)]
                copied = [batch.column(name) for name in keep]
                writer.write_batch(pa.record_batch([*copied, *scored], schema=writer.schema))
                n_rows += batch.num_rows
    return n_rows


def _batches(file: Any, size: int, columns: list[str], source: Any) -> Iterator[Any]:
    """The rows of the source; what is wrong with these is not for the sink to say."""
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


def _frame(batch: Any, has_steps: bool, with_gaps: Sequence[str]) -> Any:
    """A batch as the model takes it. What stands before a model in a Pipeline gets what pandas reads from a file.

    Where the file has gaps, whole numbers are floats and truths objects, in a batch without gaps too.
    """
    import pyarrow as pa

    table = pa.Table.from_batches([batch])
    if not has_steps:
        return as_pandas(table.replace_schema_metadata())
    frame = table.to_pandas()
    if frame.index.names != [None]:  # a column that was the index when the file was written
        frame = frame.reset_index()[table.column_names]
    kinds = {name: frame[name].dtype for name in with_gaps}
    plain = {name: kind.kind for name, kind in kinds.items() if isinstance(kind, np.dtype) and kind.kind in "biu"}
    return frame.astype({name: object if kind == "b" else float for name, kind in plain.items()})


def _with_gaps(file: Any, columns: Sequence[str], batch_rows: int, source: Any) -> list[str]:
    """Which columns of whole numbers and truths have missing values anywhere in a file."""
    types = {name: file.schema_arrow.field(name).type for name in columns}
    found: set[str] = set()
    gapless = [name for name, kind in types.items() if str(kind).startswith(GAPLESS)]
    for batch in _batches(file, batch_rows, gapless, source):
        found |= {name for name in batch.schema.names if batch.column(name).null_count}
    return sorted(found)


def _refitted(model: Any) -> Any:
    """The model, or that of a search."""
    return _refitted(model.best_estimator_) if hasattr(model, "best_estimator_") else model


def _columns_of_fit(first: Any, of_file: Sequence[str]) -> list[str]:
    """The columns that a model or a Pipeline reads; all of the file, if the first step does not know them.

    Without those of `bias_features`: a prediction needs none of them.
    """
    names = getattr(first, "feature_names_in_", None)
    if names is None and hasattr(first, "steps"):
        return list(of_file)
    if names is None:
        raise ValueError("The model was fitted on an array, without names of columns. Fit it on a DataFrame.")
    encoder = getattr(first, "_encoder", None)
    bias = set() if encoder is None else set(np.asarray(names)[encoder.is_bias])
    return [name for name in names if name not in bias]


def _refuse_missing(file: Any, names: Sequence[str], source: Any) -> None:
    there = set(file.schema_arrow.names)
    if missing := [name for name in names if name not in there]:
        raise ValueError(f"{source} has no column {missing[0]!r}. It has {sorted(there)}.")


def _opened(source: Any) -> Any:
    from pyarrow.parquet import ParquetFile

    if not Path(source).exists():
        raise FileNotFoundError(f"There is no file {source}.")
    try:
        return ParquetFile(source)
    except Exception as error:
        raise ValueError(f"{source} cannot be read as a Parquet file: {error}.") from error
