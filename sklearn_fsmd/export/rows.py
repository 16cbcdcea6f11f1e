"""From the inputs of a file to what the network reads: codes, numbers, lists and vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sklearn_fsmd.encoding import CategoryColumn, InputEncoder, ListColumn, NumericColumn, VectorColumn
from sklearn_fsmd.export import lists, numbers, side_by_side, statistics, vectors, vocabulary
from sklearn_fsmd.export.columns import Column
from sklearn_fsmd.export.lists import ListRows
from sklearn_fsmd.export.names import Value, offsets_of

if TYPE_CHECKING:
    from sklearn_fsmd.export.graph import Graph


@dataclass(frozen=True)
class Rows:
    """Rows as the network reads them.

    Attributes
    ----------
    codes : (n, F) int64, rows of the embedding table; None if there are no code columns.
    numbers : (n, N) float, the scaled numbers, the components of vectors included; None if there are none.
    scalars : (n, M) float, those that are of no vector; None if there are none.
    lists : the columns of lists.
    vectors : (n, d) float of each column of vectors, scaled.
    n_fields, n_scalars : how many embedded fields and scalars there are for a row.
    quotients : (n, F) int64, rows of the table of quotients; None if there is none.
    """

    codes: Value | None
    numbers: Value | None
    scalars: Value | None
    lists: tuple[ListRows, ...]
    vectors: tuple[Value, ...]
    n_fields: int
    n_scalars: int
    quotients: Value | None = None


def encoded(g: Graph, encoder: InputEncoder, columns: Sequence[Column]) -> Rows:
    """Declare the inputs, and encode them as `InputEncoder.encode_main` does."""
    inputs = {column.name: g.input(column.name, column.type, column.shape) for column in columns}
    categories = [column for column in columns if isinstance(column.encoder, CategoryColumn)]
    numeric = [column for column in columns if isinstance(column.encoder, NumericColumn)]
    offsets = np.asarray(encoder.main.offsets, dtype=np.int64)
    known = [
        vocabulary.codes(g, column, inputs[column.name], offset)
        for column, offset in zip(categories, offsets[: len(categories)], strict=True)
    ]
    local = [side_by_side.codes(g, known, encoder.main.cardinalities[: len(known)])] if known else []
    scalars = []
    if numeric:
        x = side_by_side.numbers(g, [inputs[column.name] for column in numeric])
        encoders = [column.encoder for column in numeric if isinstance(column.encoder, NumericColumn)]
        number, bins = numbers.scaled_and_bins(g, encoders, x)
        scalars.append(number)
        local += [] if bins is None else [bins]
    of_vectors = [
        vectors.scaled(g, column.encoder, inputs[column.name])
        for column in columns
        if isinstance(column.encoder, VectorColumn)
    ]
    rates = [] if encoder.statistics is None else [statistics.look_up(g, encoder.statistics, local[0])]
    codes = g.op("Add", g.concat(local), offsets) if local else None
    of_lists = (column for column in columns if isinstance(column.encoder, ListColumn))
    read = [
        _list(g, column, inputs[column.name], offset)
        for column, offset in zip(of_lists, encoder.main.list_offsets, strict=True)
    ]
    plain = _joined(g, [*scalars, *rates])
    return Rows(
        codes=codes,
        numbers=_joined(g, [*scalars, *of_vectors, *rates]) if of_vectors else plain,
        scalars=plain,
        lists=tuple(read),
        vectors=tuple(of_vectors),
        n_fields=len(encoder.main.cardinalities) + len(read) + len(of_vectors),
        n_scalars=encoder.n_scalars,
    )


def _list(g: Graph, column: Column, values: Value, offset: int) -> ListRows:
    assert isinstance(column.encoder, ListColumn)
    offsets = g.input(offsets_of(column.name), "int64", ("n_plus_1",))
    if column.type != "string":
        values, offsets = lists.without_missing(g, values, offsets, column.type)
    codes = vocabulary.codes(g, column, values, offset)
    return lists.read(g, codes, offsets, column.encoder.max_length)


def _joined(g: Graph, parts: list[Value]) -> Value | None:
    return g.concat(parts) if parts else None
