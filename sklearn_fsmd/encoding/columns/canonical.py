"""The canonical form of a category: which values are equal, which are missing, of what kind, and which are refused.

:func:`canonical` computes it for one value. :func:`factorize` computes it for a column: it finds the distinct values
first, and is faster if all of them have one type. The form does not depend on the other values of the column, so a row
is encoded alone as it is in a table.

=============================================================  ===============================================
value                                                          canonical form
=============================================================  ===============================================
None, NaN, NaT, pd.NA; the numbers −1 and −2                   None: missing
True, 1, 1.0, Decimal("1.00")                                  the int 1
0.5, Decimal("0.5"), np.float32(0.1)                           the float with the same digits: 0.5, 0.5, 0.1
a string, an interval of pd.cut, a datetime.time, a UUID,      a str: themselves, "(0, 18]", "12:30:00", …
a path
bytes                                                          bytes
another hashable object, such as a tuple                       itself
a date or duration, a complex number, a list, infinity, a      refused
float so large that neighbouring integers are not distinct
=============================================================  ===============================================
"""

from __future__ import annotations

import datetime
import math
import os
import uuid
from collections.abc import Collection
from decimal import Decimal
from numbers import Rational
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch

MISSING_CODES = (-1, -2)
"""The codes by which category_encoders, scikit-learn and pandas mark unknown and missing values."""

Kind = Literal["numbers", "strings", "bytes", "mixed values"]

TIME_REMEDY = (
    "Convert it to features, e.g. the hour and the day of the week, by `sklearn_fsmd.compose.TimeFeatures` "
    "before the model."
)
DURATION_REMEDY = "Convert it to a number, e.g. by `.dt.total_seconds()`."
LOWEST, HIGHEST = int(np.iinfo(np.int64).min), int(np.iinfo(np.int64).max)
LARGEST_FLOAT32 = float(np.finfo(np.float32).max)
EXACT = 2.0**53
"""A float64 represents every integer below this number exactly."""
NUMPY_TIMES = (np.datetime64, np.timedelta64)
"""Times and durations of numpy. Their `item` is an integer if the unit is nanoseconds, and a duration counts as one."""
_DATES = (datetime.date, datetime.timedelta, *NUMPY_TIMES, pd.Period)
_KINDS: dict[type, Kind] = {int: "numbers", float: "numbers", str: "strings", bytes: "bytes"}


# ------------------------------------------------------------------------------------------------------------ a value


def canonical(value: Any, name: str) -> Any:
    """Convert a value to its canonical form, which equal values share; None if it is missing.

    Parameters
    ----------
    value : any Python or numpy scalar.
    name : the name of the column, for messages.

    Raises
    ------
    TypeError, ValueError
        If the value is neither a number nor a category, or is a float or decimal that may not be exact.
    """
    if type(value) is str:
        return value
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, np.timedelta64) and not np.isnat(value):  # a subclass of np.integer
        _refuse(value, name)
    if isinstance(value, (int, np.integer, np.bool_)):
        return _whole(int(value), name)
    if isinstance(value, (float, np.floating)):
        return _float(value, name)
    if isinstance(value, (Decimal, Rational)):
        return _fraction(value, name)
    if isinstance(value, (str, bytes)):
        return str.__str__(value) if isinstance(value, str) else bytes(value)
    if isinstance(value, datetime.time):
        return value.isoformat()
    if isinstance(value, (uuid.UUID, os.PathLike)):
        return str(value)
    if isinstance(value, pd.Interval):
        return str(pd.Interval(*map(_plain_end, (value.left, value.right)), closed=value.closed))
    _refuse(value, name)
    return value


def _plain_end(end: Any) -> Any:
    """Convert an end of an interval to an int if it is a whole number, so that 1.0 and 1 are equal."""
    return int(end) if isinstance(end, (float, np.floating)) and end.is_integer() else end


def kind_of(form: Any) -> Kind:
    """Return the kind of a canonical form."""
    return _KINDS.get(type(form), "mixed values")


def _whole(value: int, name: str) -> int | None:
    if value in MISSING_CODES:
        return None
    if not LOWEST <= value <= HIGHEST:
        raise _out_of_range(value, name)
    return value


