"""Numeric columns inside the graph: missing values, scaling and bins, for all columns at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from sklearn_fsmd.encoding.columns import LARGEST_FLOAT32, NumericColumn
from sklearn_fsmd.export.onnx.names import Value

if TYPE_CHECKING:
    from sklearn_fsmd.export.onnx.graph import Graph


def scaled_and_bins(g: Graph, columns: Sequence[NumericColumn], x: Value) -> tuple[Value, Value | None]:
    """Encode the columns ``(n, N)`` double as `NumericColumn.encode` does.

    Returns
    -------
    numbers : (n, N) float
    bins : (n, N) int64; None if the columns have no bins.
    """
    missing = g.op("IsNaN", x)
    fillings = np.array([column.filling for column in columns], dtype=np.float32)
    numbers = g.op(
        "Where", missing, fillings if fillings.any() else np.float32(0), g.cast(_scaled(g, columns, x), "float")
    )
    if not columns[0].n_bins:
        return numbers, None
    # The first bin begins at −∞, and a missing number is above no edge: its bin is 0.
    return numbers, count_not_above(g, x, [np.append(-np.inf, column.edges) for column in columns])


def _scaled(g: Graph, columns: Sequence[NumericColumn], x: Value) -> Value:
    scaling = columns[0].scaling
    if scaling == "standard":
        low, high = np.array([column.range for column in columns]).T
        x = g.op("Min", g.op("Max", x, low), high)
        # Not x - center: onnxruntime drops that subtraction if the center is 0 in float32, such as 1e-50.
        x = g.op("Sub", np.array([column.center for column in columns]), x)
        return g.op("Div", x, np.array([-column.scale for column in columns]))
    if scaling == "quantile":
        return _ranks(g, columns, x)
    # Larger numbers are an error in Python. A graph cannot raise one, so it clips them.
    return g.op("Clip", x, np.float64(-LARGEST_FLOAT32), np.float64(LARGEST_FLOAT32))


def _ranks(g: Graph, columns: Sequence[NumericColumn], x: Value) -> Value:
    """Interpolate between the knots of each column, as `np.interp` does."""
    x = g.op("Max", x, np.array([column.knots[0] for column in columns]))
    x = g.op("Min", x, np.array([column.knots[-1] for column in columns]))
    piece = count_not_above(g, x, [column.knots[1:-1] for column in columns])
    width = max(len(column.knots) for column in columns)
    # Start, first value, length and rise of each piece. Slopes are not stored: that of a piece shorter than 1e-308
    # would be infinite.
    starts, values, lengths, rises = np.zeros((4, len(columns), width))
    lengths[:] = 1.0
    for j, column in enumerate(columns):
        n = len(column.knots)
        starts[j, :n], values[j, :n] = column.knots, column.ranks
        lengths[j, : n - 1], rises[j, : n - 1] = np.diff(column.knots), np.diff(column.ranks)
    index = g.op("Add", piece, np.arange(len(columns), dtype=np.int64) * width)
    start, value, length, rise = (g.op("Gather", table.ravel(), index) for table in (starts, values, lengths, rises))
    share = g.op("Div", g.op("Sub", x, start), length)
    return g.op("Add", g.op("Mul", rise, share), value)


def count_not_above(g: Graph, x: Value, edges: Sequence[np.ndarray]) -> Value:
    """Count the sorted `edges` of the column that are not above each number: ``(n, N)`` double to ``(n, N)`` int64.

    The edges are cut into blocks. A number is compared with the last edges of all blocks, then with the edges of one.
    """
    longest = max(len(column_edges) for column_edges in edges)
    size = max(math.ceil(math.sqrt(longest + 1)), 2)
    n_blocks = longest // size + 1
    padded = np.full((len(edges), n_blocks * size), np.nan)  # comparisons with NaN are false, that of infinity too
    for j, column_edges in enumerate(edges):
        padded[j, : len(column_edges)] = column_edges
    table = padded.reshape(len(edges), n_blocks, size)
    x = g.op("Unsqueeze", x, np.array([2]))
    inside = table.reshape(-1, size)[:, :-1]
    if n_blocks == 1:
        return g.cast(_count(g, x, inside[None]), "int64")
    block = _count(g, x, table[None, :, :-1, -1])
    first = np.arange(len(edges), dtype=np.int64) * n_blocks
    block_edges = g.op("Gather", inside, g.op("Add", g.cast(block, "int64"), first))
    return g.cast(g.op("Add", g.op("Mul", block, np.float32(size)), _count(g, x, block_edges)), "int64")


def _count(g: Graph, x: Value, edges: Value | np.ndarray) -> Value:
    """Count the `edges` along the last axis that are not above `x`; as floats, since their sums are faster."""
    return g.op("ReduceSum", g.cast(g.op("GreaterOrEqual", x, edges), "float"), np.array([2]), keepdims=0)
