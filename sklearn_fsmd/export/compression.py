"""Rows that values share, inside the graph: codes become rows of a smaller table, and rows of the quotients."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from sklearn_fsmd.export.names import Value
from sklearn_fsmd.export.rows import Rows
from sklearn_fsmd.network import Layout, Range

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sklearn_fsmd.export.graph import Graph


def shared_rows(g: Graph, layout: Layout | None, rows: Rows) -> Rows:
    """The same rows, whose codes are rows of the table of `layout`."""
    if layout is None:
        return rows
    codes, quotients = (None, None) if rows.codes is None else _split(g, layout, layout.columns, rows.codes)
    of_lists = []
    for column, r in zip(rows.lists, layout.of_lists, strict=True):
        own, of_values = _split(g, layout, [r], column.codes)
        of_lists.append(replace(column, codes=own, quotients=of_values))
    return replace(rows, codes=codes, quotients=quotients, lists=tuple(of_lists))


def _split(g: Graph, layout: Layout, ranges: Sequence[Range], codes: Value) -> tuple[Value, Value | None]:
    """What :class:`Layout` makes of codes ``(n, F)`` of these columns, or ``(m,)`` of one."""
    of = {name: np.array([getattr(r, name) for r in ranges], np.int64) for name in Range._fields}
    zero, one = np.int64(0), np.int64(1)
    i = g.op("Sub", codes, of["first_code"] + 1)
    known = g.op("GreaterOrEqual", i, zero)
    row = g.op("Where", known, g.op("Add", g.op("Mod", i, of["modulus"]), one), zero)
    row = g.op("Add", row, of["first_row"])
    if not layout.has_quotients:
        return row, None
    quotient = g.op("Div", i, of["modulus"])  # rounded towards 0, which is right for −1 too
    shares = g.op("Greater", quotient, zero)
    return row, g.op("Where", shares, g.op("Add", quotient, of["first_quotient"] - 1), zero)
