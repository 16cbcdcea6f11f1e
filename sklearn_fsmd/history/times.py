"""Moments and spans of time, as whole nanoseconds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sklearn_fsmd.encoding import shown

UNITS = {"D": 86_400 * 10**9, "h": 3_600 * 10**9, "m": 60 * 10**9, "s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}


def moments(column: pd.Series, unit: str | None) -> tuple[np.ndarray, bool]:
    """The times of a column since 1970, ``(n,)`` int64 nanoseconds, and whether they have a time zone.

    Raises
    ------
    ValueError
        If a time is missing, or the column holds something else than datetimes, or numbers without `unit`.
    """
    name = column.name
    missing = np.flatnonzero(column.isna())
    if len(missing):
        raise ValueError(
            f"Column {name!r} has no time in {len(missing):,} of {len(column):,} rows, the first of them row "
            f"{missing[0]}. Leave these rows out."
        )
    if column.dtype == object and all(hasattr(value, "tzinfo") for value in column):
        column = pd.to_datetime(column)
    kind = column.dtype.kind
    if kind == "M" or isinstance(column.dtype, pd.DatetimeTZDtype):
        zone = getattr(column.dt, "tz", None)
        utc = column if zone is None else column.dt.tz_convert("UTC").dt.tz_localize(None)
        return utc.astype("datetime64[ns]").to_numpy().astype(np.int64), zone is not None
    if kind not in "iuf":
        raise ValueError(
            f"Column {name!r} must hold datetimes or numbers, to tell the time. Found {shown(column.iloc[0])}. "
            "Convert it by pandas.to_datetime."
        )
    if unit is None:
        raise ValueError(f"Column {name!r} holds numbers: say in what `unit` they count, one of {list(UNITS)}.")
    numbers = column.to_numpy()
    if np.abs(numbers.astype(np.float64)).max(initial=0) * UNITS[unit] >= 2.0**63:
        raise ValueError(
            f"Column {name!r} holds {shown(numbers[np.argmax(np.abs(numbers))])}, which is no time in {unit!r} since "
            "1970. Look at `unit`."
        )
    scaled = numbers.astype(np.float64 if kind == "f" else np.int64) * UNITS[unit]
    return np.round(scaled).astype(np.int64), False


def span(value: Any, name: str) -> int:
    """A length of time, such as "1h" or a timedelta, in nanoseconds.

    Raises
    ------
    ValueError
        If it is none, or negative.
    """
    if isinstance(value, (str, np.timedelta64, pd.Timedelta)) or hasattr(value, "total_seconds"):
        try:
            length = pd.Timedelta(value)
        except ValueError:
            length = pd.NaT
        if length is not pd.NaT and length >= pd.Timedelta(0):
            return int(length.as_unit("ns").value)
    raise ValueError(
        f'The {name!r} parameter must be a span of time such as "1h", not negative. Got {value!r} instead.'
    )
