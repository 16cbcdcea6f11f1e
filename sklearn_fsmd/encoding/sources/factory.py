"""A data set from a function that is called once per pass and returns an iterator of DataFrames."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from sklearn_fsmd.encoding.sources import sizes
from sklearn_fsmd.encoding.sources.frames import Block
from sklearn_fsmd.encoding.sources.row_groups import Group
from sklearn_fsmd.encoding.table import as_pandas

N_EXAMPLES = 100
"""Number of values of a column that are kept to determine its kind."""


class FactorySource:
    """The rows that a function returns, in their order, which must be the same in each pass.

    Parameters
    ----------
    make : callable that returns an iterable of tables.

    Attributes
    ----------
    columns : the names of all columns.
    n_rows : int, counted in a first pass.

    Raises
    ------
    ValueError
        If there are no rows, or if a table has other columns than the first one, or two columns with the same name.
    """

    name = "the data set"

    def __init__(self, make: Callable[[], Iterable[Any]]) -> None:
        self.make = make
        self.columns: list[Any] = []
        self.kinds: dict[Any, set[str]] = {}
        """Kinds of each column, by its dtype, in the tables in which it is not missing."""
        self.examples: dict[Any, pd.Series] = {}
        """First values of each column that are not missing, to determine its kind."""
        self.n_rows = 0
        for _, frame in self._frames():
            self.n_rows += len(frame)
            self._note_kinds(frame)
        if self.n_rows == 0:
            raise ValueError("The data set has no rows: the function returned no table with rows.")

    def _frames(self) -> Iterator[tuple[int, pd.DataFrame]]:
        """Yield the tables that have rows, and the position of each among all tables."""
        tables = self.make()
        if isinstance(tables, pd.DataFrame) or not isinstance(tables, Iterable):
            raise TypeError(f"The function must return an iterator of DataFrames. It returned {type(tables).__name__}.")
        for i, table in enumerate(tables):
            frame = as_pandas(table)
            if not isinstance(frame, pd.DataFrame):
                raise TypeError(f"Table {i} of the data set must be a DataFrame. Got {type(table).__name__}.")
            self.columns = self.columns or list(frame.columns)
            if duplicates := list(frame.columns[frame.columns.duplicated()]):
                raise ValueError(f"Table {i} of the data set has more than one column named {duplicates[0]!r}.")
            if list(frame.columns) != self.columns:
                raise ValueError(
                    f"Table {i} of the data set has the columns {list(frame.columns)}, and the first one has "
                    f"{self.columns}."
                )
            if len(frame):
                yield i, frame

    def _note_kinds(self, frame: pd.DataFrame) -> None:
        for name, column in frame.items():
            kinds = self.kinds.setdefault(name, set())
            if (kind := _kind(column)) not in kinds and column.first_valid_index() is not None:
                kinds.add(kind)
                if name not in self.examples:
                    values = column.dropna()
                    self.examples[name] = values.iloc[np.arange(min(N_EXAMPLES, len(values)))]  # a copy, not a view

    def _with_numbers(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Convert columns that are missing in all rows of a table to floats if they hold numbers in other tables."""
        missing = [name for name in frame if self.kinds[name] == {"numbers"} and _kind(frame[name]) != "numbers"]
        converted = frame.copy(deep=False)
        for name in missing:
            converted[name] = np.nan
        return converted

    def refuse_other_categories(self, columns: Sequence[Any]) -> None:
        """Raise ValueError if a column holds numbers in some tables and something else in others."""
        for name in columns:
            if "numbers" in self.kinds[name] and len(self.kinds[name]) > 1:
                raise ValueError(
                    f"Column {name!r} holds numbers in some tables of the data set, and categories, text, decimals or "
                    "times in others. Give all of them one dtype, or name the categories in `categorical_features`."
                )

    def with_column_kinds(self, X: pd.DataFrame) -> pd.DataFrame:
        """Fill columns that are missing in all of the first rows `X` with values of another table."""
        filled = X.copy(deep=False)
        for name in X.columns:
            if name in self.examples and X[name].first_valid_index() is None:
                values = self.examples[name].array.take(np.arange(len(X)) % len(self.examples[name]))
                filled[name] = pd.Series(values, index=X.index, dtype=self.examples[name].dtype)
        return filled

    def blocks(self, columns: Sequence[Any]) -> Iterator[Block]:
        """Yield all rows from the first to the last."""
        first = 0
        for i, frame in self._frames():
            selected = self._with_numbers(frame[list(columns)])
            for start in range(0, len(frame), sizes.BLOCK_ROWS):
                rows = selected.iloc[start : start + sizes.BLOCK_ROWS]
                yield Block(rows, np.arange(first, first + len(rows)), f"table {i} of the data set")
                first += len(rows)
        if first != self.n_rows:
            raise ValueError(
                f"The function made {self.n_rows} rows in the first pass and {first} in a later one. It must make the "
                "same rows, in the same order, each time."
            )

    def groups(self) -> Iterator[tuple[Group, int, int]]:
        """Raise an error: a function has no row groups.

        Raises
        ------
        ValueError
            Always.
        """
        raise ValueError(
            "Several processes share the row groups of files, and the tables of a function have none. Write the rows "
            "to Parquet files."
        )

    def first_rows(self) -> None:
        """Return None, as there are no row groups."""

    def in_order(self, seed: int, rates: Any = None) -> list[Group]:
        """Raise the error of :meth:`groups`."""
        return [group for group, *_ in self.groups()]

    def pools(self, columns: Sequence[Any], seed: int, groups: Any = None, rates: Any = None) -> Iterator[list[Block]]:
        """Yield all rows, pool by pool, in the order of the function, which is the only one."""
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
        """Return plain values that identify these rows."""
        return [self.n_rows]


def _kind(column: pd.Series) -> str:
    """Kind of a column by its dtype: in the first table it determines how the column is encoded."""
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return "category"
    if pd.api.types.is_object_dtype(dtype) and pd.api.types.infer_dtype(column, skipna=True) == "decimal":
        return "numbers"
    is_number = pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_bool_dtype(dtype)
    return "numbers" if is_number else "something else"
