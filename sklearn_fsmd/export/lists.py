"""Columns of lists inside the graph: all values one after the other, and where each row begins.

The sums of rows are differences of running sums in double precision. `ScatterND` with a reduction would be the
shorter way, but onnxruntime adds to one place from several threads at once and loses some of the terms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sklearn_fsmd.encoding import MISSING_CODES
from sklearn_fsmd.export.names import Value

if TYPE_CHECKING:
    from sklearn_fsmd.export.graph import Graph


@dataclass(frozen=True)
class ListRows:
    """One column of lists.

    Attributes
    ----------
    codes : (m,) rows of the embedding table.
    starts, ends : (n,) where each row begins and ends.
    quotients : (m,) rows of the table of quotients; None if there is none.
    """

    codes: Value
    starts: Value
    ends: Value
    quotients: Value | None = None


def read(g: Graph, codes: Value, offsets: Value, max_length: int) -> ListRows:
    """The rows of a column with these codes and `offsets` ``(n + 1,)``; of a long row the last values."""
    first = g.op("Slice", offsets, np.array([0]), np.array([-1]), np.array([0]))
    ends = g.op("Slice", offsets, np.array([1]), np.array([np.iinfo(np.int64).max]), np.array([0]))
    return ListRows(codes, g.op("Max", first, g.op("Sub", ends, np.int64(max_length))), ends)


def without_missing(g: Graph, values: Value, offsets: Value, kind: str) -> tuple[Value, Value]:
    """Numbers of the type `kind` and the offsets of their rows without those that mark missing values."""
    missing = [g.op("Equal", values, np.array(code, dtype=kind)) for code in MISSING_CODES]
    kept = g.op("Not", g.op("Or", *missing))
    n_before = g.op("Pad", g.op("CumSum", g.cast(kept, "int64"), np.int64(0)), np.array([1, 0]))
    return g.op("Compress", values, kept, axis=0), g.op("Gather", n_before, offsets)


def lengths(g: Graph, rows: ListRows) -> Value:
    """How many values each row has, ``(n, 1)`` float."""
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
    """The row that each value belongs to, ``(m,)`` int64. Values that a long row leaves out have that of another.

    At the first value of each row that has any, the difference to the row before is written; these places differ.
    """
    there = g.op("Squeeze", g.op("NonZero", g.op("Sub", rows.ends, rows.starts)), np.array([0]))
    before = g.op("Slice", g.op("Pad", there, np.array([1, 0])), np.array([0]), np.array([-1]), np.array([0]))
    zeros = g.op("ConstantOfShape", g.op("Shape", rows.codes), value=np.array([0], np.int64))
    steps = g.op("ScatterElements", zeros, g.op("Gather", rows.starts, there), g.op("Sub", there, before), axis=0)
    return g.op("CumSum", steps, np.int64(0))


def largest(g: Graph, rows: ListRows, row_of: Value, x: Value, start: float) -> Value:
    """The largest of `start` and the elements of each row: ``(m, D)`` to ``(n, D)``."""
    shape = g.op("Concat", g.op("Shape", rows.ends), g.op("Shape", x, start=1), axis=0)
    begin = g.op("ConstantOfShape", shape, value=np.array([start], np.float32))
    index = g.op("Expand", g.op("Unsqueeze", row_of, np.array([1])), g.op("Shape", x))
    return g.op("ScatterElements", begin, index, x, axis=0, reduction="max")


def without_rest(g: Graph, rows: ListRows, row_of: Value, x: Value, instead: float) -> Value:
    """`x` ``(m, D)`` with `instead` for the values that a long row leaves out."""
    ones = g.op("ConstantOfShape", g.op("Shape", row_of), value=np.array([1], np.int64))
    place = g.op("Sub", g.op("CumSum", ones, np.int64(0)), np.int64(1))
    begun = g.op("GreaterOrEqual", place, g.op("Gather", rows.starts, row_of))
    read = g.op("And", begun, g.op("Less", place, g.op("Gather", rows.ends, row_of)))
    return g.op("Where", g.op("Unsqueeze", read, np.array([1])), x, np.float32(instead))


def _maxima(g: Graph, rows: ListRows, vectors: Value) -> Value:
    row_of = row_of_each(g, rows)
    maxima = largest(g, rows, row_of, without_rest(g, rows, row_of, vectors, -np.inf), -np.inf)
    return g.op("Where", g.op("Greater", lengths(g, rows), np.float32(0)), maxima, np.float32(0))
