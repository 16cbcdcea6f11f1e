"""Target statistics inside the graph: a table per key, read by the codes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sklearn_fsmd.encoding import TargetStatistics
from sklearn_fsmd.export import vocabulary
from sklearn_fsmd.export.names import Value

if TYPE_CHECKING:
    from sklearn_fsmd.export.graph import Graph


def look_up(g: Graph, statistics: TargetStatistics, codes: list[Value]) -> Value:
    """What `TargetStatistics.look_up` makes of the codes of each category ``(n,)``: ``(n, n_columns)``.

    Codes are counted within their column.
    """
    found = []
    for i, (key, table) in enumerate(zip(statistics.keys, statistics.tables, strict=True)):
        own = [codes[f] for f in key]
        known = statistics.known[i]
        index = own[0]
        if known is not None:
            combined = _combined(g, own, statistics.sizes[i])
            index = vocabulary.look_up(g, combined, known.astype(np.int64), np.arange(1, len(known) + 1))
        found.append(g.op("Gather", table.astype(np.float32), index))
    return g.concat(found)


def _combined(g: Graph, codes: list[Value], sizes: list[int]) -> Value:
    """One number for the codes of a key, 0 where one of them is unknown."""
    combined = codes[0]
    for column, size in zip(codes[1:], sizes[1:], strict=True):
        both = g.op("And", g.op("Greater", combined, np.int64(0)), g.op("Greater", column, np.int64(0)))
        joined = g.op("Add", g.op("Mul", combined, np.int64(size)), column)
        combined = g.op("Where", both, joined, np.int64(0))
    return combined
