"""Times and durations as whole nanoseconds."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from sklearn_fsmd.encoding.columns import shown

UNITS = {"D": 86_400 * 10**9, "h": 3_600 * 10**9, "m": 60 * 10**9, "s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}

COARSEST = 10**6
"""Nanoseconds, one millisecond: floats with a coarser resolution are refused."""
NO_EVENT = int(np.iinfo(np.int64).min)
"""Stands for the time of the last event if there is none."""
LONGEST = 2**62
"""Nanoseconds, 146 years. The difference of two times within this of 1970 fits into int64."""


def timestamps(column: pd.Series, unit: str | None) -> tuple[np.ndarray, bool]:
    """Return the times of a column as ``(n,)`` int64 nanoseconds since 1970, and whether they have a time zone.

    A date stands for its midnight.

    Raises
    ------
    ValueError
        If a time is missing or too far from 1970, the column holds numbers and `unit` is None, or it holds neither
        datetimes nor numbers.
    """
    name = column.name
    missing = np.flatnonzero(column.isna())
    if len(missing):
        raise ValueError(
            f"Column {name!r} has no time in {len(missing):,} of {len(column):,} rows, the first of them row "
            f"{missing[0]}. Leave these rows out."
        )
    column = _parsed(column)
    kind = column.dtype.kind
    if kind == "M" or isinstance(column.dtype, pd.DatetimeTZDtype):
        zone = getattr(column.dt, "tz", None)
        utc = column if zone is None else column.dt.tz_convert("UTC").dt.tz_localize(None)
        far = np.abs(utc.astype("datetime64[s]").to_numpy().astype(np.int64)) >= LONGEST // 10**9
        if far.any():
            row = int(np.argmax(far))
            raise ValueError(
                f"Column {name!r} has {column.iloc[row]} in row {row}. Times from 1824 to 2116 are supported: leave "
                "out placeholders for missing times."
            )
        return utc.astype("datetime64[ns]").to_numpy().astype(np.int64), zone is not None
    if kind not in "iuf":
        first = column.iloc[0] if len(column) else None
        remedy = "Convert it by pandas.to_datetime." if isinstance(first, str) else "Convert it to one of them."
        raise ValueError(
            f"Column {name!r} must hold datetimes or numbers. Its dtype is {column.dtype}, and it holds "
            f"{shown(first)}. {remedy}"
        )
    if unit is None:
        raise ValueError(f"Column {name!r} holds numbers: set their `unit`, one of {list(UNITS)}.")
    numbers = column.to_numpy()
    if np.abs(numbers.astype(np.float64)).max(initial=0) * UNITS[unit] >= LONGEST:
        raise ValueError(
            f"Column {name!r} holds {shown(numbers[np.argmax(np.abs(numbers))])}, which is no valid time in {unit!r} "
            "since 1970. Check `unit`."
        )
    if kind == "f":
        _refuse_coarse(numbers, name, UNITS[unit])
        whole = np.floor(numbers)  # the number of nanoseconds may not be exact as a float
        rest = np.rint((numbers - whole).astype(np.float64) * UNITS[unit]).astype(np.int64)
        return whole.astype(np.int64) * UNITS[unit] + rest, False
    return numbers.astype(np.int64) * UNITS[unit], False


def _refuse_coarse(numbers: np.ndarray, name: Any, unit: int) -> None:
    """Raise ValueError if the resolution of floats is above a millisecond, unless all are exact whole numbers."""
    step = float(np.spacing(np.abs(numbers).max(initial=0)))
    if step * unit > COARSEST and (step > 1 or (numbers != np.rint(numbers)).any()):
        raise ValueError(
            f"Column {name!r} is {numbers.dtype}, whose resolution is {pd.Timedelta(int(step * unit))} here, so "
            "events would be used too early. Pass float64, whole numbers or datetimes."
        )


def _parsed(column: pd.Series) -> pd.Series:
    """Convert categories, periods, objects and Arrow dates to datetimes or numbers; leave other columns unchanged."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype)
    if isinstance(column.dtype, pd.PeriodDtype):
        return column.dt.to_timestamp()
    if isinstance(column.dtype, pd.ArrowDtype) and column.dtype.type is date:
        column = column.astype(object)
    if column.dtype != object:
        return column
    if not all(isinstance(value, date) for value in column):
        return column.infer_objects()
    try:
        return pd.to_datetime(column)
    except ValueError as error:  # only some have a time zone, or pandas cannot represent some
        raise ValueError(f"Column {column.name!r} has times that cannot be read together: {error}.") from error


def span(value: Any, name: str) -> int:
    """Convert a duration, such as "1h" or a timedelta, to nanoseconds.

    Raises
    ------
    ValueError
        If it is no duration, negative, a number without a unit, or longer than 146 years.
    """
    if isinstance(value, (str, np.timedelta64, pd.Timedelta)) or hasattr(value, "total_seconds"):
        if _has_no_unit(value):
            number = str(value).split()[0]
            raise ValueError(f"The {name!r} parameter has no unit: {value!r}. Write '{number}s' for seconds.")
        try:
            length = pd.Timedelta(value)
        except pd.errors.OutOfBoundsTimedelta:
            length = pd.Timedelta.max
        except ValueError:
            length = pd.NaT
        if length is not pd.NaT and length >= pd.Timedelta(LONGEST):
            raise ValueError(f"The {name!r} parameter must be below 146 years. Got {value!r} instead.")
        if length is not pd.NaT and length >= pd.Timedelta(0):
            return int(length.as_unit("ns").value)
    raise ValueError(
        f'The {name!r} parameter must be a span of time such as "1h", not negative. Got {value!r} instead.'
    )


def text_of(length: int) -> str:
    """Format a duration in nanoseconds for :func:`span`, such as "36h"."""
    unit = next(unit for unit, nanoseconds in UNITS.items() if length % nanoseconds == 0)
    return f"{length // UNITS[unit]}{unit}"


def moment_of(time: int, has_zone: bool) -> str:
    """Format a time in nanoseconds since 1970 for messages."""
    return f"{pd.Timestamp(time)}{' UTC' if has_zone else ''}"


def name_of_span(value: Any) -> str:
    """Return the name of a duration: a string unchanged, and "36h" or the like for other types."""
    return value if isinstance(value, str) else text_of(span(value, "half_life"))


def _has_no_unit(value: Any) -> bool:
    """Whether a duration is a non-negative number without a unit, which pandas would treat as nanoseconds."""
    if isinstance(value, np.timedelta64):
        return np.datetime_data(value.dtype)[0] == "generic"
    try:
        return isinstance(value, str) and float(value) >= 0
    except ValueError:
        return False
