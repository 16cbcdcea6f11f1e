"""Compressed embedding tables inside the graph: values share rows, and may have a row of quotients in addition."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from sklearn_fsmd.export.onnx.names import Value
from sklearn_fsmd.export.onnx.rows import Rows
from sklearn_fsmd.network import Layout, Range

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sklearn_fsmd.export.onnx.graph import Graph


def compressed(g: Graph, layout: Layout | None, rows: Rows) -> Rows:
    """Replace the codes of the rows by indices into the smaller table of `layout`."""
    if layout is None:
        return rows
    codes, quotients = (None, None) if rows.codes is None else _split(g, layout, layout.columns, rows.codes)
    list_columns = []
    for column, r in zip(rows.lists, layout.of_lists, strict=True):
        table_rows, quotient_rows = _split(g, layout, [r], column.codes)
        list_columns.append(replace(column, codes=table_rows, quotients=quotient_rows))
    return replace(rows, codes=codes, quotients=quotients, lists=tuple(list_columns))


def _split(g: Graph, layout: Layout, ranges: Sequence[Range], codes: Value) -> tuple[Value, Value | None]:
    """Rows of the table and of the quotients, as :class:`Layout` computes them.

    Parameters
    ----------
    ranges : of the columns of `codes` ``(n, F)``, or the range of one column with codes ``(m,)``.
    """
    per_column = {name: np.array([getattr(r, name) for r in ranges], np.int64) for name in Range._fields}
    zero = np.int64(0)
    i = g.op("Sub", codes, per_column["first_code"] + per_column["n_own"])
    row = g.op("Where", g.op("GreaterOrEqual", i, zero), g.op("Mod", i, per_column["modulus"]), i)
    row = g.op("Add", row, per_column["first_row"] + per_column["n_own"])
    if not layout.has_quotients:
        return row, None
    quotient = g.op("Div", i, per_column["modulus"])  # 0 or less for unknown and missing values, rounded to either side
    is_positive = g.op("Greater", quotient, zero)
    return row, g.op("Where", is_positive, g.op("Add", quotient, per_column["first_quotient"] - 1), zero)
