"""Columns of vectors inside the graph: missing vectors, clipping to the range of fit, scaling."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sklearn_fsmd.encoding.columns import VectorColumn
from sklearn_fsmd.export.onnx.names import Value

if TYPE_CHECKING:
    from sklearn_fsmd.export.onnx.graph import Graph


def scaled(g: Graph, column: VectorColumn, x: Value) -> Value:
    """Scale vectors ``(n, d)`` float as `VectorColumn.write_scaled` does.

    A row with a NaN in any component is a missing vector. It becomes the mean, which is 0 in every component.
    """
    missing = g.op("ReduceMax", g.cast(g.op("IsNaN", x), "float"), np.array([1]), keepdims=1)
    x = g.op("Min", g.op("Max", g.cast(x, "double"), column.low), column.high)
    x = g.cast(g.op("Div", g.op("Sub", x, column.center), column.scale), "float")
    return g.op("Where", g.op("Greater", missing, np.float32(0)), np.float32(0), x)
