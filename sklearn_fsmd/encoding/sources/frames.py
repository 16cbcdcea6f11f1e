"""Batches of Arrow become blocks of rows: DataFrames that know where their rows stand in the data set."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from sklearn_fsmd.encoding import as_pandas
from sklearn_fsmd.encoding.sources.schema import says_nothing


class Block(NamedTuple):
    """Some rows of a data set.

    Attributes
    ----------
    frame : DataFrame of the columns that are needed, ``(n, …)``.
    positions : ``(n,)`` int64, which rows of the data set these are.
    name : where they come from, for messages.
    """

    frame: pd.DataFrame
    positions: np.ndarray
    name: str

    @contextmanager
    def named(self) -> Iterator[None]:
        """Let errors of reading the rows say where they come from."""
        first, last = self.positions[[0, -1]].tolist() if len(self.positions) else (0, 0)
        rows = f", rows {first} to {last} of the data set, here counted from 0" if first else ""
        with located(f"In {self.name}{rows}"):
            yield


@contextmanager
def located(where: str) -> Iterator[None]:
    """Let errors of reading some rows say where these are."""
    import pyarrow as pa

    try:
        yield
    except MemoryError:  # one of Arrow's is an ArrowException too
        raise
    except TypeError as error:
        raise TypeError(f"{where}: {error}") from error
    except (ValueError, pa.ArrowException) as error:  # of subclasses that may need more than a text
        raise ValueError(f"{where}: {error}") from error


class Piece(NamedTuple):
    """A batch of Arrow, the position of its first row, and the file it comes from."""

    batch: Any
    first: int
    name: str


def gathered(pieces: Iterable[Piece], size: int) -> Iterator[Block]:
    """Blocks of at least `size` rows, but for the last: small pieces are read together, of whatever files."""
    waiting: list[Piece] = []
    n_rows = 0

    def together() -> Block:
        made = _block(waiting)
        waiting.clear()  # before anybody works with the block, and the memory is there twice
        return made

    for piece in pieces:
        if waiting and piece.batch.schema != waiting[0].batch.schema:
            yield together()
        n_rows = n_rows + len(piece.batch) if waiting else len(piece.batch)
        waiting.append(piece)
        if n_rows >= size:
            yield together()
    if waiting:
        yield together()


def pooled(pieces: Iterable[Piece], size: int) -> Iterator[list[Block]]:
    """Pools of at least `size` rows, but for the last; of files whose types differ, a block each."""
    waiting: dict[Any, list[Piece]] = {}
    n_rows = 0
    for piece in pieces:
        waiting.setdefault(piece.batch.schema.remove_metadata(), []).append(piece)
        n_rows += len(piece.batch)
        if n_rows >= size:
            made = [_block(alike) for alike in waiting.values()]
            waiting.clear()  # as above
            n_rows = 0
            yield made
    if waiting:
        yield [_block(alike) for alike in waiting.values()]


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
    """The columns of a batch in their order, and in their type where all of this batch are missing."""
    import pyarrow as pa

    arrays = [batch.column(batch.schema.get_field_index(name)) for name in columns]
    arrays = [
        array.cast(kind) if says_nothing(array.type) and not says_nothing(kind) else array
        for array, kind in zip(arrays, columns.values(), strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, names=list(columns))


def as_frame(table: Any) -> pd.DataFrame:
    """A table of Arrow as one of pandas, without a copy where numpy has the type."""
    import pyarrow.types as types

    plain, others = {}, []
    for name, column in zip(table.column_names, table.columns, strict=True):
        is_whole = types.is_integer(column.type) or types.is_boolean(column.type)
        if types.is_floating(column.type) or (is_whole and column.null_count == 0):
            plain[name] = column.to_numpy()
        else:  # whole numbers beside missing ones stay whole
            others.append(name)
    rest = as_pandas(table.select(others)) if others else {}
    columns = {name: plain[name] if name in plain else rest[name] for name in table.column_names}
    return pd.DataFrame(columns, copy=False)
