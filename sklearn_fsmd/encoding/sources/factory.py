"""A data set that a function makes: called once for each pass, it returns an iterator of DataFrames."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from sklearn_fsmd.encoding import as_pandas
from sklearn_fsmd.encoding.sources import sizes
from sklearn_fsmd.encoding.sources.frames import Block
from sklearn_fsmd.encoding.sources.row_groups import Group

N_TOLD = 100
"""So many values of a column say what it holds."""


class FactorySource:
    """The rows that a function makes, in the order in which they come, which is the same in each pass.

    Parameters
    ----------
    make : returns an iterable of tables.

    Attributes
    ----------
    columns : the names of all columns.
    n_rows : int, found by a first pass.

    Raises
    ------
    ValueError
        If there are no rows, or a table has other columns than the first, or two of one name.
    """

    name = "the data set"

    def __init__(self, make: Callable[[], Iterable[Any]]) -> None:
        self.make = make
        self.columns: list[Any] = []
        self.kinds: dict[Any, set[str]] = {}
        """What each column has been in the tables in which it is not missing, by its dtype."""
        self.told: dict[Any, pd.Series] = {}
        """Of each column the first values that are not missing, which say what it holds."""
        self.n_rows = 0
        for _, frame in self._frames():
            self.n_rows += len(frame)
            self._note_kinds(frame)
        if self.n_rows == 0:
            raise ValueError("The data set has no rows: the function has made no table with any.")

    def _frames(self) -> Iterator[tuple[int, pd.DataFrame]]:
        """The tables that have rows, and how many were made before each."""
        made = self.make()
        if isinstance(made, pd.DataFrame) or not isinstance(made, Iterable):
            raise TypeError(f"The function must return an iterator of DataFrames. It returned {type(made).__name__}.")
        for i, table in enumerate(made):
            frame = as_pandas(table)
            if not isinstance(frame, pd.DataFrame):
                raise TypeError(f"Table {i} of the data set must be a DataFrame. Got {type(table).__name__}.")
            self.columns = self.columns or list(frame.columns)
            if twice := list(frame.columns[frame.columns.duplicated()]):
                raise ValueError(f"Table {i} of the data set has more than one column named {twice[0]!r}.")
            if list(frame.columns) != self.columns:
                raise ValueError(
                    f"Table {i} of the data set has the columns {list(frame.columns)}, and the first one has "
                    f"{self.columns}."
                )
            if len(frame):
                yield i, frame

    def _note_kinds(self, frame: pd.DataFrame) -> None:
        for name, column in frame.items():
            found = self.kinds.setdefault(name, set())
            if (kind := _kind(column)) not in found and column.first_valid_index() is not None:
                found.add(kind)
                if name not in self.told:
                    values = column.dropna()
                    self.told[name] = values.iloc[np.arange(min(N_TOLD, len(values)))]  # a copy of these alone

    def _as_elsewhere(self, frame: pd.DataFrame) -> pd.DataFrame:
        """A table with numbers where a column is missing in all of its rows, and holds numbers in the other tables."""
        missing = [name for name in frame if self.kinds[name] == {"numbers"} and _kind(frame[name]) != "numbers"]
        made = frame.copy(deep=False)
        for name in missing:
            made[name] = np.nan
        return made

    def refuse_other_categories(self, columns: Sequence[Any]) -> None:
        """Raise ValueError if a column holds numbers in some tables and something else in others."""
        for name in columns:
            if "numbers" in self.kinds[name] and len(self.kinds[name]) > 1:
                raise ValueError(
                    f"Column {name!r} holds numbers in some tables of the data set, and categories, text, decimals or "
                    "times in others. Give all of them one dtype, or name the categories in `categorical_features`."
                )

    def telling(self, X: pd.DataFrame) -> pd.DataFrame:
        """The first rows; where a column is missing in all of them, with values of the first table that has some."""
        made = X.copy(deep=False)
        for name in X.columns:
            if name in self.told and X[name].first_valid_index() is None:
                told = self.told[name].array.take(np.arange(len(X)) % len(self.told[name]))
                made[name] = pd.Series(told, index=X.index, dtype=self.told[name].dtype)
        return made

    def blocks(self, columns: Sequence[Any]) -> Iterator[Block]:
        """All rows from the first to the last."""
        first = 0
        for i, frame in self._frames():
            wanted = self._as_elsewhere(frame[list(columns)])
            for start in range(0, len(frame), sizes.BLOCK_ROWS):
                rows = wanted.iloc[start : start + sizes.BLOCK_ROWS]
                yield Block(rows, np.arange(first, first + len(rows)), f"table {i} of the data set")
                first += len(rows)
        if first != self.n_rows:
            raise ValueError(
                f"The function made {self.n_rows} rows in the first pass and {first} in a later one. It must make the "
                "same rows, in the same order, each time."
            )

    def groups(self) -> Iterator[tuple[Group, int, int]]:
        """Row groups, of which a function has none.

        Raises
        ------
        ValueError
            Always.
        """
        raise ValueError(
            "Several processes deal the row groups of files to each other, and what a function makes has none. Write "
            "the rows to Parquet files."
        )

    def first_rows(self) -> None:
        """There are none, as there are no row groups."""

    def in_order(self, seed: int, rates: Any = None) -> list[Group]:
        """As :meth:`groups`."""
        return [group for group, *_ in self.groups()]

    def pools(self, columns: Sequence[Any], seed: int, groups: Any = None, rates: Any = None) -> Iterator[list[Block]]:
        """All rows, pool by pool, in their order: what a function makes cannot be taken in another."""
        pool: list[Block] = []
        n_rows = 0
        for block in self.blocks(columns):
            pool.append(block)
            n_rows += len(block.frame)
            if n_rows >= sizes.POOL_ROWS:
                yield pool
                pool, n_rows = [], 0
        if pool:
            yield pool

    def identity(self) -> Sequence[Any]:
        """Plain values that tell these rows from others."""
        return [self.n_rows]


def _kind(column: pd.Series) -> str:
    """What the dtype says that a column is: of the first table it decides how the columns are encoded."""
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return "category"
    if pd.api.types.is_object_dtype(dtype) and pd.api.types.infer_dtype(column, skipna=True) == "decimal":
        return "numbers"
    is_number = pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_bool_dtype(dtype)
    return "numbers" if is_number else "something else"
