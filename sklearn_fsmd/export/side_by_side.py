"""Columns ``(n,)`` become a table ``(n, N)``: laid end to end and then cut.

For a single row this takes less time than setting each column upright. The cut alone would take columns of 1, 2 and 3
values for three of 2, so each function makes sure of the lengths: columns of different lengths are an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from sklearn_fsmd.export.names import Value

if TYPE_CHECKING:
    from sklearn_fsmd.export.graph import Graph


def numbers(g: Graph, columns: Sequence[Value]) -> Value:
    """Columns of numbers. `Max` raises the error."""
    if len(columns) == 1:
        return g.op("Unsqueeze", columns[0], np.array([1]))
    n = g.op("Shape", g.op("Max", *columns))
    # Not a Concat: onnxruntime fuses that with the Reshape, guesses n, and leaves out the `Max`.
    return _cut(g, columns, g.op("Where", np.array([False, True]), n, np.array([len(columns)])))


def codes(g: Graph, columns: Sequence[Value], sizes: Sequence[int]) -> Value:
    """Columns of codes, counted within each column.

    Whether a code stands where it belongs is seen from the code itself, and it is enough to look at the first and the
    last row: the first column of another length has a code of its neighbour there, or its neighbour one of it. That
    is faster than `Max` over many columns.

    Parameters
    ----------
    columns : the codes of each are counted on from those of the former one.
    sizes : how many codes each has.
    """
    starts = np.cumsum([0, *sizes[:-1]])
    if len(columns) == 1:
        return g.op("Unsqueeze", columns[0], np.array([1]))
    table = _cut(g, columns, np.array([len(columns), -1]))
    ends = g.op("Gather", table, np.array([0, -1]), axis=0)
    wrong = g.op("Or", g.op("Less", ends, starts), g.op("Greater", ends, starts + sizes - 1))
    any_wrong = g.op("ReduceMax", g.cast(wrong, "int64"), keepdims=0)
    return g.op("Sub", table, g.op("Gather", starts[None], any_wrong))  # there is a row 0, and no row 1


def _cut(g: Graph, columns: Sequence[Value], shape: Value | np.ndarray) -> Value:
    return g.op("Transpose", g.op("Reshape", g.concat(list(columns), axis=0), shape), perm=[1, 0])
