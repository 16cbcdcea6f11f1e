"""A column of lists of categories."""

from __future__ import annotations

import math
from decimal import Decimal
from itertools import chain
from numbers import Number
from typing import Any, Literal

import numpy as np
import pandas as pd

from sklearn_fsmd.encoding.columns.canonical import MISSING_CODES, NUMPY_TIMES, shown
from sklearn_fsmd.encoding.columns.category import CategoryColumn

SEQUENCES = (list, tuple, set, frozenset, np.ndarray)


class ListColumn:
    """A column of lists, with its own vocabulary or that of a category.

    Parameters
    ----------
    name : str, for messages.
    shares : the name of the category whose vocabulary the lists share; None if they have their own.
    min_frequency : for its own vocabulary, see :class:`~sklearn_fsmd.encoding.columns.category.CategoryColumn`.
    max_length : of longer lists, only the last values are used.
    separator : str between the values of lists that are written as strings; None if there are none.
    """

    def __init__(
        self,
        name: str,
        shares: str | None,
        min_frequency: int | Literal["auto"],
        max_length: int,
        separator: str | None,
    ) -> None:
        self.name, self.shares = name, shares
        self.own = CategoryColumn(name, min_frequency) if shares is None else None
        self.max_length, self.separator = max_length, separator

    @property
    def n_rows(self) -> int:
        """Number of rows of the embedding table: those of its own vocabulary, or 0."""
        return 0 if self.own is None else self.own.n_rows

    def read(self, column: Any) -> tuple[pd.Series, np.ndarray]:
        """Return all values that are not missing, row after row, and the start of each row, ``(n + 1,)``.

        A missing list is treated as empty. The numbers −1 and −2 count as missing, as everywhere; lists are often
        padded with them.

        Raises
        ------
        ValueError
            If a row holds something else, or a value is not a category.
        """
        rows = column.tolist()
        if all(type(row) is list for row in rows) and max(map(len, rows), default=0) <= self.max_length:
            values = list(chain.from_iterable(rows))
            kind = pd.api.types.infer_dtype(values, skipna=False)
            if kind == "string":
                return pd.Series(values, dtype=object, name=self.name), _starts(rows)
            whole = np.array(values if kind == "integer" else ())
            if len(whole) and whole.dtype == np.int64 and not np.isin(whole, MISSING_CODES).any():
                return pd.Series(whole, name=self.name), _starts(rows)
        rows = [self._list_of(i, row) for i, row in enumerate(rows)]
        values = list(chain.from_iterable(rows))
        return pd.Series(values, dtype=object, name=self.name), _starts(rows)

    def _list_of(self, row: int, value: Any) -> list[Any]:
        """Return the values of one row."""
        if isinstance(value, str) and self.separator is not None:
            value = [part for part in value.split(self.separator) if part]
        if isinstance(value, np.ndarray):
            value = items_of(value)
        if isinstance(value, (set, frozenset)):
            value = sorted(value, key=_sort_key)
        if isinstance(value, SEQUENCES):
            values = [item for item in value if is_present(item) and not _is_missing_code(item)][-self.max_length :]
            self._check(row, values)
            return values
        if not is_present(value):
            return []
        raise ValueError(
            f"Column {self.name!r} holds lists, and in row {row} {shown(value)}. Make it a list of one value, or name "
            "the separator of written lists with `list_separator`."
        )

    def _check(self, row: int, values: list[Any]) -> None:
        """Raise an error if a value is not a category."""
        for value in values:
            if isinstance(value, (float, np.floating, Decimal)) and not _is_whole(value):
                raise ValueError(
                    f"Column {self.name!r} holds lists of fractions, and in row {row} {shown(value)}. Lists hold "
                    "categories; if these are vectors, name the column in `vector_features`. If each fraction is a "
                    "category, make them strings."
                )
            if isinstance(value, SEQUENCES):
                raise ValueError(f"Column {self.name!r} holds lists, and in row {row} a list in a list.")


def items_of(array: np.ndarray) -> list[Any]:
    """The items of an array as Python objects, except times and durations: `tolist` makes integers of nanoseconds."""
    return list(array) if array.dtype.kind in "mM" else array.tolist()


def _is_whole(value: Any) -> bool:
    if not math.isfinite(value):
        return False
    return bool(value == value.to_integral_value()) if isinstance(value, Decimal) else float(value).is_integer()


def _sort_key(value: Any) -> tuple[str, str]:
    """Sort key of a set's values: the order of a set depends on hashes, which differ between processes."""
    return type(value).__name__, str(value)


def _is_missing_code(value: Any) -> bool:
    """Whether a value is one of the numbers that mark missing values."""
    number: Any = value if isinstance(value, Number) and not isinstance(value, NUMPY_TIMES) else None
    return number in MISSING_CODES


def _starts(rows: list[Any]) -> np.ndarray:
    lengths = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
    return np.append(0, np.cumsum(lengths))


def is_present(value: Any) -> bool:
    """Whether a cell is not missing; a list of missing values is present."""
    return not (value is None or value is pd.NA or value is pd.NaT or _is_nan(value))


def _is_nan(value: Any) -> bool:
    return isinstance(value, (float, np.floating, Decimal)) and math.isnan(value)
