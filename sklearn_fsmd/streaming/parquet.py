"""A data set in Parquet files, which are read in batches, so that memory stays flat."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np
import pandas as pd

from sklearn_fsmd.runtime import warn
from sklearn_fsmd.streaming import sizes
from sklearn_fsmd.streaming.files import File, batches_of, find_files
from sklearn_fsmd.streaming.footers import Footer, Kinds, kinds_of
from sklearn_fsmd.streaming.frames import Block, Piece, gathered, selected
from sklearn_fsmd.streaming.left_out import LeftOut
from sklearn_fsmd.streaming.mixing import in_turn, with_lasting
from sklearn_fsmd.streaming.row_groups import Group, are_by_label, drawn_order, n_at_a_time, rare_groups
from sklearn_fsmd.streaming.schema import agree, categories_of, columns_of, fuller, is_number, says_nothing

ORDER = 2
"""Raised when a seed draws another order than before, so that no fit goes on within an epoch that it has begun."""
PIECES_OF_RARE = 4
"""Of row groups that are read throughout a pass so many pieces are in a pool."""


Look = Callable[[Iterator[Block]], None]
"""Raises an error at rows that cannot be learned from."""


class ParquetSource:
    """The rows of some Parquet files, one after the other.

    Parameters
    ----------
    source : see :func:`~sklearn_fsmd.streaming.files.find_files`.
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

    def _refuse_odd_first(self, n_alike: int) -> None:
        """Raise ValueError if no file goes with the first, and so many, of those left out, go with each other."""
        if len(self.footers) == 1 and n_alike > 1:
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
        types = columns_of(schema, file.name)
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
        elif new_look is not None and len(self.footers) == 1 and len(footers) > 2:
            look, others = new_look(), LeftOut("skip")
            for footer in footers[1:]:
                with others.trying(footer.file.name):
                    look(noted(self._alone(footer, columns)))
            self._refuse_odd_first(len(footers) - 1 - len(others.reasons))
        self._take_types_anew(columns)
        self.refuse_no_rows()

    def _alone(self, footer: Footer, columns: Sequence[str]) -> Iterator[Block]:
        """The rows of one file."""
        types = {name: self.types[name] for name in columns}
        return gathered(_pieces(footer, footer.open(), None, types, sizes.BLOCK_ROWS), sizes.BLOCK_ROWS)

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
        """From how many row groups, at the most, a pool is taken.

        Of more a sorted file is mixed better, and each needs memory. A file that is sorted by label needs most: the
        rows of a user with a label and those without are in other row groups.
        """
        n_bytes = sizes.OPEN_BYTES_BY_LABEL if are_by_label(rates) else sizes.OPEN_BYTES
        largest = max(footer.largest for footer in self.footers)
        return min(max(n_bytes // max(largest, 1), sizes.FEWEST_OPEN), sizes.OPEN_GROUPS)

    def blocks(self, columns: Sequence[str]) -> Iterator[Block]:
        """All rows from the first to the last."""
        return gathered(self.pieces(columns), sizes.BLOCK_ROWS)

    def pieces(self, columns: Sequence[str]) -> Iterator[Piece]:
        """The same as batches of Arrow."""
        types = {name: self.types[name] for name in columns}
        for footer in self.footers:
            yield from _pieces(footer, footer.open(), None, types, sizes.BLOCK_ROWS)

    def groups(self) -> Iterator[tuple[Group, int, int]]:
        """The row groups that have rows, by the numbers of file and group; the first row of each, and how many."""
        for f, footer in enumerate(self.footers):
            firsts = footer.first + np.cumsum([0, *footer.groups])
            for g, n in enumerate(footer.groups):
                if n:
                    yield (f, g), int(firsts[g]), n

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
        pieces = self._mixed({name: self.types[name] for name in columns}, groups, rates)
        return ([block] for block in gathered(pieces, sizes.POOL_ROWS))

    def _mixed(self, columns: Mapping[str, Any], groups: Sequence[Group], rates: np.ndarray | None) -> Iterator[Piece]:
        """Pieces of several row groups in turn; the rare ones among them last from the first piece to the end."""
        n_rows, n_open = {group: n for group, _, n in self.groups()}, self.n_open(rates)
        every = list(n_rows)
        rare = {every[i] for i in rare_groups(rates, n_open // 2)}
        if rare.issuperset(groups):  # those of a process may all be
            rare = set()
        throughout = [group for group in groups if group in rare]
        others = [group for group in groups if group not in rare]
        n_places = n_at_a_time(len(others), n_open - len(throughout))
        size = max(sizes.POOL_ROWS // n_places, 1)
        n_pools = sum(n_rows[group] for group in groups) / sizes.POOL_ROWS
        size_of_rare = max(int(max((n_rows[group] for group in throughout), default=0) / n_pools / PIECES_OF_RARE), 1)
        opened = dict[tuple[int, bool], Any]()

        def reader(group: Group, is_rare: bool) -> Iterator[Piece]:
            f, g = group
            footer = self.footers[f]
            if (f, is_rare) not in opened:  # an open file has one size of pieces
                if len(opened) >= n_open:
                    del opened[next(iter(opened))]  # whoever still reads it keeps it open
                opened[f, is_rare] = footer.open()
            return _pieces(footer, opened[f, is_rare], g, columns, size_of_rare if is_rare else size)

        lasting = [(reader(group, True), n_rows[group]) for group in throughout]
        pieces = in_turn((reader(group, False) for group in others), n_places)
        return with_lasting(pieces, sum(n_rows[group] for group in others), lasting)

    def identity(self) -> Sequence[Any]:
        """Plain values that tell these files from others, wherever they are, and the order of their rows."""
        return [ORDER, *(list(footer.groups) for footer in self.footers)]


def _pieces(footer: Footer, opened: Any, group: int | None, columns: Mapping[str, Any], size: int) -> Iterator[Piece]:
    """The batches of one row group, or of the whole file."""
    first = footer.first + (0 if group is None else sum(footer.groups[:group]))
    batches = batches_of(opened, size, None if group is None else [group], list(columns), use_threads=False)
    while True:
        with footer.file.readable():
            batch = next(batches, None)
            if batch is None:
                return
            batch = selected(batch, columns)
        yield Piece(batch, first, footer.file.name)
        first += len(batch)
