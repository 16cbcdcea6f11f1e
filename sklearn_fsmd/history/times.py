"""Moments and spans of time, as whole nanoseconds."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from sklearn_fsmd.encoding import shown

UNITS = {"D": 86_400 * 10**9, "h": 3_600 * 10**9, "m": 60 * 10**9, "s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}

COARSEST = 10**6
"""Nanoseconds, a millisecond: numbers that tell times apart less finely are refused."""
NEVER = int(np.iinfo(np.int64).min)
"""The time of an event that there was not."""
LONGEST = 2**62
"""Nanoseconds, 146 years. Of two times within this of 1970 the difference is a whole number of 64 bits too."""


def moments(column: pd.Series, unit: str | None) -> tuple[np.ndarray, bool]:
    """The times of a column since 1970, ``(n,)`` int64 nanoseconds, and whether they have a time zone.

    A date is its midnight.

    Raises
    ------
    ValueError
        If a time is missing or too far from 1970, or the column holds something else than datetimes, or numbers without
        `unit`.
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
                f"Column {name!r} has {column.iloc[row]} in row {row}. Times from 1824 to 2116 are counted: leave out "
                "what stands for no time."
            )
        return utc.astype("datetime64[ns]").to_numpy().astype(np.int64), zone is not None
    if kind not in "iuf":
        found = column.iloc[0] if len(column) else None
        remedy = "Convert it by pandas.to_datetime." if isinstance(found, str) else "Convert it to one of them."
        raise ValueError(
            f"Column {name!r} must hold datetimes or numbers, to tell the time. Its dtype is {column.dtype}, and it "
            f"holds {shown(found)}. {remedy}"
        )
    if unit is None:
        raise ValueError(f"Column {name!r} holds numbers: say in what `unit` they count, one of {list(UNITS)}.")
    numbers = column.to_numpy()
    if np.abs(numbers.astype(np.float64)).max(initial=0) * UNITS[unit] >= LONGEST:
        raise ValueError(
            f"Column {name!r} holds {shown(numbers[np.argmax(np.abs(numbers))])}, which is no time in {unit!r} since "
            "1970. Look at `unit`."
        )
    if kind == "f":
        _refuse_coarse(numbers, name, UNITS[unit])
        whole = np.floor(numbers)  # exact, which its nanoseconds may not be as a float
        rest = np.rint((numbers - whole).astype(np.float64) * UNITS[unit]).astype(np.int64)
        return whole.astype(np.int64) * UNITS[unit] + rest, False
    return numbers.astype(np.int64) * UNITS[unit], False


def _refuse_coarse(numbers: np.ndarray, name: Any, unit: int) -> None:
    """Raise if these floats cannot tell times a millisecond apart, and are not whole numbers that they hold exactly."""
    step = float(np.spacing(np.abs(numbers).max(initial=0)))
    if step * unit > COARSEST and (step > 1 or (numbers != np.rint(numbers)).any()):
        raise ValueError(
            f"Column {name!r} is {numbers.dtype}, which tells times apart by {pd.Timedelta(int(step * unit))} at best, "
            "so events would be known too early. Pass float64, whole numbers or datetimes."
        )


def _parsed(column: pd.Series) -> pd.Series:
    """Times as such, and numbers, where they are categories, periods, objects or dates of Arrow; all else as it is."""
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
    except ValueError as error:  # some with a time zone and some without, or beyond what pandas counts
        raise ValueError(f"Column {column.name!r} has times that cannot be read together: {error}.") from error


def span(value: Any, name: str) -> int:
    """A length of time, such as "1h" or a timedelta, in nanoseconds.

    Raises
    ------
    ValueError
        If it is none, negative, a number without a unit, or longer than 146 years.
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
    """A length in nanoseconds as :func:`span` reads it, such as "36h"."""
    unit = next(unit for unit, of_unit in UNITS.items() if length % of_unit == 0)
    return f"{length // UNITS[unit]}{unit}"


def moment_of(time: int, has_zone: bool) -> str:
    """A time in nanoseconds since 1970, for messages."""
    return f"{pd.Timestamp(time)}{' UTC' if has_zone else ''}"


def name_of_span(value: Any) -> str:
    """A string as it stands, and the same name for one length of time, whatever type it has."""
    return value if isinstance(value, str) else str(pd.Timedelta(value))


def _has_no_unit(value: Any) -> bool:
    """Whether it is a bare number that is not negative; pandas would take it for nanoseconds."""
    if isinstance(value, np.timedelta64):
        return np.datetime_data(value.dtype)[0] == "generic"
    try:
        return isinstance(value, str) and float(value) >= 0
    except ValueError:
        return False
