"""The rows of a column of vectors as one block of numbers; what is no vector is refused, with its row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from sklearn_fsmd.encoding.canonical import LARGEST_FLOAT32, shown
from sklearn_fsmd.encoding.lists import is_there

ORDERED = (list, tuple, np.ndarray)
NUMBERS = (int, float, np.floating)


def read_vectors(column: Any, name: str, width: int | None) -> np.ndarray:
    """All rows of a column, ``(n, d)`` float32. A row without a vector has NaN, and no other row has.

    Parameters
    ----------
    column : Series or 1-D array.
    name : of the column, for messages.
    width : how many numbers each vector must have; None for as many as the first one has.

    Raises
    ------
    ValueError
        If a row holds something else, is of another length, or has a value that is no finite number.
    """
    is_known, vectors = _arrow_block(column) if isinstance(column.dtype, pd.ArrowDtype) else _block(column.tolist())
    if vectors is None or not _are_right(vectors, width):
        rows = column.tolist()
        refuse_odd_row(rows, name, width)
        vectors = np.array([[float(value) for value in row] for row in rows if is_there(row)])  # of unusual types
    with np.errstate(over="ignore"):  # what is just above the largest float32 is rounded to it
        vectors = vectors.astype(np.float32, copy=False)
    if is_known.all():
        return vectors
    x = np.full((len(is_known), width or (vectors.shape[1] if vectors.ndim == 2 else 0)), np.nan, dtype=np.float32)
    if len(vectors):
        x[is_known] = vectors
    return x


def _are_right(vectors: np.ndarray, width: int | None) -> bool:
    """Whether these are finite numbers, of the right number a row."""
    if vectors.dtype.kind not in "biuf" or vectors.ndim != 2:
        return False
    if not len(vectors):
        return True
    if not 0 < vectors.shape[1] == (width or vectors.shape[1]):
        return False
    return -LARGEST_FLOAT32 <= float(vectors.min()) <= float(vectors.max()) <= LARGEST_FLOAT32  # not NaN


def _block(rows: Sequence[Any]) -> tuple[np.ndarray, np.ndarray | None]:
    """Which rows have a vector, ``(n,)`` bool, and these vectors, ``(m, d)``; None if there is anything else."""
    is_known = np.array([is_there(row) for row in rows], dtype=bool)
    known = rows if is_known.all() else [row for row in rows if is_there(row)]
    if all(type(row) is np.ndarray and row.dtype.kind in "biuf" for row in known):
        if len({row.shape for row in known}) > 1 or (known and known[0].ndim != 1):
            return is_known, None
        return is_known, np.concatenate(known).reshape(len(known), -1) if known else np.empty((0, 0))
    if not all(isinstance(row, ORDERED) for row in known):
        return is_known, None
    lists = [row.tolist() if isinstance(row, np.ndarray) else row for row in known]
    try:
        return is_known, np.array(lists)
    except ValueError:  # of several lengths
        return is_known, None


def _arrow_block(column: Any) -> tuple[np.ndarray, np.ndarray | None]:
    """The same of lists of Arrow, whose numbers lie one after the other already."""
    import pyarrow as pa  # which is there where such a column is
    import pyarrow.compute as pc

    array = column.array.__arrow_array__()
    array = array.chunk(0) if array.num_chunks == 1 else array.combine_chunks()
    is_known = array.is_valid().to_numpy(zero_copy_only=False)
    if not isinstance(array, (pa.ListArray, pa.LargeListArray, pa.FixedSizeListArray)):
        return is_known, None
    lengths = pc.list_value_length(array).drop_null().to_numpy()
    if not len(lengths):
        return is_known, np.empty((0, 0))
    if (lengths != lengths[0]).any():
        return is_known, None
    return is_known, array.flatten().to_numpy(zero_copy_only=False).reshape(len(lengths), -1)


def refuse_odd_row(rows: Sequence[Any], name: str, width: int | None) -> None:
    """Raise for the first row that is neither missing nor a vector of `width` finite numbers, if there is one."""
    for i, row in enumerate(rows):
        if not is_there(row):
            continue
        found = f"Column {name!r} holds vectors{f' of {width} numbers' if width else ''}, and in row {i}"
        if not isinstance(row, ORDERED):
            raise ValueError(f"{found} {shown(row)}. A row without a vector holds None.")
        if isinstance(row, np.ndarray) and row.ndim != 1:
            raise ValueError(f"{found} an array of the shape {row.shape}. A vector is flat, as `ravel()` makes it.")
        for value in row:
            if not _is_number(value):
                raise ValueError(
                    f"{found} one with {shown(value)} in it. A vector is made of finite numbers; a row without one "
                    "holds None. If these are lists of categories, name the column in `list_features`."
                )
        if len(row) == 0 or len(row) != (width or len(row)):
            raise ValueError(
                f"{found} one of {len(row)}. If they are vectors, give all rows one length, or None; if they are lists "
                "of categories, name the column in `list_features`."
            )
        width = len(row)


def _is_number(value: Any) -> bool:
    """Whether a value is a finite number that a float32 can hold."""
    value = value.item() if isinstance(value, np.generic) else value
    return isinstance(value, NUMBERS) and bool(-LARGEST_FLOAT32 <= value <= LARGEST_FLOAT32)
