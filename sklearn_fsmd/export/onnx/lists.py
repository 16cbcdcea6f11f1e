"""Columns of lists inside the graph: the values of all rows one after the other, and the offsets of the rows.

The sums of rows are differences of cumulative sums in double precision. `ScatterND` with a reduction would be shorter,
but onnxruntime adds to the same element from several threads at once and loses some of the terms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sklearn_fsmd.encoding.columns import MISSING_CODES
from sklearn_fsmd.export.onnx.names import Value

if TYPE_CHECKING:
    from sklearn_fsmd.export.onnx.graph import Graph


@dataclass(frozen=True)
class ListRows:
    """One column of lists: `m` values in `n` rows.

    Attributes
    ----------
    codes : (m,) rows of the embedding table.
    starts, ends : (n,) index of the first value of each row that is read, and one past the last.
    quotients : (m,) rows of the table of quotients; None if there is no such table.
    """

    codes: Value
    starts: Value
    ends: Value
    quotients: Value | None = None


def rows_from_offsets(g: Graph, codes: Value, offsets: Value, max_length: int) -> ListRows:
    """The rows of a column with these codes and `offsets` ``(n + 1,)``; only the last `max_length` values are read."""
    first = g.op("Slice", offsets, np.array([0]), np.array([-1]), np.array([0]))
    ends = g.op("Slice", offsets, np.array([1]), np.array([np.iinfo(np.int64).max]), np.array([0]))
    return ListRows(codes, g.op("Max", first, g.op("Sub", ends, np.int64(max_length))), ends)


def without_missing(g: Graph, values: Value, offsets: Value, kind: str) -> tuple[Value, Value]:
    """Drop the codes of missing values, such as -1, from lists of numbers of the type `kind`; values and offsets."""
    missing = [g.op("Equal", values, np.array(code, dtype=kind)) for code in MISSING_CODES]
    is_present = g.op("Not", g.op("Or", *missing))
    n_before = g.op("Pad", g.op("CumSum", g.cast(is_present, "int64"), np.int64(0)), np.array([1, 0]))
    return g.op("Compress", values, is_present, axis=0), g.op("Gather", n_before, offsets)


def lengths(g: Graph, rows: ListRows) -> Value:
    """The number of values that are read in each row, ``(n, 1)`` float."""
    return g.op("Unsqueeze", g.cast(g.op("Sub", rows.ends, rows.starts), "float"), np.array([1]))


def pooled(g: Graph, rows: ListRows, vectors: Value, pooling: str) -> Value:
    """The mean, sum or maximum of the vectors ``(m, D)`` of each row, ``(n, D)``; zeros for an empty row."""
    if pooling == "max":
        return _maxima(g, rows, vectors)
    total = sums(g, rows, vectors)
    return total if pooling == "sum" else g.op("Div", total, g.op("Max", lengths(g, rows), np.float32(1)))


def sums(g: Graph, rows: ListRows, vectors: Value) -> Value:
    """The sums of the vectors ``(m, D)`` of each row, ``(n, D)``."""
    running = g.op("CumSum", g.cast(vectors, "double"), np.int64(0))
    running = g.op("Pad", running, np.array([1, 0, 0, 0]))
    return g.cast(g.op("Sub", g.op("Gather", running, rows.ends), g.op("Gather", running, rows.starts)), "float")


def row_of_each(g: Graph, rows: ListRows) -> Value:
    """The row that each value belongs to, ``(m,)`` int64. Unread values at the beginning of a long row get another row.

    It is the cumulative sum of increments. At the first value of each row that is not empty stands the difference to
    the index of the last such row. These positions are distinct, so that no two threads write to the same element.
    """
    nonempty = g.op("Squeeze", g.op("NonZero", g.op("Sub", rows.ends, rows.starts)), np.array([0]))
    previous = g.op("Slice", g.op("Pad", nonempty, np.array([1, 0])), np.array([0]), np.array([-1]), np.array([0]))
    zeros = g.op("ConstantOfShape", g.op("Shape", rows.codes), value=np.array([0], np.int64))
    firsts, increments = g.op("Gather", rows.starts, nonempty), g.op("Sub", nonempty, previous)
    return g.op("CumSum", g.op("ScatterElements", zeros, firsts, increments, axis=0), np.int64(0))


def largest(g: Graph, rows: ListRows, row_of: Value, x: Value, start: float) -> Value:
    """The maximum over `start` and the elements of each row: ``(m, D)`` to ``(n, D)``."""
    shape = g.op("Concat", g.op("Shape", rows.ends), g.op("Shape", x, start=1), axis=0)
    initial = g.op("ConstantOfShape", shape, value=np.array([start], np.float32))
    index = g.op("Expand", g.op("Unsqueeze", row_of, np.array([1])), g.op("Shape", x))
    return g.op("ScatterElements", initial, index, x, axis=0, reduction="max")


def mask_unread(g: Graph, rows: ListRows, row_of: Value, x: Value, fill: float) -> Value:
    """Replace the elements of `x` ``(m, D)`` by `fill` where a value of a long row is not read."""
    ones = g.op("ConstantOfShape", g.op("Shape", row_of), value=np.array([1], np.int64))
    position = g.op("Sub", g.op("CumSum", ones, np.int64(0)), np.int64(1))
    has_begun = g.op("GreaterOrEqual", position, g.op("Gather", rows.starts, row_of))
    is_read = g.op("And", has_begun, g.op("Less", position, g.op("Gather", rows.ends, row_of)))
    return g.op("Where", g.op("Unsqueeze", is_read, np.array([1])), x, np.float32(fill))


def _maxima(g: Graph, rows: ListRows, vectors: Value) -> Value:
    row_of = row_of_each(g, rows)
    maxima = largest(g, rows, row_of, mask_unread(g, rows, row_of, vectors, -np.inf), -np.inf)
    return g.op("Where", g.op("Greater", lengths(g, rows), np.float32(0)), maxima, np.float32(0))
