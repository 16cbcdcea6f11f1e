"""The rows of Parquet files are read: those of a file one after the other, or those of several row groups in turn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from sklearn_fsmd.encoding.sources import sizes
from sklearn_fsmd.encoding.sources.files import batches_of
from sklearn_fsmd.encoding.sources.footers import Footer
from sklearn_fsmd.encoding.sources.frames import Piece, selected
from sklearn_fsmd.encoding.sources.mixing import round_robin, with_lasting
from sklearn_fsmd.encoding.sources.row_groups import Group, are_by_label, n_at_a_time, rare_groups

PIECES_OF_RARE = 4
"""Of row groups that are read throughout a pass so many pieces are in a pool."""

Types = Mapping[str, Any]
"""The columns that are read, and the type of Arrow of each."""


def row_groups_of(footers: Sequence[Footer]) -> Iterator[tuple[Group, int, int]]:
    """The row groups that have rows, by the numbers of file and group; the first row of each, and how many."""
    for f, footer in enumerate(footers):
        firsts = footer.first + np.cumsum([0, *footer.groups])
        for g, n in enumerate(footer.groups):
            if n:
                yield (f, g), int(firsts[g]), n


def most_open(footers: Sequence[Footer], *, by_label: bool) -> int:
    """From how many row groups, at the most, a pool is taken.

    Of more a sorted file is mixed better, and each needs memory. A file that is sorted by label needs most: the rows of
    a user with a label and those without are in other row groups.
    """
    n_bytes = sizes.OPEN_BYTES_BY_LABEL if by_label else sizes.OPEN_BYTES
    largest = max(footer.largest for footer in footers)
    return min(max(n_bytes // max(largest, 1), sizes.FEWEST_OPEN), sizes.OPEN_GROUPS)


def whole_file(footer: Footer, types: Types) -> Iterator[Piece]:
    """The rows of a file, from the first to the last."""
    return _pieces(footer, footer.open(), footer.first, None, types, sizes.BLOCK_ROWS)


def mixed(
    footers: Sequence[Footer], types: Types, groups: Sequence[Group], rates: np.ndarray | None
) -> Iterator[Piece]:
    """Pieces of several row groups in turn; the rare ones among them last from the first piece to the end."""
    first_of, n_rows = dict[Group, int](), dict[Group, int]()
    for group, first, n in row_groups_of(footers):
        first_of[group], n_rows[group] = first, n
    n_open = most_open(footers, by_label=are_by_label(rates))
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
        if (f, is_rare) not in opened:  # an open file has one size of pieces
            if len(opened) >= n_open:
                del opened[next(iter(opened))]  # whoever still reads it keeps it open
            opened[f, is_rare] = footers[f].open()
        own_size = size_of_rare if is_rare else size
        return _pieces(footers[f], opened[f, is_rare], first_of[group], [g], types, own_size)

    lasting = [(reader(group, True), n_rows[group]) for group in throughout]
    pieces = round_robin((reader(group, False) for group in others), n_places)
    return with_lasting(pieces, sum(n_rows[group] for group in others), lasting)


def _pieces(
    footer: Footer, opened: Any, first: int, groups: list[int] | None, types: Types, size: int
) -> Iterator[Piece]:
    """The batches of some row groups, or of the whole file, whose rows are `first` and those after it."""
    batches = batches_of(opened, size, groups, list(types), use_threads=False)
    while True:
        with footer.file.readable():
            batch = next(batches, None)
            if batch is None:
                return
            batch = selected(batch, types)
        yield Piece(batch, first, footer.file.name)
        first += len(batch)
