"""One form for equal values: what the values of a column are, whatever type they come in.

3, 3.0 and True-as-1 are one integer wherever that loses nothing. What is neither a number nor a category is refused
here, with the column and the value.
"""

from __future__ import annotations

import datetime
from numbers import Integral
from typing import Any, Literal

import numpy as np
import pandas as pd

MISSING_CODES = (-1, -2)
"""The codes by which category_encoders, scikit-learn and pandas mark unknown and missing values."""

Kind = Literal["numbers", "strings", "bytes", "mixed values"]

INSTEAD = "Turn it into what matters of it, e.g. the hour, the day of the week or an age in days."


def factorize(column: Any, name: str) -> tuple[np.ndarray, np.ndarray, Kind | None]:
    """Positions into the distinct values (−1 where missing), these values, and what they are."""
    dtype = getattr(column, "dtype", None)
    refuse_dtype(dtype, name)
    if isinstance(dtype, pd.CategoricalDtype):
        category = column.cat if isinstance(column, pd.Series) else column
        positions, distinct = np.asarray(category.codes, dtype=np.int64), category.categories.to_numpy()
        refuse_dtype(category.categories.dtype, name)
        used = np.zeros(len(distinct) + 1, dtype=bool)
        used[positions] = True  # levels without a row are no values of the column
        renumber = np.where(used[:-1], np.cumsum(used[:-1]) - 1, -1)
        positions, distinct = np.append(renumber, -1)[positions], distinct[used[:-1]]
    else:
        try:
            positions, distinct = pd.factorize(column)
        except TypeError as error:
            bad = next((v for v in column if not pd.api.types.is_hashable(v)), None)
            raise TypeError(
                f"argument must be a string or a number: column {name!r} holds {bad!r} ({error})."
            ) from error
        positions = positions.astype(np.int64, copy=False)
    values, kind = _canonical(np.asarray(distinct), name)
    missing = np.zeros(len(values), dtype=bool)
    if kind == "numbers":
        missing = np.isin(values, MISSING_CODES)
    elif values.dtype == object:
        missing = pd.isna(values) | np.array([isinstance(v, Integral) and v in MISSING_CODES for v in values], bool)
    if missing.any():
        renumber = np.where(missing, -1, np.cumsum(~missing) - 1)
        positions, values = np.append(renumber, -1)[positions], values[~missing]
    return positions, values, kind if len(values) else None


def _canonical(values: np.ndarray, name: str) -> tuple[np.ndarray, Kind]:
    """One form for equal values: 3, 3.0 and True-as-1 are int64 wherever that loses nothing."""
    if values.dtype == object:
        inferred = pd.api.types.infer_dtype(values, skipna=True)
        if inferred in ("string", "empty"):
            return values, "strings"
        if all(isinstance(value, bytes) for value in values):
            return values, "bytes"
        if inferred in ("integer", "boolean", "floating", "mixed-integer-float"):
            numbers = pd.Series(values[~pd.isna(values)]).infer_objects().to_numpy()
            if numbers.dtype != object and len(numbers) == len(values):
                return _canonical(numbers, name)
        if inferred == "integer":
            raise _beyond_int64(max(values, key=abs), name)
        if inferred.startswith(("date", "timedelta", "period")):
            refuse_dtype(np.dtype("M8[ns]"), name)
        if inferred == "interval":  # of pd.cut: known by their text
            return np.array([v if pd.isna(v) else str(v) for v in values], dtype=object), "strings"
        _refuse_objects(values, name)
        return values, "mixed values"
    if values.dtype.kind in "US":
        return values.astype(object), "strings" if values.dtype.kind == "U" else "bytes"
    if values.dtype.kind == "b":
        return values.astype(np.int64), "numbers"
    if values.dtype.kind == "u" and len(values) and values.max() > np.iinfo(np.int64).max:
        raise _beyond_int64(values.max(), name)
    if values.dtype.kind in "iu":
        return values.astype(np.int64, copy=False), "numbers"
    return _canonical_floats(values, name)


def _canonical_floats(values: np.ndarray, name: str) -> tuple[np.ndarray, Kind]:
    if np.isinf(values).any():
        raise ValueError(f"Input X contains infinity: column {name!r}.")
    exact = 2.0 ** (np.finfo(values.dtype).nmant + 1)
    if len(values) and np.abs(values).max() >= exact:
        raise ValueError(
            f"Column {name!r} holds {values[np.abs(values).argmax()]:.17g} as {values.dtype}, where neighbouring ids "
            "can no longer be told apart. Pass ids as integers or strings."
        )
    whole = values.astype(np.int64)
    if (whole == values).all():
        return whole, "numbers"
    # Through its text, a float32 of 0.1 becomes the float64 of 0.1.
    return (values if values.dtype == np.float64 else values.astype(str).astype(np.float64)), "numbers"


def _beyond_int64(value: Any, name: str) -> ValueError:
    return ValueError(f"Column {name!r} holds {value}: ids above 2**63 - 1 are not supported. Pass them as strings.")


def refuse_dtype(dtype: Any, name: str) -> None:
    """Raise for what is neither a category nor a number."""
    kind = getattr(dtype, "kind", "")
    if kind in "mM" or isinstance(dtype, (pd.PeriodDtype, pd.DatetimeTZDtype)):
        raise TypeError(f"Column {name!r} has dtype {dtype}, which is neither a number nor a category. {INSTEAD}")
    if kind == "c":
        raise ValueError(f"Complex data not supported: column {name!r} has dtype {dtype}.")
    if isinstance(dtype, pd.SparseDtype):
        raise TypeError(f"Sparse data was passed: column {name!r} has dtype {dtype}. Use .sparse.to_dense().")


def _refuse_objects(values: np.ndarray, name: str) -> None:
    """Raise for what among mixed values is neither a number nor a category."""
    for value in values:
        if isinstance(value, (datetime.date, datetime.timedelta, np.datetime64, np.timedelta64, pd.Period)):
            raise TypeError(f"Column {name!r} holds {value!r}, which is neither a number nor a category. {INSTEAD}")
        if isinstance(value, (complex, np.complexfloating)):
            raise ValueError(f"Complex data not supported: column {name!r} holds {value}.")
        if type(value).__hash__ is object.__hash__:  # type: ignore[comparison-overlap] # no other is equal to it
            raise TypeError(f"argument must be a string or a number: column {name!r} holds {value!r}.")


def shown(value: Any) -> str:
    """A value as a message shows it: 5, not np.int64(5)."""
    return repr(value.item() if isinstance(value, np.generic) else value)
