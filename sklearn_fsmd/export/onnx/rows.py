"""From the inputs of a file to the inputs of the network: codes, numbers, lists and vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sklearn_fsmd.encoding import InputEncoder
from sklearn_fsmd.encoding.columns import CategoryColumn, ListColumn, NumericColumn, VectorColumn
from sklearn_fsmd.export.onnx import lists, numbers, side_by_side, statistics, vectors, vocabulary
from sklearn_fsmd.export.onnx.columns import Column
from sklearn_fsmd.export.onnx.lists import ListRows
from sklearn_fsmd.export.onnx.names import Value, offsets_name

if TYPE_CHECKING:
    from sklearn_fsmd.export.onnx.graph import Graph


@dataclass(frozen=True)
class Rows:
    """Encoded rows, as the network takes them.

    Attributes
    ----------
    codes : (n, F) int64, rows of the embedding table; None if there are no code columns.
    numbers : (n, N) float, scaled numbers, components of vectors and target statistics; None if there are none.
    scalars : (n, M) float, the same without the components of vectors; None if there are none.
    lists : the columns of lists.
    vectors : (n, d) float for each column of vectors, scaled.
    n_fields, n_scalars : number of field vectors and of scalars in a row.
    quotients : (n, F) int64, rows of the table of quotients; None if there is no such table.
    """

    codes: Value | None
    numbers: Value | None
    scalars: Value | None
    lists: tuple[ListRows, ...]
    vectors: tuple[Value, ...]
    n_fields: int
    n_scalars: int
    quotients: Value | None = None


def encode_rows(g: Graph, encoder: InputEncoder, columns: Sequence[Column]) -> Rows:
    """Declare the inputs, and encode them as `InputEncoder.encode_main` does."""
    inputs = {column.name: g.input(column.name, column.type, column.shape) for column in columns}
    categories = [column for column in columns if isinstance(column.encoder, CategoryColumn)]
    numeric = [column for column in columns if isinstance(column.encoder, NumericColumn)]
    offsets = np.asarray(encoder.main.offsets, dtype=np.int64)
    category_codes = [
        vocabulary.codes(g, column, inputs[column.name], offset)
        for column, offset in zip(categories, offsets[: len(categories)], strict=True)
    ]
    local_codes = []  # tables of codes that are counted from 0 in each column
    if category_codes:
        local_codes.append(side_by_side.codes(g, category_codes, encoder.main.cardinalities[: len(category_codes)]))
    scaled = []
    if numeric:
        x = side_by_side.numbers(g, [inputs[column.name] for column in numeric])
        encoders = [column.encoder for column in numeric if isinstance(column.encoder, NumericColumn)]
        scaled_numbers, bins = numbers.scaled_and_bins(g, encoders, x)
        scaled.append(scaled_numbers)
        local_codes += [] if bins is None else [bins]
    scaled_vectors = [
        vectors.scaled(g, column.encoder, inputs[column.name])
        for column in columns
        if isinstance(column.encoder, VectorColumn)
    ]
    rates = [] if encoder.statistics is None else [statistics.look_up(g, encoder.statistics, local_codes[0])]
    codes = g.op("Add", g.concat(local_codes), offsets) if local_codes else None
    list_columns = (column for column in columns if isinstance(column.encoder, ListColumn))
    list_rows = [
        _list_rows(g, column, inputs[column.name], offset)
        for column, offset in zip(list_columns, encoder.main.list_offsets, strict=True)
    ]
    scalars = _concat(g, [*scaled, *rates])
    return Rows(
        codes=codes,
        numbers=_concat(g, [*scaled, *scaled_vectors, *rates]) if scaled_vectors else scalars,
        scalars=scalars,
        lists=tuple(list_rows),
        vectors=tuple(scaled_vectors),
        n_fields=len(encoder.main.cardinalities) + len(list_rows) + len(scaled_vectors),
        n_scalars=encoder.n_scalars,
    )


def _list_rows(g: Graph, column: Column, values: Value, offset: int) -> ListRows:
    """Declare the offsets of a column of lists, and encode its values; `offset` is its first code."""
    assert isinstance(column.encoder, ListColumn)
    offsets = g.input(offsets_name(column.name), "int64", ("n_plus_1",))
    if column.type != "string":
        values, offsets = lists.without_missing(g, values, offsets, column.type)
    codes = vocabulary.codes(g, column, values, offset)
    return lists.rows_from_offsets(g, codes, offsets, column.encoder.max_length)


def _concat(g: Graph, parts: list[Value]) -> Value | None:
    return g.concat(parts) if parts else None
