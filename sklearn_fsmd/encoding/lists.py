"""Columns of lists: which these are, and their values one after the other."""

from __future__ import annotations

from itertools import chain, islice
from typing import Any

import numpy as np
import pandas as pd

from sklearn_fsmd.encoding.canonical import shown
from sklearn_fsmd.encoding.column_selection import column_mask
from sklearn_fsmd.encoding.columns import CategoryColumn
from sklearn_fsmd.parameters import InputParameters

SEQUENCES = (list, tuple, set, frozenset, np.ndarray)
N_LOOKED_AT = 100
"""So many of its first values say whether a column holds lists."""


class ListColumn:
    """How a column of lists is read.

    Parameters
    ----------
    name : str, for messages.
    shares : the category column that has the vocabulary; None if the list has its own.
    min_frequency : of its own vocabulary.
    max_length : of longer lists the last values are taken.
    separator : what separates the values of a list that is written as a string; None if there are no such.
    """

    def __init__(
        self, name: str, shares: str | None, min_frequency: int, max_length: int, separator: str | None
    ) -> None:
        self.name, self.shares = name, shares
        self.own = CategoryColumn(name, min_frequency) if shares is None else None
        self.max_length, self.separator = max_length, separator

    @property
    def n_rows(self) -> int:
        """Rows of the embedding table that it needs: those of its own vocabulary."""
        return 0 if self.own is None else self.own.n_rows

    def read(self, column: Any) -> tuple[pd.Series, np.ndarray]:
        """All values one after the other, without those that are missing, and where each row begins, ``(n + 1,)``.

        A missing list is an empty one.

        Raises
        ------
        ValueError
            If a row holds something else, or a value is no category.
        """
        rows = column.tolist()
        if all(type(row) is list for row in rows) and max(map(len, rows), default=0) <= self.max_length:
            values = list(chain.from_iterable(rows))
            kind = pd.api.types.infer_dtype(values, skipna=False)
            if kind in ("integer", "string"):  # of which none is missing
                return pd.Series(np.array(values) if kind == "integer" else values, name=self.name), _starts(rows)
        rows = [self._list_of(i, row) for i, row in enumerate(rows)]
        values = list(chain.from_iterable(rows))
        return pd.Series(values, dtype=object, name=self.name), _starts(rows)

    def _list_of(self, row: int, value: Any) -> list[Any]:
        """The values of one row."""
        if isinstance(value, str) and self.separator is not None:
            value = [part for part in value.split(self.separator) if part]
        if isinstance(value, np.ndarray):
            value = value.tolist()
        if isinstance(value, SEQUENCES):
            kept = [one for one in value if _is_there(one)][-self.max_length :]
            self._check(row, kept)
            return kept
        if not _is_there(value):
            return []
        raise ValueError(
            f"Column {self.name!r} holds lists, and in row {row} {shown(value)}. Make it a list of one value, or name "
            "the separator of written lists with `list_separator`."
        )

    def _check(self, row: int, values: list[Any]) -> None:
        """Raise where a value is no category."""
        for value in values:
            if isinstance(value, float) and not value.is_integer():
                raise ValueError(
                    f"Column {self.name!r} holds lists of fractions, and in row {row} {shown(value)}. Lists hold "
                    "categories; numbers that belong together are a column each."
                )
            if isinstance(value, SEQUENCES):
                raise ValueError(f"Column {self.name!r} holds lists, and in row {row} a list in a list.")


class ListOptions:
    """What the parameters say of lists: which columns hold them, and how they are read."""

    def __init__(self, p: InputParameters) -> None:
        self.features, self.shared = p.list_features, p.shared_embeddings or {}
        self.min_frequency = p.min_frequency
        self.max_length, self.separator = p.max_list_length, p.list_separator

    def mask(self, X: Any) -> np.ndarray:
        """Which columns of X hold lists, ``(n_features,)`` bool."""
        if not isinstance(self.features, str):
            return column_mask("list_features", self.features, X)
        if isinstance(X, pd.DataFrame):
            return np.array([holds_lists(column) for _, column in X.items()], dtype=bool)
        return np.zeros(X.shape[1], dtype=bool)

    def columns(self, names: dict[int, str], categories: list[str]) -> dict[int, ListColumn]:
        """The columns of lists, by position, for those of these names.

        Raises
        ------
        ValueError
            If `shared_embeddings` names a column that is none of lists, or none of categories.
        """
        strange = [name for name in self.shared if name not in names.values()]
        if strange:
            raise ValueError(
                f"'shared_embeddings' has {strange[0]!r}, which is no column of lists. These are "
                f"{list(names.values())}."
            )
        for name, shares in self.shared.items():
            if shares not in categories:
                raise ValueError(
                    f"'shared_embeddings' has {shares!r} for {name!r}, which is no category. These are {categories}."
                )
        return {
            position: ListColumn(name, self.shared.get(name), self.min_frequency, self.max_length, self.separator)
            for position, name in names.items()
        }


def holds_lists(column: Any) -> bool:
    """Whether a column holds lists: most of its first values that are not missing."""
    dtype = getattr(column, "dtype", None)
    if isinstance(dtype, pd.ArrowDtype):
        import pyarrow.types  # which is there where such a dtype is

        types, kind = pyarrow.types, dtype.pyarrow_dtype
        return types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    if getattr(dtype, "kind", "") != "O" or isinstance(dtype, pd.CategoricalDtype):
        return False
    first = [isinstance(value, SEQUENCES) for value in islice(filter(_is_there, column), N_LOOKED_AT)]
    return sum(first) > len(first) / 2


def _starts(rows: list[Any]) -> np.ndarray:
    lengths = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
    return np.append(0, np.cumsum(lengths))


def _is_there(value: Any) -> bool:
    return not (value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and value != value))
