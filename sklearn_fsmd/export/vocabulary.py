"""Categories become codes inside the graph: a table from each known value to its code, and 0 for everything else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sklearn_fsmd._warn import warn
from sklearn_fsmd.encoding import CategoryColumn
from sklearn_fsmd.export.columns import Column
from sklearn_fsmd.export.names import Value

if TYPE_CHECKING:
    from sklearn_fsmd.export.graph import Graph

DOMAIN = "ai.onnx.ml"
UNKNOWN = 0


def codes(g: Graph, column: Column, values: Value) -> Value:
    """The codes of `values` ``(n,)``, counted within the column, ``(n,)`` int64."""
    assert column.vocabulary is not None
    known, numbers = _writable(column.vocabulary, column.name)
    return look_up(g, values, known, numbers)


def look_up(g: Graph, values: Value, known: np.ndarray, codes: np.ndarray) -> Value:
    """The code of each of `values` ``(n,)``; 0 where it is not among the `known` ones."""
    if not len(known):
        return g.op("ConstantOfShape", g.op("Shape", values), value=np.array([UNKNOWN], np.int64))
    return g.op(
        "LabelEncoder",
        values,
        domain=DOMAIN,
        keys_tensor=known,
        values_tensor=codes.astype(np.int64),
        default_tensor=np.array([UNKNOWN], np.int64),
    )


def _writable(vocabulary: CategoryColumn, name: str) -> tuple[np.ndarray, np.ndarray]:
    """The known values and their codes, without strings that are no valid Unicode: no client can send these."""
    known = vocabulary.values.to_numpy()
    codes = np.arange(1, len(known) + 1)
    if known.dtype != object:
        return known, codes
    valid = np.array([_is_unicode(value) for value in known], dtype=bool)
    if not valid.all():
        warn(
            f"Column {name!r}: {np.sum(~valid)} of its values cannot be written as UTF-8, such as "
            f"{known[~valid][0]!r}. They are unknown to the file."
        )
    return known[valid], codes[valid]


def _is_unicode(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
