"""A data set in Parquet files, which are read in batches, so that the use of memory is constant."""

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
    is_number,
    is_untyped,
    merged_type,
    named_index_of,
)
from sklearn_fsmd.parameters import warn

ORDER = 2
"""Version of the order of rows. Increase it if a seed gives another order than before: checkpoints within an epoch then
do not match, and are not continued."""

Check = Callable[[Iterator[Block]], None]
"""Raises an error for rows that cannot be used in training."""


class ParquetSource:
    """The rows of some Parquet files, one after the other.

    Parameters
    ----------
    source : see :func:`~sklearn_fsmd.encoding.sources.files.find_files`.
    columns : the columns that are read; None for all.
    needed : columns that each file must have, even if the first one lacks them.
    left_out : LeftOut, which collects files that cannot be read if these may be left out.

    Attributes
    ----------
    columns : the names of all columns.
    n_rows : int
    types : the Arrow type of each column; for numbers of several sizes, a type that holds all.
    has_mismatches : whether files are left out because of their columns or types.

    Raises
    ------
    OSError
        If a file cannot be reached or read.
    ValueError
        If a file is not a complete Parquet file, or its columns are not those of the first file.
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
        mismatches: Counter[str] = Counter()
        for file in find_files(source, self.left_out):
            with self.left_out.trying(file.name):
                self._add(file, columns, needed, mismatches)
        self._refuse_mismatching_first(max(mismatches.values(), default=0))
        self.has_mismatches = bool(mismatches)
        if not self.left_out.skips:  # otherwise `leave_out` reads all files before it warns
            self.refuse_no_rows()

    @property
    def _first_is_alone(self) -> bool:
        """Whether no other file with rows matches the first one."""
        return bool(self.footers) and not any(any(footer.groups) for footer in self.footers[1:])

    def _refuse_mismatching_first(self, n_matching: int) -> None:
        """Raise ValueError if no file matches the first one, but several of those left out match each other."""
        if self._first_is_alone and n_matching > 1:
            raise ValueError(
                f"{n_matching} files have the same columns, and not those of {self.footers[0].file.name}, which is the "
                "first and says what the columns are. Put the file first whose columns are right, or leave the others "
                "out of the list."
            )

    def refuse_no_rows(self) -> None:
        """Raise ValueError if there are no rows."""
        if self.n_rows == 0:
            raise ValueError(f"The data set has no rows: {self.name} has none.")

    def warn_of_large_groups(self) -> None:
        """Warn if there are few row groups and one is so large that a sorted file would not be mixed well."""
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

    def _add(self, file: File, columns: Sequence[str] | None, needed: Sequence[str], mismatches: Counter[str]) -> None:
        """Add a file; `mismatches` counts, by their types, the files that do not match the first one."""
        stamp = file.stamp()
        with file.open() as opened:
            schema, metadata = opened.schema_arrow, opened.metadata
        try:
            types, index = columns_of(schema, file.name), named_index_of(schema)
        except (json.JSONDecodeError, UnicodeDecodeError) as error:  # in the metadata of pandas
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
            self.types = self._merged_types(types, file.name, columns)
        except ValueError:
            mismatches[str({name: kind for name, kind in types.items() if columns is None or name in columns})] += 1
            raise
        groups = [metadata.row_group(g) for g in range(metadata.num_row_groups)]
        n_rows = [group.num_rows for group in groups]
        largest = max((group.total_byte_size for group in groups), default=0)
        last = self.footers[-1].types if self.footers else {}
        kept = last if types == last else types  # so that the types of many files are in memory once
        self.footers.append(Footer(file, stamp, n_rows, self.n_rows, largest, categories, kept))
        self.n_rows += sum(n_rows)

    def leave_out(
        self,
        columns: Sequence[str],
        check: Check,
        new_check: Callable[[], Check] | None,
        noted: Callable[[Iterator[Block]], Iterator[Block]],
    ) -> None:
        """Read each file separately, and leave out those that cannot be read or for which `check` raises an error.

        Parameters
        ----------
        columns : the columns that are read.
        check : compares each file with those before. So if only the first file is left, the others may be right.
        new_check : creates a check that has seen no file, to test whether the other files match each other; None if the
            first file is known to be right.
        noted : wraps the iterators of blocks that are read.
        """
        for name in columns:
            self.is_category(name)  # computed from all files and cached, before some are left out
        footers, self.footers, self.n_rows = self.footers, [], 0
        for footer in footers:
            moved = footer._replace(first=self.n_rows)
            with self.left_out.trying(footer.file.name):
                check(noted(self._blocks_of(moved, columns)))
                self.footers.append(moved)
                self.n_rows += sum(moved.groups)
        self.left_out.warn(len(self.footers))
        self._kinds = {}
        if self.footers[0].file != footers[0].file:
            self._refuse_other_first(footers[0].file.name)
        elif new_check is not None and self._first_is_alone:
            check, failed = new_check(), LeftOut("skip")
            others = [footer for footer in footers[1:] if any(footer.groups)]
            for footer in others if len(others) > 1 else ():
                with failed.trying(footer.file.name):
                    check(noted(self._blocks_of(footer, columns)))
            self._refuse_mismatching_first(len(others) - len(failed.reasons))
        self._update_types(columns)
        self.refuse_no_rows()

    def _blocks_of(self, footer: Footer, columns: Sequence[str]) -> Iterator[Block]:
        """Yield the rows of one file."""
        return gathered(whole_file(footer, self._types_of(columns)), sizes.BLOCK_ROWS)

    def _update_types(self, columns: Sequence[str]) -> None:
        """Compute the types from the files that are left.

        Raises
        ------
        ValueError
            If the type of a column came from a file that is left out, and other files may have been left out for it.
        """
        for name in columns:
            merged = reduce(merged_type, (footer.types[name] for footer in self.footers))
            if self.has_mismatches and is_untyped(merged) != is_untyped(self.types[name]):
                raise ValueError(
                    f"A file that is left out says that column {name!r} is {self.types[name]}, and other files were "
                    "compared with that. Leave it out of the list."
                )
            self.types[name] = merged

    def _refuse_other_first(self, left_out: str) -> None:
        """Raise ValueError if the first file, which is left out, has the columns in another order than the next one."""
        first = self.footers[0].file
        with first.open() as opened:
            in_order = list(columns_of(opened.schema_arrow, first.name)) == self.columns
        if not in_order:
            raise ValueError(
                f"{left_out} is the first file, which says what the columns are, and it cannot be learned from. "
                f"{first.name} has them in another order. Put a file first that can be used."
            )

    @property
    def name(self) -> str:
        """Name of the data set in messages."""
        others = len(self.footers) - 1
        return self.footers[0].file.name + (f" and {others} further files" if others else "")

    @property
    def columns(self) -> list[str]:
        """Names of the columns, in the order of the first file."""
        return list(self.types)

    def _merged_types(self, types: Mapping[str, Any], name: str, columns: Sequence[str] | None) -> dict[str, Any]:
        """Merge the types of a file into those of all, after a check of its columns, or of `columns` only."""
        if not self.footers:
            return dict(types)
        merged, first = dict(self.types), self.footers[0].file.name
        for column, kind in self.types.items():
            if columns is not None and column not in columns:
                continue
            if column not in types:
                raise ValueError(f"{name} has no column {column!r}, which {first} has.")
            if not agree(kind, types[column]):
                typed = next((f.file.name for f in self.footers if not is_untyped(f.types[column])), first)
                raise ValueError(f"Column {column!r} is {kind} in {typed} and {types[column]} in {name}.")
            merged[column] = merged_type(kind, types[column])
        if columns is None and (more := [column for column in types if column not in self.types]):
            raise ValueError(f"{name} has the column {more[0]!r}, which {first} does not have.")
        return merged

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
        """Whether a column was a category of pandas when the files were written; the Arrow type does not show it."""
        kinds = self._kinds_of(column)
        return kinds.as_category is not None and kinds.as_other is None

    def with_column_kinds(self, X: pd.DataFrame) -> pd.DataFrame:
        """Convert the first rows `X` to dtypes that show the kinds of the columns."""
        return X.astype({name: "category" for name in X.columns if self.is_category(name)})

    def pandas_metadata(self, columns: Sequence[str]) -> dict[str, Any]:
        """Return the metadata of pandas on these columns: of the first file, or of one in which a column has values."""
        first = self.footers[0]
        metadata = first.pandas_metadata()
        entries = {entry.get("name"): entry for entry in metadata.get("columns", [])}
        for column in columns:
            kinds = self._kinds_of(column)
            with_values = kinds.as_other if column in first.categories else kinds.as_category
            if with_values is not None and None in kinds:  # else the first file has values, or no file has any
                other = with_values.pandas_metadata()
                metadata = metadata or other
                entries.pop(column, None)
                entries |= {entry["name"]: entry for entry in other.get("columns", []) if entry.get("name") == column}
        selected = [entry for name, entry in entries.items() if name in columns]
        return metadata | {"columns": selected, "index_columns": []} if metadata else {}

    def _kinds_of(self, column: str) -> Kinds:
        if column not in self._kinds:
            # Only numbers may be categories in one file and not in another: other types show what they are.
            footers = self.footers if is_number(self.types[column]) else self.footers[:1]
            self._kinds[column] = kinds_of(column, footers, skips=self.left_out.skips)
        return self._kinds[column]

    def n_open(self, rates: np.ndarray | None = None) -> int:
        """Largest number of row groups from which a pool is taken, see :func:`most_open`."""
        return most_open(self.footers, by_label=are_by_label(rates))

    def blocks(self, columns: Sequence[str]) -> Iterator[Block]:
        """Yield all rows from the first to the last."""
        return gathered(self.pieces(columns), sizes.BLOCK_ROWS)

    def pieces(self, columns: Sequence[str]) -> Iterator[Piece]:
        """Yield all rows as Arrow batches."""
        types = self._types_of(columns)
        for footer in self.footers:
            yield from whole_file(footer, types)

    def groups(self) -> Iterator[tuple[Group, int, int]]:
        """Yield each row group that has rows, the position of its first row, and its number of rows."""
        return row_groups_of(self.footers)

    def _types_of(self, columns: Sequence[str]) -> dict[str, Any]:
        return {name: self.types[name] for name in columns}

    def first_rows(self) -> list[int]:
        """Return the position of the first row of each row group that has rows."""
        return [first for _, first, _ in self.groups()]

    def in_order(self, seed: int, rates: np.ndarray | None = None) -> list[Group]:
        """Return the row groups in an order that depends on the seed and the `rates`, see :func:`drawn_order`."""
        groups = [group for group, *_ in self.groups()]
        return [groups[i] for i in drawn_order(len(groups), seed, self.n_open(rates), rates)]

    def pools(
        self,
        columns: Sequence[str],
        seed: int,
        groups: Sequence[Group] | None = None,
        rates: np.ndarray | None = None,
    ) -> Iterator[list[Block]]:
        """Yield all rows, pool by pool, from several row groups at a time, in the order of :meth:`in_order`.

        If `groups` are given, yield only their rows, in their order.
        """
        groups = self.in_order(seed, rates) if groups is None else groups
        pieces = mixed(self.footers, self._types_of(columns), groups, rates)
        return pooled(pieces, sizes.POOL_ROWS)

    def identity(self) -> Sequence[Any]:
        """Return plain values that identify the rows of these files, wherever they are, and the order of a pass."""
        n_open = [most_open(self.footers, by_label=by_label) for by_label in (False, True)]  # depends on sizes in bytes
        return [ORDER, n_open, *(list(footer.groups) for footer in self.footers)]
