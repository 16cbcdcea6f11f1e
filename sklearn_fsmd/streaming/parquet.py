"""A data set in Parquet files, which are read in batches, so that memory stays flat."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from sklearn_fsmd.streaming import sizes
from sklearn_fsmd.streaming.files import File, find_files
from sklearn_fsmd.streaming.frames import Block, Piece, gathered, selected
from sklearn_fsmd.streaming.schema import agree, categories_of, columns_of, fuller


class Footer(NamedTuple):
    """What a file says of itself.

    Attributes
    ----------
    file, stamp : the file, and what changes when it does.
    groups : how many rows each of its row groups has.
    first : the position of its first row in the data set.
    """

    file: File
    stamp: str
    groups: Sequence[int]
    first: int


class ParquetSource:
    """The rows of some Parquet files, one after the other.

    Parameters
    ----------
    source : see :func:`~sklearn_fsmd.streaming.files.find_files`.

    Attributes
    ----------
    columns : the names of all columns.
    n_rows : int
    categories : the names of columns that were categories of pandas when the first file was written.

    Raises
    ------
    OSError
        If a file cannot be reached or read.
    ValueError
        If a file is no whole Parquet file, or its columns are not those of the first.
    """

    def __init__(self, source: Any, columns: Sequence[str] | None = None) -> None:
        self.footers: list[Footer] = []
        self.types: dict[str, Any] = {}
        self.n_rows = 0
        for file in find_files(source):
            stamp, opened = file.stamp(), file.open()
            if not self.footers:
                self.categories = categories_of(opened.schema_arrow)
            self._take_types(columns_of(opened.schema_arrow, file.name), file.name, columns)
            groups = [opened.metadata.row_group(g).num_rows for g in range(opened.metadata.num_row_groups)]
            self.footers.append(Footer(file, stamp, groups, self.n_rows))
            self.n_rows += sum(groups)
            opened.close()
        if self.n_rows == 0:
            raise ValueError(f"The data set has no rows: {self.name} has none.")

    @property
    def name(self) -> str:
        """What messages call the data set."""
        others = len(self.footers) - 1
        return self.footers[0].file.name + (f" and {others} further files" if others else "")

    @property
    def columns(self) -> list[str]:
        """The names of the columns, in the order of the first file."""
        return list(self.types)

    def _take_types(self, types: Mapping[str, Any], name: str, columns: Sequence[str] | None) -> None:
        """Check that a file has the columns of the first, or those of `columns`."""
        if not self.footers:
            self.types = dict(types)
            return
        first = self.footers[0].file.name
        for column, kind in self.types.items():
            if column not in types:
                if columns is not None and column not in columns:
                    continue
                raise ValueError(f"{name} has no column {column!r}, which {first} has.")
            if not agree(kind, types[column]):
                raise ValueError(f"Column {column!r} is {kind} in {first} and {types[column]} in {name}.")
            self.types[column] = fuller(kind, types[column])
        if columns is None and (more := [column for column in types if column not in self.types]):
            raise ValueError(f"{name} has the column {more[0]!r}, which {first} has not.")

    def blocks(self, columns: Sequence[str]) -> Iterator[Block]:
        """All rows from the first to the last."""
        return gathered(self._in_order({name: self.types[name] for name in columns}), sizes.BLOCK_ROWS)

    def _in_order(self, columns: Mapping[str, Any]) -> Iterator[Piece]:
        for footer in self.footers:
            yield from _pieces(footer, _opened(footer), None, columns, sizes.BLOCK_ROWS)

    def groups(self) -> Iterator[tuple[tuple[int, int], int, int]]:
        """The row groups that have rows, by the numbers of file and group; the first row of each, and how many."""
        for f, footer in enumerate(self.footers):
            firsts = footer.first + np.cumsum([0, *footer.groups])
            for g, n in enumerate(footer.groups):
                if n:
                    yield (f, g), int(firsts[g]), n

    def in_order(self, seed: int) -> list[tuple[int, int]]:
        """The row groups in an order that the seed draws."""
        groups = [group for group, *_ in self.groups()]
        return [groups[i] for i in np.random.default_rng(seed).permutation(len(groups))]

    def pools(
        self, columns: Sequence[str], seed: int, groups: Sequence[tuple[int, int]] | None = None
    ) -> Iterator[list[Block]]:
        """All rows, pool by pool: row groups in an order that the seed draws, several of them at a time.

        Or those of some row groups, in their order.
        """
        groups = self.in_order(seed) if groups is None else groups
        pieces = self._mixed({name: self.types[name] for name in columns}, groups)
        return ([block] for block in gathered(pieces, sizes.POOL_ROWS))

    def _mixed(self, columns: Mapping[str, Any], groups: Sequence[tuple[int, int]]) -> Iterator[Piece]:
        opened: dict[int, Any] = {}

        def reader(f: int, g: int) -> Iterator[Piece]:
            footer = self.footers[f]
            if f not in opened:
                if len(opened) >= sizes.OPEN_GROUPS:
                    del opened[next(iter(opened))]  # whoever still reads it keeps it open
                opened[f] = _opened(footer)
            return _pieces(footer, opened[f], g, columns, max(sizes.POOL_ROWS // sizes.OPEN_GROUPS, 1))

        waiting = iter(groups)
        readers = deque(reader(*group) for group in islice(waiting, sizes.OPEN_GROUPS))
        while readers:
            current = readers.popleft()
            piece = next(current, None)
            if piece is not None:
                yield piece
                readers.append(current)
            elif (group := next(waiting, None)) is not None:
                readers.append(reader(*group))

    def identity(self) -> Sequence[Any]:
        """Plain values that tell these files from others, wherever they are."""
        return [list(footer.groups) for footer in self.footers]


def _opened(footer: Footer) -> Any:
    if footer.file.stamp() != footer.stamp:
        raise ValueError(f"{footer.file.name} has changed while it was being learned from. Fit again.")
    return footer.file.open()


def _pieces(footer: Footer, opened: Any, group: int | None, columns: Mapping[str, Any], size: int) -> Iterator[Piece]:
    """The batches of one row group, or of the whole file."""
    first = footer.first + (0 if group is None else sum(footer.groups[:group]))
    batches = opened.iter_batches(size, None if group is None else [group], list(columns), use_threads=False)
    while True:
        with footer.file.readable():
            batch = next(batches, None)
            if batch is None:
                return
            batch = selected(batch, columns)
        yield Piece(batch, first, footer.file.name)
        first += len(batch)
