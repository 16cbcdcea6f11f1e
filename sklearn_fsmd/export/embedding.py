"""The embeddings inside the graph: codes, lists and columns of vectors become fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sklearn_fsmd.export import lists
from sklearn_fsmd.export.lists import ListRows
from sklearn_fsmd.export.names import Value
from sklearn_fsmd.export.rows import Rows
from sklearn_fsmd.export.weights import Weights
from sklearn_fsmd.network import Embedding, Interpolation, ListAttention, StackedLinear

if TYPE_CHECKING:
    from sklearn_fsmd.export.graph import Graph


def fields(g: Graph, w: Weights, embedding: Embedding, rows: Rows) -> list[Value | None]:
    """The fields of each set, ``(n, F + L + V, D)``; None if there are numbers only."""
    tables = _sets_of(w(embedding.table.weight), embedding.n_sets)
    quotients = [] if embedding.quotients is None else _sets_of(1 + w(embedding.quotients.weight), embedding.n_sets)
    units = iter(embedding.attention)
    attention = [None if partner is None else (next(units), partner) for partner in embedding.list_partners]
    beside = None if rows.codes is None or embedding.between is None else _beside(g, embedding.between, rows)
    made: list[Value | None] = []
    for s, table in enumerate(tables):

        def look_up(codes: Value, of_values: Value | None, s: int = s, table: np.ndarray = table) -> Value:
            found = g.op("Gather", table, codes)
            if codes is rows.codes and beside is not None:
                found = _between_bins(g, found, table, beside)
            if of_values is None:
                return found
            return g.op("Mul", found, g.op("Gather", quotients[s], of_values))

        of_codes = None if rows.codes is None else look_up(rows.codes, rows.quotients)
        parts = [] if of_codes is None else [of_codes]
        for j, column in enumerate(rows.lists):
            vectors = look_up(column.codes, column.quotients)
            attended = attention[j]
            if attended is None:
                own = lists.pooled(g, column, vectors, embedding.pooling)
            else:
                unit, partner = attended
                assert of_codes is not None
                assert isinstance(unit, ListAttention)
                candidate = g.op("Gather", of_codes, np.int64(partner), axis=1)
                own = _attended(g, w, unit, s, column, vectors, candidate)
            parts.append(g.op("Unsqueeze", own, np.array([1])))
        parts += _mapped(g, w, embedding, s, rows)
        made.append(g.concat(parts) if parts else None)
    return made


def _sets_of(table: np.ndarray, n: int) -> list[np.ndarray]:
    """The table of each set."""
    return [np.ascontiguousarray(own) for own in np.split(table, n, axis=1)]


def flat(g: Graph, fields: Value | None, scalars: Value | None) -> Value:
    """The input of the deep part: all fields and scalars side by side, ``(n, I)``."""
    vectors = [] if fields is None else [g.op("Flatten", fields, axis=1)]
    return g.concat([*vectors, *([] if scalars is None else [scalars])])


class Beside(NamedTuple):
    """Rows of the bins beside those of the numbers, ``(n, N)``, the shares of their vectors, ``(n, N, 1)``; columns."""

    rows: Value
    share: Value
    first_column: int
    n_columns: int


def _beside(g: Graph, between: Interpolation, rows: Rows) -> Beside:
    """What :class:`~sklearn_fsmd.network.Interpolation` says of the rows."""
    assert rows.codes is not None
    assert rows.scalars is not None
    *_, codes = _cut(g, rows.codes, between.first_column, between.n_columns)
    number, *_ = _cut(g, rows.scalars, between.n_columns, rows.n_scalars - between.n_columns)
    means, over_distance, steps = (x.cpu().numpy() for x in (between.means, between.over_distance, between.steps))
    bins = g.op("Add", codes, between.to_bins.cpu().numpy())
    way = g.op("Sub", number, g.op("Gather", means, bins))
    is_after = g.cast(g.op("Greater", way, np.float32(0)), "int64")
    side = g.op("Add", is_after, g.op("Mul", bins, np.int64(2)))
    share = g.op("Mul", way, g.op("Gather", over_distance, side))
    beside = g.op("Add", codes, g.op("Gather", steps.astype(np.int64), side))
    return Beside(beside, g.op("Unsqueeze", share, np.array([2])), between.first_column, between.n_columns)


def _between_bins(g: Graph, fields: Value, table: np.ndarray, beside: Beside) -> Value:
    """The fields of codes, the last of which are bins, once numbers lie between these and the bins beside them."""
    *others, of_bins = _cut(g, fields, beside.first_column, beside.n_columns)
    rise = g.op("Sub", g.op("Gather", table, beside.rows), of_bins)
    return g.concat([*others, g.op("Add", of_bins, g.op("Mul", rise, beside.share))])


def _cut(g: Graph, x: Value, *sizes: int) -> list[Value]:
    """The parts of `x` that have columns."""
    return g.split(x, [size for size in sizes if size])


def _mapped(g: Graph, w: Weights, embedding: Embedding, s: int, rows: Rows) -> list[Value]:
    """The field of each column of vectors in the set `s`, ``(n, 1, D)``."""
    made = []
    for unit, vector in zip(embedding.vectors.maps if embedding.vectors else (), rows.vectors, strict=True):
        assert isinstance(unit, StackedLinear)
        made.append(g.op("Unsqueeze", g.op("Gemm", vector, *w.linear(unit, s)), np.array([1])))
    return made


def _attended(
    g: Graph, w: Weights, unit: ListAttention, s: int, rows: ListRows, vectors: Value, candidate: Value
) -> Value:
    """The mean of a list's vectors ``(m, D)``, weighted in the light of the candidates ``(n, D)``."""
    row_of = lists.row_of_each(g, rows)
    q = g.op("Gather", candidate, row_of)
    pairs = g.concat([q, vectors, g.op("Sub", q, vectors), g.op("Mul", q, vectors)])
    hidden = g.op("Relu", g.op("Gemm", pairs, *w.linear(unit.hidden, s)))
    scores = g.op("Gemm", hidden, *w.linear(unit.output, s))  # (m, 1)
    scores = lists.without_rest(g, rows, row_of, scores, -np.inf)
    top = lists.largest(g, rows, row_of, scores, float(np.finfo(np.float32).min))
    e = g.op("Exp", g.op("Sub", scores, g.op("Gather", top, row_of)))
    total = g.op("Max", lists.sums(g, rows, e), np.float32(1e-9))
    return g.op("Div", lists.sums(g, rows, g.op("Mul", e, vectors)), total)
