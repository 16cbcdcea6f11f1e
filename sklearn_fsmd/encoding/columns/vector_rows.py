"""Reader of a column of vectors: one array of numbers, or an error that names the row that is not a vector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from sklearn_fsmd.encoding.columns.canonical import LARGEST_FLOAT32, NUMPY_TIMES, shown
from sklearn_fsmd.encoding.columns.lists import is_present, items_of

ORDERED = (list, tuple, np.ndarray)
NUMBERS = (int, float, np.floating)


def read_vectors(column: Any, name: str, width: int | None) -> np.ndarray:
    """Read all rows of a column, ``(n, d)`` float32; rows without a vector, and only these, are NaN.

    Parameters
    ----------
    column : Series or 1-D array.
    name : the name of the column, for messages.
    width : required length of each vector; None for the length of the first one.

    Raises
    ------
    ValueError
        If a row holds something else, is of another length, or has a value that is not a finite number.
    """
    is_known, vectors = _arrow_block(column) if isinstance(column.dtype, pd.ArrowDtype) else _block(column.tolist())
    if vectors is None or not _are_valid(vectors, width):
        rows = column.tolist()
        refuse_invalid_row(rows, name, width)
        vectors = np.array([[float(value) for value in row] for row in rows if is_present(row)])  # of unusual types
    with np.errstate(over="ignore"):  # numbers slightly above the largest float32 are rounded to it
        vectors = vectors.astype(np.float32, copy=False)
    if is_known.all():
        return vectors
    x = np.full((len(is_known), width or (vectors.shape[1] if vectors.ndim == 2 else 0)), np.nan, dtype=np.float32)
    if len(vectors):
        x[is_known] = vectors
    return x


def _are_valid(vectors: np.ndarray, width: int | None) -> bool:
    """Whether these are finite numbers, and each row has the required length."""
    if vectors.dtype.kind not in "biuf" or vectors.ndim != 2:
        return False
    if not len(vectors):
        return True
    if not 0 < vectors.shape[1] == (width or vectors.shape[1]):
        return False
    return -LARGEST_FLOAT32 <= float(vectors.min()) <= float(vectors.max()) <= LARGEST_FLOAT32  # False for NaN


def _block(rows: Sequence[Any]) -> tuple[np.ndarray, np.ndarray | None]:
    """Return which rows have a vector, ``(n,)`` bool, and these vectors, ``(m, d)``, or None if some are invalid."""
    is_known = np.array([is_present(row) for row in rows], dtype=bool)
    known = rows if is_known.all() else [row for row in rows if is_present(row)]
    if all(type(row) is np.ndarray and row.dtype.kind in "biuf" for row in known):
        if len({row.shape for row in known}) > 1 or (known and known[0].ndim != 1):
            return is_known, None
        return is_known, np.concatenate(known).reshape(len(known), -1) if known else np.empty((0, 0))
    if not all(isinstance(row, ORDERED) for row in known):
        return is_known, None
    lists = [items_of(row) if isinstance(row, np.ndarray) else row for row in known]
    try:
        return is_known, np.array(lists)
    except ValueError:  # of several lengths
        return is_known, None


def _arrow_block(column: Any) -> tuple[np.ndarray, np.ndarray | None]:
    """Do the same for lists of Arrow, whose numbers are contiguous."""
    import pyarrow as pa  # installed, since there is such a column
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


def refuse_invalid_row(rows: Sequence[Any], name: str, width: int | None) -> None:
    """Raise an error for the first row that is neither missing nor a vector of `width` finite numbers."""
    for i, row in enumerate(rows):
        if not is_present(row):
            continue
        message = f"Column {name!r} holds vectors{f' of {width} numbers' if width else ''}, and in row {i}"
        if not isinstance(row, ORDERED):
            raise ValueError(f"{message} {shown(row)}. A row without a vector holds None.")
        if isinstance(row, np.ndarray) and row.ndim != 1:
            raise ValueError(f"{message} an array of the shape {row.shape}. A vector is flat, as `ravel()` makes it.")
        for value in row:
            if not _is_number(value):
                raise ValueError(
                    f"{message} one with {shown(value)} in it. A vector is made of finite numbers; a row without one "
                    "holds None. If these are lists of categories, name the column in `list_features`."
                )
        if len(row) == 0 or len(row) != (width or len(row)):
            raise ValueError(
                f"{message} one of {len(row)}. If they are vectors, give all rows one length, or None; if they are "
                "lists of categories, name the column in `list_features`."
            )
        width = len(row)


def _is_number(value: Any) -> bool:
    """Whether a value is a finite number that a float32 can hold."""
    if isinstance(value, NUMPY_TIMES):
        return False
    value = value.item() if isinstance(value, np.generic) else value
    return isinstance(value, NUMBERS) and bool(-LARGEST_FLOAT32 <= value <= LARGEST_FLOAT32)
