"""The embedding layer inside the graph: codes, lists and columns of vectors become field vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sklearn_fsmd.export.onnx import lists
from sklearn_fsmd.export.onnx.lists import ListRows
from sklearn_fsmd.export.onnx.names import Value
from sklearn_fsmd.export.onnx.rows import Rows
from sklearn_fsmd.export.onnx.weights import Weights
from sklearn_fsmd.network import Embedding, Interpolation, ListAttention, StackedLinear

if TYPE_CHECKING:
    from sklearn_fsmd.export.onnx.graph import Graph


def fields(g: Graph, w: Weights, embedding: Embedding, rows: Rows) -> list[Value | None]:
    """The field vectors of each set of embeddings, ``(n, F + L + V, D)``; None if X has only numbers without bins."""
    tables = _by_set(w(embedding.table.weight), embedding.n_sets)
    quotients = [] if embedding.quotients is None else _by_set(1 + w(embedding.quotients.weight), embedding.n_sets)
    units = iter(embedding.attention)
    attention = [None if partner is None else (next(units), partner) for partner in embedding.list_partners]
    neighbours = None if rows.codes is None or embedding.between is None else _neighbours(g, embedding.between, rows)
    fields_by_set: list[Value | None] = []
    for s, table in enumerate(tables):

        def look_up(codes: Value, quotient_rows: Value | None, s: int = s, table: np.ndarray = table) -> Value:
            embedded = g.op("Gather", table, codes)
            if codes is rows.codes and neighbours is not None:
                embedded = _interpolated(g, embedded, table, neighbours)
            if quotient_rows is None:
                return embedded
            return g.op("Mul", embedded, g.op("Gather", quotients[s], quotient_rows))

        code_fields = None if rows.codes is None else look_up(rows.codes, rows.quotients)
        parts = [] if code_fields is None else [code_fields]
        for j, column in enumerate(rows.lists):
            vectors = look_up(column.codes, column.quotients)
            unit_and_partner = attention[j]
            if unit_and_partner is None:
                field = lists.pooled(g, column, vectors, embedding.pooling)
            else:
                unit, partner = unit_and_partner
                assert code_fields is not None
                assert isinstance(unit, ListAttention)
                candidate = g.op("Gather", code_fields, np.int64(partner), axis=1)
                field = _attention_pooled(g, w, unit, s, column, vectors, candidate)
            parts.append(g.op("Unsqueeze", field, np.array([1])))
        parts += _vector_fields(g, w, embedding, s, rows)
        fields_by_set.append(g.concat(parts) if parts else None)
    return fields_by_set


def _by_set(table: np.ndarray, n: int) -> list[np.ndarray]:
    """The table of each of `n` sets of embeddings, which are stored side by side."""
    return [np.ascontiguousarray(part) for part in np.split(table, n, axis=1)]


def flat(g: Graph, fields: Value | None, scalars: Value | None) -> Value:
    """The input of the deep part: all fields and scalars side by side, ``(n, I)``."""
    vectors = [] if fields is None else [g.op("Flatten", fields, axis=1)]
    return g.concat([*vectors, *([] if scalars is None else [scalars])])


class NeighbourBins(NamedTuple):
    """The neighbouring bin of each number, on the side of its own bin on which the number lies.

    Attributes
    ----------
    rows : (n, N) rows of the embedding table.
    share : (n, N, 1) weight of the neighbour's vector in the interpolation.
    first_column, n_columns : the code columns that hold bins.
    """

    rows: Value
    share: Value
    first_column: int
    n_columns: int


def _neighbours(g: Graph, between: Interpolation, rows: Rows) -> NeighbourBins:
    """The neighbouring bins as :class:`~sklearn_fsmd.network.Interpolation` computes them."""
    assert rows.codes is not None
    assert rows.scalars is not None
    *_, codes = _nonempty_parts(g, rows.codes, between.first_column, between.n_columns)
    number, *_ = _nonempty_parts(g, rows.scalars, between.n_columns, rows.n_scalars - between.n_columns)
    means, over_distance, steps = (x.cpu().numpy() for x in (between.means, between.over_distance, between.steps))
    bins = g.op("Add", codes, between.to_bins.cpu().numpy())
    distance = g.op("Sub", number, g.op("Gather", means, bins))
    is_above = g.cast(g.op("Greater", distance, np.float32(0)), "int64")
    side = g.op("Add", is_above, g.op("Mul", bins, np.int64(2)))
    share = g.op("Mul", distance, g.op("Gather", over_distance, side))
    neighbour = g.op("Add", codes, g.op("Gather", steps.astype(np.int64), side))
    return NeighbourBins(neighbour, g.op("Unsqueeze", share, np.array([2])), between.first_column, between.n_columns)


def _interpolated(g: Graph, fields: Value, table: np.ndarray, neighbours: NeighbourBins) -> Value:
    """The fields of codes, the last of which are bins, with each bin interpolated towards its neighbour."""
    *others, bin_fields = _nonempty_parts(g, fields, neighbours.first_column, neighbours.n_columns)
    difference = g.op("Sub", g.op("Gather", table, neighbours.rows), bin_fields)
    return g.concat([*others, g.op("Add", bin_fields, g.op("Mul", difference, neighbours.share))])


def _nonempty_parts(g: Graph, x: Value, *sizes: int) -> list[Value]:
    """Split the columns of `x` into parts of these sizes; a part of size 0 is left out."""
    return g.split(x, [size for size in sizes if size])


def _vector_fields(g: Graph, w: Weights, embedding: Embedding, s: int, rows: Rows) -> list[Value]:
    """The field of each column of vectors in the set `s`, ``(n, 1, D)``."""
    fields = []
    for unit, vector in zip(embedding.vectors.maps if embedding.vectors else (), rows.vectors, strict=True):
        assert isinstance(unit, StackedLinear)
        fields.append(g.op("Unsqueeze", g.op("Gemm", vector, *w.linear(unit, s)), np.array([1])))
    return fields


def _attention_pooled(
    g: Graph, w: Weights, unit: ListAttention, s: int, rows: ListRows, vectors: Value, candidate: Value
) -> Value:
    """The mean of each list's vectors ``(m, D)``, weighted by attention to its candidate ``(n, D)``: ``(n, D)``."""
    row_of = lists.row_of_each(g, rows)
    q = g.op("Gather", candidate, row_of)
    pairs = g.concat([q, vectors, g.op("Sub", q, vectors), g.op("Mul", q, vectors)])
    hidden = g.op("Relu", g.op("Gemm", pairs, *w.linear(unit.hidden, s)))
    scores = g.op("Gemm", hidden, *w.linear(unit.output, s))  # (m, 1)
    scores = lists.mask_unread(g, rows, row_of, scores, -np.inf)
    top = lists.largest(g, rows, row_of, scores, float(np.finfo(np.float32).min))
    e = g.op("Exp", g.op("Sub", scores, g.op("Gather", top, row_of)))
    total = g.op("Max", lists.sums(g, rows, e), np.float32(1e-9))
    return g.op("Div", lists.sums(g, rows, g.op("Mul", e, vectors)), total)
