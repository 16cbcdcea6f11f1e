"""From the inputs of a file to what the network reads: codes, numbers, lists and vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sklearn_fsmd.encoding import CategoryColumn, InputEncoder, ListColumn, NumericColumn, VectorColumn
from sklearn_fsmd.export import lists, numbers, statistics, vectors, vocabulary
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
    known = [vocabulary.codes(g, column, inputs[column.name]) for column in categories]
    local = [_upright(g, codes) for codes in known]
    scalars = []
    if numeric:
        x = g.concat([_upright(g, inputs[column.name]) for column in numeric])
        encoders = [column.encoder for column in numeric if isinstance(column.encoder, NumericColumn)]
        number, bins = numbers.scaled_and_bins(g, encoders, x)
        scalars.append(number)
        local += [] if bins is None else [bins]
    of_vectors = [
        vectors.scaled(g, column.encoder, inputs[column.name])
        for column in columns
        if isinstance(column.encoder, VectorColumn)
    ]
    together = [*scalars, *of_vectors]
    if encoder.statistics is not None:
        rates = statistics.look_up(g, encoder.statistics, known)
        scalars.append(rates)
        together.append(rates)
    offsets = np.asarray(encoder.main.offsets, dtype=np.int64)
    codes = g.op("Add", g.concat(local), offsets) if local else None
    of_lists = (column for column in columns if isinstance(column.encoder, ListColumn))
    read = [
        _list(g, column, inputs[column.name], offset)
        for column, offset in zip(of_lists, encoder.main.list_offsets, strict=True)
    ]
    return Rows(
        codes=codes,
        numbers=g.concat(together) if together else None,
        scalars=g.concat(scalars) if scalars else None,
        lists=tuple(read),
        vectors=tuple(of_vectors),
        n_fields=len(encoder.main.cardinalities) + len(read) + len(of_vectors),
        n_scalars=encoder.n_numbers,
    )


def _list(g: Graph, column: Column, values: Value, offset: int) -> ListRows:
    assert isinstance(column.encoder, ListColumn)
    offsets = g.input(offsets_of(column.name), "int64", ("n_plus_1",))
    if column.type != "string":
        values, offsets = lists.without_missing(g, values, offsets, column.type)
    codes = g.op("Add", vocabulary.codes(g, column, values), np.int64(offset))
    return lists.read(g, codes, offsets, column.encoder.max_length)


def _upright(g: Graph, x: Value) -> Value:
    """``(n,)`` as a column ``(n, 1)``. Columns of different lengths cannot be put side by side, which is an error."""
    return g.op("Unsqueeze", x, np.array([1]))
