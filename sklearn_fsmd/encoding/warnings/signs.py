"""Signs by which ids and times are told from quantities."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd

FEW_VALUES = 30
"""A column with fewer values is not warned of: each value has its own bin."""
N_ROWS = 100_000
"""Largest number of rows that are inspected."""
EARLIEST, LATEST = (pd.Timestamp(f"{year}-01-01").timestamp() for year in (2000, 2040))
PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
"""The units of times since 1970, as pandas calls them, and how many of them are a second."""
HAS_AN_ID = (
    "user|customer|client|visitor|member|account|viewer|listener|reader|learner|student|patient|driver|passenger|guest|"
    "item|product|article|video|movie|film|song|artist|album|podcast|book|course|recipe|hotel|restaurant|listing|"
    "ad|campaign|advertiser|publisher|creative|session|device|author|creator|channel|seller|merchant|vendor|shop|store|"
    "brand|category|doc"
)
NAME = re.compile(
    r"(^|[^a-zA-Z])([iI][dD]s?|[nN][oOrR]|(?i:uu?id|key|code|sku|zip))$|[a-z](I[dD]s?|No|Nr|Key|Code)$"
    rf"|({HAS_AN_ID})ids?$|^(?i:{HAS_AN_ID})$"
)
"""Names that end in the word "id", or in "no", "key" and the like, but not "bid", "paid" or "piano"; and names of
things that have ids."""


def is_name_of_ids(name: str) -> bool:
    """Whether a column with this name holds ids."""
    return NAME.search(name) is not None


def floats_of(column: Any) -> np.ndarray | None:
    """Convert a column to floats, NaN where missing; None unless it holds numbers."""
    if getattr(column.dtype, "kind", "O") not in "iufO" or pd.api.types.is_bool_dtype(column.dtype):
        return None
    return pd.Series(column).to_numpy(dtype=np.float64, na_value=np.nan)


def unit_of_times(x: np.ndarray) -> str | None:
    """The unit in which all floats that are not NaN are times between 2000 and 2040; None if there is none."""
    x = x[~np.isnan(x)]
    for unit, factor in PER_SECOND.items() if len(x) else ():
        if EARLIEST * factor <= x.min() and x.max() < LATEST * factor:
            return unit if len(np.unique(x)) >= FEW_VALUES else None
    return None
