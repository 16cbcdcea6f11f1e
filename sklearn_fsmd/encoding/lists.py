"""A column of lists: each value becomes a row number of an embedding table, as in a category column."""

from __future__ import annotations

from itertools import islice
from typing import Any

import numpy as np
import pandas as pd
import torch

from sklearn_fsmd.encoding.canonical import shown
from sklearn_fsmd.encoding.column_selection import column_mask
from sklearn_fsmd.encoding.columns import CategoryColumn
from sklearn_fsmd.parameters import InputParameters
from sklearn_fsmd.ragged import Ragged

N_LOOKED_AT = 100
SEQUENCES = (list, tuple, set, frozenset, np.ndarray)


class ListColumn:
    """The known values of a column of lists.

    Parameters
    ----------
    name : str, for messages.
    vocabulary : of the values; that of a category column, if the two share their embeddings.
    max_length : of longer lists the last values are taken.
    separator : what separates the values of a list that is written as a string; None if there are no such.
    shares : the category column that has the vocabulary; None if it is the list's own.
    """

    def __init__(
        self, name: str, vocabulary: CategoryColumn, max_length: int, separator: str | None, shares: str | None
    ) -> None:
        self.name, self.vocabulary, self.shares = name, vocabulary, shares
        self.max_length, self.separator = max_length, separator

    @property
    def n_rows(self) -> int:
        """Rows of the table that the vocabulary needs, the one for unknown values included."""
        return self.vocabulary.n_rows

    def update(self, block: Any) -> None:
        """Learn from some rows."""
        values, _ = self._flat(block)
        try:
            self.vocabulary.update(values)
        except ValueError as error:
            if self.shares is None:
                raise
            raise ValueError(
                f"Column {self.name!r} cannot share the embeddings of {self.shares!r}, whose values are of another "
                "kind."
            ) from error

    def encode(self, column: Any, offset: int) -> Ragged:
        """The rows of the table of the values, from `offset` on, which is an unknown value's.

        A missing list is an empty one.
        """
        values, lengths = self._flat(column)
        codes = self.vocabulary.encode(values).astype(np.int64) + offset
        return Ragged(torch.from_numpy(codes), torch.from_numpy(np.append(0, np.cumsum(lengths)).astype(np.int64)))

    def _flat(self, column: Any) -> tuple[pd.Series, np.ndarray]:
        """All values one after the other, and how many each row has."""
        rows = [self._list_of(i, value) for i, value in enumerate(column.tolist())]
        lengths = np.fromiter((len(row) for row in rows), dtype=np.int64, count=len(rows))
        values = [value for row in rows for value in row]
        is_plain = all(type(value) is int for value in values) or all(type(value) is str for value in values)
        return pd.Series(values, dtype=None if is_plain and values else object, name=self.name), lengths

    def _list_of(self, row: int, value: Any) -> list[Any]:
        """The values of one row, without those that are missing."""
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

    def __getstate__(self) -> dict[str, Any]:
        return dict(self.__dict__)


class ListOptions:
    """What the parameters say of lists: which columns hold them, and how they are read."""

    def __init__(self, features: Any, max_length: int, separator: str | None, shared: dict[str, str] | None) -> None:
        self.features, self.max_length, self.separator, self.shared = features, max_length, separator, shared or {}

    @classmethod
    def of(cls, p: InputParameters) -> ListOptions:
        return cls(p.list_features, p.max_list_length, p.list_separator, p.shared_embeddings)

    def mask(self, X: Any) -> np.ndarray:
        """Which columns of X hold lists, ``(n_features,)`` bool."""
        if not isinstance(self.features, str):
            mask = column_mask("list_features", self.features, X)
        elif isinstance(X, pd.DataFrame):
            mask = np.array([holds_lists(column) for _, column in X.items()], dtype=bool)
        else:
            mask = np.zeros(X.shape[1], dtype=bool)
        return mask

    def columns(
        self, names: dict[int, str], categories: dict[str, CategoryColumn], min_frequency: int
    ) -> dict[int, ListColumn]:
        """The columns of lists, by position.

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
        made = {}
        for position, name in names.items():
            shares = self.shared.get(name)
            if shares is not None and shares not in categories:
                raise ValueError(
                    f"'shared_embeddings' has {shares!r} for {name!r}, which is no category. These are "
                    f"{list(categories)}."
                )
            vocabulary = CategoryColumn(name, min_frequency) if shares is None else categories[shares]
            made[position] = ListColumn(name, vocabulary, self.max_length, self.separator, shares)
        return made

    def __getstate__(self) -> dict[str, Any]:
        return dict(self.__dict__)


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


def _is_there(value: Any) -> bool:
    return not (value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and value != value))
