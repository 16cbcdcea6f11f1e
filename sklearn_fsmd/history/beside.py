"""A copy of a log in files with further columns beside those that it has."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sklearn_fsmd.encoding.sources import ParquetSource
from sklearn_fsmd.persistence import replacing

ROW_GROUP = 122_880
"""Rows of a row group of what is written: small ones can be mixed when a model is trained on the file."""


def write_beside(
    path: str | os.PathLike[str], log: ParquetSource, kept: Sequence[str], names: Sequence[str], more: Iterable[Any]
) -> None:
    """Write the columns `kept` of a log as they are, and beside them those called `names`.

    Parameters
    ----------
    more : batches of Arrow with the further columns, float32, in the order of the rows.

    Raises
    ------
    OSError
        If the file cannot be written; what was there before is unchanged then.
    ValueError
        If the log cannot be read.
    """
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    own = pa.schema([pa.field(name, _written_as(log.types[name])) for name in kept])
    further = pa.schema([pa.field(name, pa.float32()) for name in names])
    of_pandas = log.pandas_metadata(kept)
    schema = pa.schema([*own, *further], metadata={"pandas": json.dumps(of_pandas)} if of_pandas else {})
    rows = _cut(_as_in(log, own), _renamed(more, further))
    with (
        replacing(path, pa.ArrowException) as temporary,
        ParquetWriter(temporary, schema, compression="zstd") as writer,
    ):
        for left, right in rows:
            writer.write_table(pa.table([*left.columns, *right.columns], schema=schema), ROW_GROUP)


def _cut(left: Iterator[Any], right: Iterator[Any]) -> Iterator[tuple[Any, Any]]:
    """Tables of ROW_GROUP rows of both, the last one with what is left."""
    import pyarrow as pa

    rest: tuple[list[Any], list[Any]] = [], []

    def filled(side: int, batches: Iterator[Any]) -> bool:
        while sum(map(len, rest[side])) < ROW_GROUP and (batch := next(batches, None)) is not None:
            rest[side].append(batch)
        return bool(rest[side])

    while all([filled(0, left), filled(1, right)]):
        tables = [pa.Table.from_batches(batches) for batches in rest]
        n = min(ROW_GROUP, *map(len, tables))
        yield tables[0][:n], tables[1][:n]
        for side, table in enumerate(tables):
            rest[side][:] = table[n:].to_batches()
    if rest[0] or rest[1]:
        raise RuntimeError(
            f"The {'features of the past' if rest[0] else 'log'} ended before the {'log' if rest[0] else 'features'}; "
            "nothing is written."
        )


def _as_in(log: ParquetSource, schema: Any) -> Iterator[Any]:
    """The rows of the log in the types of `schema`."""
    import pyarrow as pa

    pieces = log.pieces(schema.names)
    while True:
        try:
            piece = next(pieces, None)
        except OSError as error:  # which is not for what is written to say
            raise ValueError(str(error)) from error
        if piece is None:
            return
        try:
            columns = [_cast(column, field.type) for column, field in zip(piece.batch.columns, schema, strict=True)]
        except pa.ArrowInvalid as error:
            raise ValueError(f"{piece.name} does not fit the other files: {error}.") from error
        yield pa.RecordBatch.from_arrays(columns, schema=schema)


def _renamed(batches: Iterable[Any], schema: Any) -> Iterator[Any]:
    import pyarrow as pa

    return (pa.RecordBatch.from_arrays(batch.columns, schema=schema) for batch in batches)


def _written_as(kind: Any) -> Any:
    """The type of a column of a log in what is written: each batch has a dictionary of its own."""
    import pyarrow as pa

    return pa.dictionary(pa.int32(), kind.value_type) if pa.types.is_dictionary(kind) else kind


def _cast(column: Any, kind: Any) -> Any:
    """A column in another type; a float32 of 0.1 becomes the float64 of 0.1, for both may be one category."""
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_dictionary(kind):
        return _cast(column, kind.value_type).dictionary_encode()
    if pa.types.is_float32(column.type) and pa.types.is_float64(kind):
        column = column.cast(pa.string())
    return column.cast(kind)
