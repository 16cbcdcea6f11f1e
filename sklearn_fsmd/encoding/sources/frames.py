"""Conversion of Arrow batches to blocks of rows: DataFrames with the positions of their rows in the data set."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from sklearn_fsmd.encoding.sources.schema import is_untyped
from sklearn_fsmd.encoding.table import as_pandas


class Block(NamedTuple):
    """Some rows of a data set.

    Attributes
    ----------
    frame : DataFrame of the columns that are needed, ``(n, …)``.
    positions : ``(n,)`` int64, the positions of the rows in the data set.
    name : where the rows come from, for messages.
    """

    frame: pd.DataFrame
    positions: np.ndarray
    name: str

    @contextmanager
    def named(self) -> Iterator[None]:
        """Add where the rows come from to the errors that are raised inside."""
        first, last = self.positions[[0, -1]].tolist() if len(self.positions) else (0, 0)
        rows = f", rows {first} to {last} of the data set, here counted from 0" if first else ""
        with located(f"In {self.name}{rows}"):
            yield


@contextmanager
def located(where: str) -> Iterator[None]:
    """Add a location to the errors that are raised inside."""
    import pyarrow as pa

    try:
        yield
    except MemoryError:  # ArrowMemoryError is an ArrowException too
        raise
    except TypeError as error:
        raise TypeError(f"{where}: {error}") from error
    except (ValueError, pa.ArrowException) as error:  # subclasses may need more arguments than a message
        raise ValueError(f"{where}: {error}") from error


class Piece(NamedTuple):
    """A batch of Arrow, the position of its first row, and the file it comes from."""

    batch: Any
    first: int
    name: str


def gathered(pieces: Iterable[Piece], size: int) -> Iterator[Block]:
    """Yield blocks of at least `size` rows, except the last; small pieces are concatenated, also across files."""
    waiting: list[Piece] = []
    n_rows = 0

    def concatenated() -> Block:
        block = _block(waiting)
        waiting.clear()  # before the block is used, to free the memory of the pieces
        return block

    for piece in pieces:
        if waiting and piece.batch.schema != waiting[0].batch.schema:
            yield concatenated()
        n_rows = n_rows + len(piece.batch) if waiting else len(piece.batch)
        waiting.append(piece)
        if n_rows >= size:
            yield concatenated()
    if waiting:
        yield concatenated()


def pooled(pieces: Iterable[Piece], size: int) -> Iterator[list[Block]]:
    """Yield pools of at least `size` rows, except the last; files with different types get separate blocks."""
    waiting: dict[Any, list[Piece]] = {}
    n_rows = 0
    for piece in pieces:
        waiting.setdefault(piece.batch.schema.remove_metadata(), []).append(piece)
        n_rows += len(piece.batch)
        if n_rows >= size:
            blocks = [_block(same_types) for same_types in waiting.values()]
            waiting.clear()  # as above
            n_rows = 0
            yield blocks
    if waiting:
        yield [_block(same_types) for same_types in waiting.values()]


def _block(pieces: Sequence[Piece]) -> Block:
    import pyarrow as pa

    table = pa.Table.from_batches([piece.batch for piece in pieces])
    positions = [np.arange(piece.first, piece.first + len(piece.batch)) for piece in pieces]
    names = list(dict.fromkeys(piece.name for piece in pieces))
    name = names[0] if len(names) == 1 else f"one of {len(names)} files from {names[0]} to {names[-1]}"
    block = Block(pd.DataFrame(), np.concatenate(positions), name)
    with block.named():
        return block._replace(frame=as_frame(table))


def selected(batch: Any, columns: Mapping[str, Any]) -> Any:
    """Select columns of a batch in this order; a column of type null is cast to its type in the data set."""
    import pyarrow as pa

    arrays = [batch.column(batch.schema.get_field_index(name)) for name in columns]
    arrays = [
        array.cast(kind) if is_untyped(array.type) and not is_untyped(kind) else array
        for array, kind in zip(arrays, columns.values(), strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, names=list(columns))


def as_frame(table: Any) -> pd.DataFrame:
    """Convert an Arrow table to pandas, without a copy of columns whose type numpy has."""
    import pyarrow.types as types

    numpy_columns, others = {}, []
    for name, column in zip(table.column_names, table.columns, strict=True):
        is_whole = types.is_integer(column.type) or types.is_boolean(column.type)
        if types.is_floating(column.type) or (is_whole and column.null_count == 0):
            numpy_columns[name] = column.to_numpy()
        else:  # integers with missing values must stay integers
            others.append(name)
    rest = as_pandas(table.select(others)) if others else {}
    columns = {name: numpy_columns[name] if name in numpy_columns else rest[name] for name in table.column_names}
    return pd.DataFrame(columns, copy=False)
