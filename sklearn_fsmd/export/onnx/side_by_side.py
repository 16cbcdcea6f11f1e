"""Columns ``(n,)`` become a table ``(n, N)``: they are concatenated and then reshaped.

For a single row this takes less time than to unsqueeze each column first. The reshape alone would treat columns of 1, 2
and 3 values as three columns of 2, so each function also makes columns of different lengths an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from sklearn_fsmd.export.onnx.names import Value

if TYPE_CHECKING:
    from sklearn_fsmd.export.onnx.graph import Graph


def numbers(g: Graph, columns: Sequence[Value]) -> Value:
    """Join columns of numbers. `Max` raises the error for different lengths."""
    if len(columns) == 1:
        return g.op("Unsqueeze", columns[0], np.array([1]))
    n = g.op("Shape", g.op("Max", *columns))
    # Not a Concat: onnxruntime fuses that with the Reshape, infers n itself, and drops the `Max`.
    return _reshaped(g, columns, g.op("Where", np.array([False, True]), n, np.array([len(columns)])))


def codes(g: Graph, columns: Sequence[Value], sizes: Sequence[int]) -> Value:
    """Join columns of codes; the result counts codes from 0 in each column.

    The ranges of codes of the columns do not overlap, so a code shows which column it comes from. If the lengths
    differ, a column has a code of its neighbour in the first or the last row, so only these two rows are checked. That
    is faster than `Max` over many columns.

    Parameters
    ----------
    columns : their codes are numbered consecutively, column after column.
    sizes : number of codes of each column.
    """
    starts = np.cumsum([0, *sizes[:-1]])
    if len(columns) == 1:
        return g.op("Unsqueeze", columns[0], np.array([1]))
    table = _reshaped(g, columns, np.array([len(columns), -1]))
    first_and_last = g.op("Gather", table, np.array([0, -1]), axis=0)
    is_wrong = g.op("Or", g.op("Less", first_and_last, starts), g.op("Greater", first_and_last, starts + sizes - 1))
    any_wrong = g.op("ReduceMax", g.cast(is_wrong, "int64"), keepdims=0)
    return g.op("Sub", table, g.op("Gather", starts[None], any_wrong))  # `starts[None]` has no row 1: that is an error


def _reshaped(g: Graph, columns: Sequence[Value], shape: Value | np.ndarray) -> Value:
    return g.op("Transpose", g.op("Reshape", g.concat(list(columns), axis=0), shape), perm=[1, 0])
