"""Target statistics inside the graph: the codes are looked up in the tables of all keys."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from sklearn_fsmd.encoding.statistics import TargetStatistics
from sklearn_fsmd.export.onnx import vocabulary
from sklearn_fsmd.export.onnx.names import Value

if TYPE_CHECKING:
    from sklearn_fsmd.export.onnx.graph import Graph


def look_up(g: Graph, statistics: TargetStatistics, codes: Value) -> Value:
    """The statistics ``(n, n_columns)`` for the codes of the categories ``(n, F)``, as in `TargetStatistics.look_up`.

    Codes are counted from 0 in each column. The tables of all keys are stacked in one.
    """
    index = []
    for is_combination, keys in groupby(enumerate(statistics.keys), lambda key: len(key[1]) > 1):
        if is_combination:
            index += [_row_of(g, statistics, i, codes) for i, _ in keys]
        else:
            index.append(g.op("Gather", codes, np.array([f for _, (f,) in keys]), axis=1))
    starts = np.cumsum([0, *(len(table) for table in statistics.tables[:-1])])
    rows = g.op("Add", g.concat(index), starts)
    return g.op("Flatten", g.op("Gather", np.concatenate(statistics.tables).astype(np.float32), rows), axis=1)


def _row_of(g: Graph, statistics: TargetStatistics, i: int, codes: Value) -> Value:
    """The row of each combination in the table of key `i`, ``(n, 1)``; 0 if it is unknown."""
    known = statistics.known[i]
    assert known is not None
    key_codes = [g.op("Gather", codes, np.int64(f), axis=1) for f in statistics.keys[i]]
    combined = _combined(g, key_codes, statistics.sizes[i])
    row = vocabulary.look_up(g, combined, known.astype(np.int64), np.arange(1, len(known) + 1))
    return g.op("Unsqueeze", row, np.array([1]))


def _combined(g: Graph, codes: list[Value], sizes: list[int]) -> Value:
    """One number for each combination of the codes of a key; 0 if one of them is unknown."""
    combined = codes[0]
    for column, size in zip(codes[1:], sizes[1:], strict=True):
        both = g.op("And", g.op("Greater", combined, np.int64(0)), g.op("Greater", column, np.int64(0)))
        joined = g.op("Add", g.op("Mul", combined, np.int64(size)), column)
        combined = g.op("Where", both, joined, np.int64(0))
    return combined
