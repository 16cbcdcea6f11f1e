"""Categories become codes inside the graph: known values, perhaps also missing ones, and one code for all others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sklearn_fsmd.encoding.columns import MISSING_CODES, UNKNOWN, CategoryColumn
from sklearn_fsmd.export.onnx.columns import Column
from sklearn_fsmd.export.onnx.names import Value
from sklearn_fsmd.parameters import warn

if TYPE_CHECKING:
    from sklearn_fsmd.export.onnx.graph import Graph

DOMAIN = "ai.onnx.ml"


def codes(g: Graph, column: Column, values: Value, offset: int) -> Value:
    """The codes of `values`, ``(n,)`` int64. They begin at `offset`, which is the code of unknown values."""
    vocabulary = column.vocabulary
    assert vocabulary is not None
    known, known_codes = _writable(vocabulary, column.name)
    if column.encoder is not vocabulary or vocabulary.missing == UNKNOWN:  # lists hold no missing values
        return look_up(g, values, known, offset + known_codes, unknown=offset)
    marks = np.array([column.missing_mark] if column.type == "string" else MISSING_CODES, dtype=known.dtype)
    known = np.concatenate((known, marks))
    known_codes = np.append(known_codes, np.full(len(marks), vocabulary.missing))
    found = look_up(g, values, known, offset + known_codes, unknown=offset)
    if column.type != "double":
        return found
    return g.op("Where", g.op("IsNaN", values), np.int64(offset + vocabulary.missing), found)


def look_up(g: Graph, values: Value, known: np.ndarray, codes: np.ndarray, unknown: int = 0) -> Value:
    """The codes of `values` ``(n,)``; `unknown` for values that are not among `known`."""
    if not len(known):
        return g.op("ConstantOfShape", g.op("Shape", values), value=np.array([unknown], np.int64))
    return g.op(
        "LabelEncoder",
        values,
        domain=DOMAIN,
        keys_tensor=known,
        values_tensor=codes.astype(np.int64),
        default_tensor=np.array([unknown], np.int64),
    )


def _writable(vocabulary: CategoryColumn, name: str) -> tuple[np.ndarray, np.ndarray]:
    """The known values and their codes, without strings that are not valid Unicode: no client can send these."""
    known = vocabulary.values.to_numpy()
    codes = np.arange(vocabulary.first, vocabulary.n_rows)
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
