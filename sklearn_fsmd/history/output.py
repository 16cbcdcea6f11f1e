"""Write a copy of a log in files, with the history features as extra columns."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sklearn_fsmd.encoding.sources import ParquetSource
from sklearn_fsmd.persistence import replacing

ROW_GROUP = 122_880
"""Rows of a row group of the output. Small row groups can be shuffled when a model is trained on the file."""


def write_with_features(
    path: str | os.PathLike[str],
    log: ParquetSource,
    log_columns: Sequence[str],
    feature_names: Sequence[str],
    feature_batches: Iterable[Any],
) -> None:
    """Write the columns `log_columns` of a log unchanged, followed by the features.

    Parameters
    ----------
    feature_batches : Arrow batches of the features, float32, in the order of the rows of the log.

    Raises
    ------
    OSError
        If the file cannot be written. A file that was at `path` before is unchanged then.
    ValueError
        If the log cannot be read.
    """
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    log_schema = pa.schema([pa.field(name, _output_type(log.types[name])) for name in log_columns])
    feature_schema = pa.schema([pa.field(name, pa.float32()) for name in feature_names])
    pandas_metadata = log.pandas_metadata(log_columns)
    metadata = {"pandas": json.dumps(pandas_metadata)} if pandas_metadata else {}
    schema = pa.schema([*log_schema, *feature_schema], metadata=metadata)
    tables = _aligned_tables(_log_batches(log, log_schema), _renamed(feature_batches, feature_schema))
    with (
        replacing(path, pa.ArrowException) as temporary,
        ParquetWriter(temporary, schema, compression="zstd") as writer,
    ):
        for log_table, feature_table in tables:
            writer.write_table(pa.table([*log_table.columns, *feature_table.columns], schema=schema), ROW_GROUP)


def _aligned_tables(log_batches: Iterator[Any], feature_batches: Iterator[Any]) -> Iterator[tuple[Any, Any]]:
    """Yield tables of ROW_GROUP rows of the log, each with the table of their features; the last ones are shorter."""
    import pyarrow as pa

    buffers: tuple[list[Any], list[Any]] = [], []

    def fill(side: int, batches: Iterator[Any]) -> bool:
        """Read batches until a row group is complete; return whether there are any rows."""
        while sum(map(len, buffers[side])) < ROW_GROUP and (batch := next(batches, None)) is not None:
            buffers[side].append(batch)
        return bool(buffers[side])

    while all([fill(0, log_batches), fill(1, feature_batches)]):
        tables = [pa.Table.from_batches(batches) for batches in buffers]
        n = min(ROW_GROUP, *map(len, tables))
        yield tables[0][:n], tables[1][:n]
        for side, table in enumerate(tables):
            buffers[side][:] = table[n:].to_batches()
    if buffers[0] or buffers[1]:
        raise RuntimeError(
            f"The {'history features' if buffers[0] else 'log'} ended before the "
            f"{'log' if buffers[0] else 'history features'}; nothing is written."
        )


def _log_batches(log: ParquetSource, schema: Any) -> Iterator[Any]:
    """Yield the rows of the log in the types of `schema`."""
    import pyarrow as pa

    pieces = log.pieces(schema.names)
    while True:
        try:
            piece = next(pieces, None)
        except OSError as error:  # an OSError here would be reported as one of the output file
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


def _output_type(arrow_type: Any) -> Any:
    """Return the type in which a column of the log is written.

    The indices of a dictionary become int32, since each batch has its own dictionary.
    """
    import pyarrow as pa

    is_dictionary = pa.types.is_dictionary(arrow_type)
    return pa.dictionary(pa.int32(), arrow_type.value_type) if is_dictionary else arrow_type


def _cast(column: Any, arrow_type: Any) -> Any:
    """Cast a column to another type.

    A float32 of 0.1 becomes the float64 0.1, not its nearest float32, since both may stand for one category; so does a
    float16.
    """
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_dictionary(arrow_type):
        return _cast(column, arrow_type.value_type).dictionary_encode()
    if pa.types.is_floating(column.type) and pa.types.is_floating(arrow_type) and column.type != arrow_type:
        if pa.types.is_float16(column.type):  # of which Arrow writes the digits of the float64
            numbers = column.to_numpy(zero_copy_only=False)
            column = pa.array(numbers.astype(str), mask=~column.is_valid().to_numpy(zero_copy_only=False))
        column = column.cast(pa.string())
    return column.cast(arrow_type)