def _out_of_range(value: Any, name: str) -> ValueError:
    limit = "above 2**63 - 1" if value > 0 else "below -2**63"
    return ValueError(f"Column {name!r} holds {value}: ids {limit} are not supported. Pass them as strings.")


def _float(value: Any, name: str) -> int | float | None:
    if value != value:
        return None
    is_double = isinstance(value, (float, np.longdouble))  # pandas converts long doubles to float64 too
    exact = EXACT if is_double else 2.0 ** (np.finfo(value.dtype).nmant + 1)
    if not -exact < value < exact:
        if np.isinf(value):
            raise ValueError(f"Input X contains infinity: column {name!r}.")
        raise ValueError(
            f"Column {name!r} holds {value:.17g} as {'float64' if is_double else value.dtype}, where neighbouring ids "
            "can no longer be told apart. Pass ids as integers or strings."
        )
    if value == (whole := int(value)):
        return _whole(whole, name)
    return float(value) if is_double else float(str(value))  # the float32 0.1 becomes the float64 0.1


def _fraction(value: Any, name: str) -> Any:
    is_decimal = isinstance(value, Decimal)
    if is_decimal and value.is_nan():
        return None
    if is_decimal and value.is_infinite():
        raise ValueError(f"Input X contains infinity: column {name!r}.")
    # Do not convert to int first, which is slow for numbers of very many digits.
    if (value.adjusted() if is_decimal else math.log10(abs(value.numerator) // value.denominator + 1)) > 19:
        raise _out_of_range(value, name)
    if value == (whole := int(value)):
        return _whole(whole, name)
    nearest = float(value)
    if not is_decimal:
        return nearest if nearest == value else value
    if abs(nearest) >= EXACT or Decimal(repr(nearest)) != value:
        raise ValueError(f"Column {name!r} holds {value}, which has more digits than a float64. Pass it as a string.")
    return nearest


def _refuse(value: Any, name: str) -> None:
    """Raise an error for a value that is neither a number nor a category."""
    if isinstance(value, _DATES):
        remedy = DURATION_REMEDY if isinstance(value, (datetime.timedelta, np.timedelta64)) else TIME_REMEDY
        raise TypeError(f"Column {name!r} holds {value!r}, which is neither a number nor a category. {remedy}")
    if isinstance(value, torch.Tensor):
        raise TypeError(f"Column {name!r} holds torch tensors. Pass numbers, or arrays of numpy: x.numpy().")
    if isinstance(value, (complex, np.complexfloating)):
        raise ValueError(f"Complex data not supported: column {name!r} holds {value}.")
    try:
        hash(value)
        has_value_hash = type(value).__hash__ is not object.__hash__  # type: ignore[comparison-overlap]
    except TypeError:
        has_value_hash = False
    if not has_value_hash:  # objects that are equal only to themselves
        raise nested_error(f"{value!r} of the type {type(value).__name__}", name)


def nested_error(content: str, name: str) -> TypeError:
    """Create the error for a column whose values are lists or the like."""
    return TypeError(
        f"Column {name!r} holds {content}, but here each argument must be a single string or number. Give each row one "
        "value, such as the last or the most frequent one, or leave the column out. Or, in a DataFrame, read it as "
        "lists: a `list_features` that is not 'auto' names all columns of lists. A ColumnTransformer returns a "
        'DataFrame after `.set_output(transform="pandas")`.'
    )


# ----------------------------------------------------------------------------------------------------------- a column


def factorize(column: Any, name: str) -> tuple[np.ndarray, np.ndarray, Kind | None]:
    """Encode a column: positions in the distinct canonical forms (−1 where missing), these forms, and their kind.

    The forms are int64 or float64 if this is exact, else objects. The kind is None if all values are missing.
    """
    dtype = getattr(column, "dtype", None)
    refuse_dtype(dtype, name)
    if isinstance(dtype, pd.CategoricalDtype):
        category = column.cat if isinstance(column, pd.Series) else column
        refuse_dtype(dtype.categories.dtype, name)
        positions, distinct = np.asarray(category.codes, dtype=np.int64), category.categories.to_numpy()
    else:
        if isinstance(dtype, pd.ArrowDtype) and dtype.numpy_dtype == np.float16:  # older Arrow cannot count it
            column = column.to_numpy(np.float16, na_value=np.nan)
            dtype = column.dtype
        if isinstance(dtype, pd.ArrowDtype) and _is_extension(dtype):  # such as UUIDs
            column = np.fromiter(column, dtype=object, count=len(column))
            dtype = column.dtype
        if isinstance(dtype, np.dtype):
            # From a Series, pandas would convert strings to Arrow, which fails for some. It has no long doubles.
            column = np.asarray(column, dtype=np.float64 if dtype == np.longdouble else dtype.newbyteorder("="))
        try:
            positions, distinct = pd.factorize(column)
            positions, distinct = positions.astype(np.int64, copy=False), np.asarray(distinct)
            if not _pandas_distinguishes(distinct):
                positions, distinct = _factorize_strings(column)
        except TypeError as error:
            for value in column:
                canonical(value, name)  # raises an error that names the value without a hash
            raise TypeError(f"Column {name!r}: each argument must be a single string or number ({error}).") from error
        except MemoryError:
            raise
        except Exception as error:  # several types from Arrow: times after 24 o'clock, strings that are not UTF-8
            raise ValueError(f"Column {name!r} cannot be read: {error}.") from error
    if isinstance(dtype, (pd.CategoricalDtype, pd.ArrowDtype)):  # drop categories that occur in no row
        used = np.zeros(len(distinct) + 1, dtype=bool)
        used[positions] = True
        positions, distinct = _without(~used[:-1], positions, distinct)
    forms, missing, kind = _canonical_array(distinct, name)
    if missing.any():
        positions, forms = _without(missing, positions, forms)
    if distinct.dtype.kind in "fO" and forms is not distinct:  # 0.0 and −0.0, or a time and its text, are equal now
        merged, forms = pd.factorize(forms) if _pandas_distinguishes(forms) else _factorize_strings(forms)
        positions = np.append(merged, -1)[positions]
    return positions, forms, kind if len(forms) else None


Counted = tuple[np.ndarray, np.ndarray, Kind | None]
"""Distinct canonical forms, their counts, and their kind."""


def add_counts(one: Counted, other: Counted) -> Counted:
    """Merge the counts of two parts of a column."""
    (a, a_counts, a_kind), (b, b_counts, b_kind) = one, other
    kind = a_kind if b_kind in (None, a_kind) else b_kind if a_kind is None else "mixed values"
    if a.dtype == b.dtype != object:
        values, inverse = np.unique(np.concatenate((a, b)), return_inverse=True)
        counts = np.zeros(len(values), dtype=np.int64)
        np.add.at(counts, inverse, np.concatenate((a_counts, b_counts)))
        return values, counts, kind
    merged: dict[Any, int] = dict(zip(a.tolist(), a_counts.tolist(), strict=True))
    for value, count in zip(b.tolist(), b_counts.tolist(), strict=True):
        merged[value] = merged.get(value, 0) + count
    values = as_array([*merged], kind) if kind else a
    return values, np.fromiter(merged.values(), np.int64, len(merged)), kind


def _pandas_distinguishes(values: np.ndarray) -> bool:
    """Whether pandas distinguishes these values: pandas 2 cuts strings at a NUL, and merges those beyond UTF-8."""
    try:
        text = "".join(values if values.dtype == object else ())
        text.encode()
    except UnicodeEncodeError:
        return False
    except TypeError:  # not only strings, so pandas compares objects
        return True
    return "\0" not in text


def _factorize_strings(column: Any) -> tuple[np.ndarray, np.ndarray]:
    """Do what ``pd.factorize`` should do for strings and missing values, but slowly."""
    known: dict[str, int] = {}
    positions = [known.setdefault(value, len(known)) if isinstance(value, str) else -1 for value in column]
    return np.array(positions, dtype=np.int64), np.array([*known], dtype=object)


def _without(dropped: np.ndarray, positions: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Drop some of `values`; return the new positions, −1 for dropped values, and the remaining values."""
    renumber = np.where(dropped, -1, np.cumsum(~dropped) - 1)
    return np.append(renumber, -1)[positions], values[~dropped]


def _canonical_array(values: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray, Kind]:
    """Convert distinct values to canonical forms; return these, which are missing, and the kind of the others."""
    match values.dtype.kind:
        case "b" | "i":
            whole = values.astype(np.int64, copy=False)
            return whole, np.isin(whole, MISSING_CODES), "numbers"
        case "u":
            if len(values) and values.max() > HIGHEST:
                canonical(values.max(), name)  # raises
            return values.astype(np.int64), np.zeros(len(values), dtype=bool), "numbers"
        case "f":
            return _canonical_floats(values, name)
        case "U" | "S":
            kind: Kind = "strings" if values.dtype.kind == "U" else "bytes"
            return values.astype(object), np.zeros(len(values), dtype=bool), kind
    if set(map(type, values)) == {str}:
        return values, np.zeros(len(values), dtype=bool), "strings"
    forms = [canonical(value, name) for value in values]
    kinds = {kind_of(form) for form in forms if form is not None}
    kind = kinds.pop() if len(kinds) == 1 else "mixed values"
    missing = np.array([form is None for form in forms], dtype=bool)
    return as_array(forms, kind), missing, kind


def _canonical_floats(values: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray, Kind]:
    missing = np.isnan(values)
    with np.errstate(invalid="ignore"):
        inexact = ~missing & ~(np.abs(values) < 2.0 ** (np.finfo(values.dtype).nmant + 1))
    if inexact.any():
        canonical(values[inexact][0], name)  # raises
    whole = np.where(missing, 0, values).astype(np.int64)
    missing |= np.isin(values, MISSING_CODES)
    if (missing | (whole == values)).all():
        return whole, missing, "numbers"
    exact = values if values.dtype == np.float64 else values.astype(str)  # see _float
    return exact.astype(np.float64), missing, "numbers"


def as_array(forms: list[Any], kind: Kind) -> np.ndarray:
    """Convert canonical forms, including missing ones, to an array."""
    if kind == "numbers":
        known = [form for form in forms if form is not None]
        if all(type(form) is int for form in known):
            return np.array([0 if form is None else form for form in forms], dtype=np.int64)
        if all(abs(form) < EXACT for form in known):
            return np.array([0 if form is None else form for form in forms], dtype=np.float64)
    return np.fromiter(forms, dtype=object, count=len(forms))


def refuse_dtype(dtype: Any, name: str) -> None:
    """Raise an error for a dtype of neither categories nor numbers."""
    kind = getattr(dtype, "kind", "")
    if kind in "mM" or isinstance(dtype, (pd.PeriodDtype, pd.DatetimeTZDtype)):
        remedy = DURATION_REMEDY if kind == "m" else TIME_REMEDY
        raise TypeError(f"Column {name!r} has dtype {dtype}, which is neither a number nor a category. {remedy}")
    if kind == "c":
        raise ValueError(f"Complex data not supported: column {name!r} has dtype {dtype}.")
    if isinstance(dtype, pd.SparseDtype):
        raise TypeError(f"Sparse data was passed: column {name!r} has dtype {dtype}. Use .sparse.to_dense().")
    if kind == "V" or holds_lists(dtype):
        raise nested_error(f"values of the type {dtype}", name)


def holds_lists(dtype: Any) -> bool:
    """Whether a dtype is a nested type of Arrow, such as a list."""
    if not isinstance(dtype, pd.ArrowDtype):
        return False
    import pyarrow.types  # installed, since there is such a dtype

    return pyarrow.types.is_nested(dtype.pyarrow_dtype)


def _is_extension(dtype: pd.ArrowDtype) -> bool:
    import pyarrow as pa

    return isinstance(dtype.pyarrow_dtype, pa.BaseExtensionType)


def columns_of_x(names: Collection[Any]) -> str:
    """Beginning of a warning: the columns that it is about."""
    return f"{'Columns' if len(names) > 1 else 'Column'} {', '.join(map(repr, names))} of X"


def shown(value: Any) -> str:
    """Format a value for a message: 5, not np.int64(5)."""
    is_plain = isinstance(value, np.generic) and not isinstance(value, NUMPY_TIMES)
    return repr(value.item() if is_plain else value)
