"""A data set in Parquet files, which are read in batches, so that memory stays flat."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np
import pandas as pd

from sklearn_fsmd.encoding.sources import sizes
from sklearn_fsmd.encoding.sources.files import File, find_files
from sklearn_fsmd.encoding.sources.footers import Footer, Kinds, kinds_of
from sklearn_fsmd.encoding.sources.frames import Block, Piece, gathered, pooled
from sklearn_fsmd.encoding.sources.left_out import LeftOut
from sklearn_fsmd.encoding.sources.reading import mixed, most_open, row_groups_of, whole_file
from sklearn_fsmd.encoding.sources.row_groups import Group, are_by_label, drawn_order
from sklearn_fsmd.encoding.sources.schema import (
    agree,
    categories_of,
    columns_of,
    fuller,
    is_number,
    named_index_of,
    says_nothing,
)
from sklearn_fsmd.parameters import warn

ORDER = 2
"""Raised when a seed draws another order than before, so that no fit goes on within an epoch that it has begun."""

Look = Callable[[Iterator[Block]], None]
"""Raises an error at rows that cannot be learned from."""


class ParquetSource:
    """The rows of some Parquet files, one after the other.

    Parameters
    ----------
    source : see :func:`~sklearn_fsmd.encoding.sources.files.find_files`.
    columns : those that are read; None for all.
    needed : those that each file must have, though the first one may lack them.
    left_out : takes files that cannot be read, where these may be left out.

    Attributes
    ----------
    columns : the names of all columns.
    n_rows : int
    types : the type of Arrow of each column; of numbers of several sizes one that holds all.
    has_odd_ones : whether files are left out for their columns or types.

    Raises
    ------
    OSError
        If a file cannot be reached or read.
    ValueError
        If a file is no whole Parquet file, or its columns are not those of the first.
    """

    def __init__(
        self,
        source: Any,
        columns: Sequence[str] | None = None,
        needed: Sequence[str] = (),
        left_out: LeftOut | None = None,
    ) -> None:
        self.footers: list[Footer] = []
        self.types: dict[str, Any] = {}
        self.n_rows = 0
        self._kinds: dict[str, Kinds] = {}
        self.left_out = left_out or LeftOut()
        others: Counter[str] = Counter()
        for file in find_files(source, self.left_out):
            with self.left_out.trying(file.name):
                self._take(file, columns, needed, others)
        self._refuse_odd_first(max(others.values(), default=0))
        self.has_odd_ones = bool(others)
        if not self.left_out.skips:  # or its files are read as a whole, before it is said what is left out
            self.refuse_no_rows()

    @property
    def _first_is_alone(self) -> bool:
        """Whether no other file goes with the first; one without rows does not say so."""
        return bool(self.footers) and not any(any(footer.groups) for footer in self.footers[1:])

    def _refuse_odd_first(self, n_alike: int) -> None:
        """Raise ValueError if no file goes with the first, and so many, of those left out, go with each other."""
        if self._first_is_alone and n_alike > 1:
            raise ValueError(
                f"{n_alike} files have the same columns, and not those of {self.footers[0].file.name}, which is the "
                "first and says what the columns are. Put the file first whose columns are right, or leave the others "
                "out of the list."
            )

    def refuse_no_rows(self) -> None:
        """Raise ValueError if there are none."""
        if self.n_rows == 0:
            raise ValueError(f"The data set has no rows: {self.name} has none.")

    def warn_of_large_groups(self) -> None:
        """Warn of a few row groups that are so large that a file that is sorted would not be mixed."""
        groups = [n for footer in self.footers for n in footer.groups if n]
        largest = max(groups)
        if largest > sizes.POOL_ROWS and len(groups) < sizes.FEW_GROUPS:
            which = next(footer.file.name for footer in self.footers if largest in footer.groups)
            warn(
                f"The data set has {len(groups)} row groups, of up to {largest:,} rows ({which}). Rows are shuffled in "
                f"pools of {sizes.POOL_ROWS:,} from {self.n_open()} row groups at a time: if the files are sorted, "
                "by time, user or label, batches are badly mixed, and AUC suffers. Write them with row groups of about "
                "100,000 rows (`row_group_size` of pandas and pyarrow), or shuffled."
            )

    def _take(self, file: File, columns: Sequence[str] | None, needed: Sequence[str], others: Counter[str]) -> None:
        """Take a file into the data set; `others` counts those that are alike, and not like the first."""
        stamp = file.stamp()
        with file.open() as opened:
            schema, metadata = opened.schema_arrow, opened.metadata
        try:
            types, index = columns_of(schema, file.name), named_index_of(schema)
        except (json.JSONDecodeError, UnicodeDecodeError) as error:  # in what pandas has written of it
            raise ValueError(f"{file.name} cannot be read as a Parquet file: {error}.") from error
        if not self.footers and index:
            warn(
                f"Column {index[0]!r} of {file.name} was the index of a DataFrame, and is left out, as pandas does not "
                "count it to the columns. If it is one of them, write the file after reset_index()."
            )
        try:
            if self.left_out.skips and (missing := [name for name in needed if name not in types]):
                raise ValueError(f"{file.name} has no column {missing[0]!r}.")
            categories = categories_of(schema)
            self.types = self._together(types, file.name, columns)
        except ValueError:
            others[str({name: kind for name, kind in types.items() if columns is None or name in columns})] += 1
            raise
        groups = [metadata.row_group(g) for g in range(metadata.num_row_groups)]
        n_rows = [group.num_rows for group in groups]
        largest = max((group.total_byte_size for group in groups), default=0)
        self.footers.append(Footer(file, stamp, n_rows, self.n_rows, largest, categories, types))
        self.n_rows += sum(n_rows)

    def leave_out(
        self,
        columns: Sequence[str],
        look: Look,
        new_look: Callable[[], Look] | None,
        noted: Callable[[Iterator[Block]], Iterator[Block]],
    ) -> None:
        """Read each file by itself, and leave out those that cannot be read, or at which `look` raises an error.

        What `look` sees of one file may speak against the next ones. So if the first one alone is left, one of
        `new_look` says whether the others go with each other; None if the first one is known to be no odd one. The
        blocks that are read pass through `noted`.
        """
        for name in columns:
            self.is_category(name)  # which all files say, before some are left out
        footers, self.footers, self.n_rows = self.footers, [], 0
        for footer in footers:
            moved = footer._replace(first=self.n_rows)
            with self.left_out.trying(footer.file.name):
                look(noted(self._alone(moved, columns)))
                self.footers.append(moved)
                self.n_rows += sum(moved.groups)
        self.left_out.warn(len(self.footers))
        self._kinds = {}
        if self.footers[0].file != footers[0].file:
            self._refuse_other_first(footers[0].file.name)
        elif new_look is not None and self._first_is_alone:
            look, failed = new_look(), LeftOut("skip")
            others = [footer for footer in footers[1:] if any(footer.groups)]
            for footer in others if len(others) > 1 else ():
                with failed.trying(footer.file.name):
                    look(noted(self._alone(footer, columns)))
            self._refuse_odd_first(len(others) - len(failed.reasons))
        self._take_types_anew(columns)
        self.refuse_no_rows()

    def _alone(self, footer: Footer, columns: Sequence[str]) -> Iterator[Block]:
        """The rows of one file."""
        return gathered(whole_file(footer, self._types_of(columns)), sizes.BLOCK_ROWS)

    def _take_types_anew(self, columns: Sequence[str]) -> None:
        """Take the types from the files that are left.

        Raises
        ------
        ValueError
            If a file that is left out has told a type by which others may have been left out.
        """
        for name in columns:
            told = reduce(fuller, (footer.types[name] for footer in self.footers))
            if self.has_odd_ones and says_nothing(told) != says_nothing(self.types[name]):
                raise ValueError(
                    f"A file that is left out says that column {name!r} is {self.types[name]}, by which the others "
                    "were judged. Leave it out of the list."
                )
            self.types[name] = told

    def _refuse_other_first(self, left_out: str) -> None:
        """Raise ValueError if the first file, which is left out, has told another order than the next would tell."""
        first = self.footers[0].file
        with first.open() as opened:
            in_order = list(columns_of(opened.schema_arrow, first.name)) == self.columns
        if not in_order:
            raise ValueError(
                f"{left_out} is the first file, which says what the columns are, and it cannot be learned from. "
                f"{first.name} has them in another order. Put a sound file first."
            )

    @property
    def name(self) -> str:
        """What messages call the data set."""
        others = len(self.footers) - 1
        return self.footers[0].file.name + (f" and {others} further files" if others else "")

    @property
    def columns(self) -> list[str]:
        """The names of the columns, in the order of the first file."""
        return list(self.types)

    def _together(self, types: Mapping[str, Any], name: str, columns: Sequence[str] | None) -> dict[str, Any]:
        """The types of all files, after a check that this one has the columns of the first, or those of `columns`."""
        if not self.footers:
            return dict(types)
        together, first = dict(self.types), self.footers[0].file.name
        for column, kind in self.types.items():
            if columns is not None and column not in columns:
                continue
            if column not in types:
                raise ValueError(f"{name} has no column {column!r}, which {first} has.")
            if not agree(kind, types[column]):
                told = next((f.file.name for f in self.footers if not says_nothing(f.types[column])), first)
                raise ValueError(f"Column {column!r} is {kind} in {told} and {types[column]} in {name}.")
            together[column] = fuller(kind, types[column])
        if columns is None and (more := [column for column in types if column not in self.types]):
            raise ValueError(f"{name} has the column {more[0]!r}, which {first} has not.")
        return together

    def refuse_other_categories(self, columns: Sequence[str]) -> None:
        """Raise ValueError if numbers are a category in some files and quantities in others."""
        for column in (name for name in columns if is_number(self.types[name])):
            one, other = self._kinds_of(column)
            if one is not None and other is not None:
                raise ValueError(
                    f"Column {column!r} was a category of pandas when {one.file.name} was written, and numbers when "
                    f"{other.file.name} was. Write all files with one dtype, or name the categories in "
                    "`categorical_features`."
                )

    def is_category(self, column: str) -> bool:
        """Whether a column was a category of pandas when the files were written, which the type of numbers forgets."""
        kinds = self._kinds_of(column)
        return kinds.as_category is not None and kinds.as_other is None

    def telling(self, X: pd.DataFrame) -> pd.DataFrame:
        """The first rows, with dtypes that say what the columns are."""
        return X.astype({name: "category" for name in X.columns if self.is_category(name)})

    def pandas_metadata(self, columns: Sequence[str]) -> dict[str, Any]:
        """What pandas wrote about these columns: in the first file, or in one that knows more of a column."""
        first = self.footers[0]
        said = first.pandas_metadata()
        entries = {entry.get("name"): entry for entry in said.get("columns", [])}
        for column in columns:
            kinds = self._kinds_of(column)
            knows = kinds.as_other if column in first.categories else kinds.as_category
            if knows is not None and None in kinds:  # else the first file has values, or all are missing in all
                of_other = knows.pandas_metadata()
                said = said or of_other
                entries.pop(column, None)
                entries |= {
                    entry["name"]: entry for entry in of_other.get("columns", []) if entry.get("name") == column
                }
        kept = [entry for name, entry in entries.items() if name in columns]
        return said | {"columns": kept, "index_columns": []} if said else {}

    def _kinds_of(self, column: str) -> Kinds:
        if column not in self._kinds:
            said = self.footers if is_number(self.types[column]) else self.footers[:1]  # other types tell by themselves
            self._kinds[column] = kinds_of(column, said, skips=self.left_out.skips)
        return self._kinds[column]

    def n_open(self, rates: np.ndarray | None = None) -> int:
        """From how many row groups, at the most, a pool is taken, see :func:`most_open`."""
        return most_open(self.footers, by_label=are_by_label(rates))

    def blocks(self, columns: Sequence[str]) -> Iterator[Block]:
        """All rows from the first to the last."""
        return gathered(self.pieces(columns), sizes.BLOCK_ROWS)

    def pieces(self, columns: Sequence[str]) -> Iterator[Piece]:
        """The same as batches of Arrow."""
        types = self._types_of(columns)
        for footer in self.footers:
            yield from whole_file(footer, types)

    def groups(self) -> Iterator[tuple[Group, int, int]]:
        """The row groups that have rows, by the numbers of file and group; the first row of each, and how many."""
        return row_groups_of(self.footers)

    def _types_of(self, columns: Sequence[str]) -> dict[str, Any]:
        return {name: self.types[name] for name in columns}

    def first_rows(self) -> list[int]:
        """The position of the first row of each row group that has rows."""
        return [first for _, first, _ in self.groups()]

    def in_order(self, seed: int, rates: np.ndarray | None = None) -> list[Group]:
        """The row groups in an order that the seed draws, and their `rates`, see :func:`drawn_order`."""
        groups = [group for group, *_ in self.groups()]
        return [groups[i] for i in drawn_order(len(groups), seed, self.n_open(rates), rates)]

    def pools(
        self,
        columns: Sequence[str],
        seed: int,
        groups: Sequence[Group] | None = None,
        rates: np.ndarray | None = None,
    ) -> Iterator[list[Block]]:
        """All rows, pool by pool: several row groups at a time, in the order of :meth:`in_order`.

        Or those of some row groups, in their order.
        """
        groups = self.in_order(seed, rates) if groups is None else groups
        pieces = mixed(self.footers, self._types_of(columns), groups, rates)
        return pooled(pieces, sizes.POOL_ROWS)

    def identity(self) -> Sequence[Any]:
        """Plain values that tell these files from others, wherever they are, and the order of their rows."""
        n_open = [most_open(self.footers, by_label=by_label) for by_label in (False, True)]  # which goes by their bytes
        return [ORDER, n_open, *(list(footer.groups) for footer in self.footers)]
