"""Readers of the rows of Parquet files: of a file in order, or of several row groups in turn."""

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
"""Number of pieces in a pool from each row group that is read throughout a pass."""

Types = Mapping[str, Any]
"""The columns that are read, and the Arrow type of each."""


def row_groups_of(footers: Sequence[Footer]) -> Iterator[tuple[Group, int, int]]:
    """Yield each row group that has rows, the position of its first row, and its number of rows."""
    for f, footer in enumerate(footers):
        firsts = footer.first + np.cumsum([0, *footer.groups])
        for g, n in enumerate(footer.groups):
            if n:
                yield (f, g), int(firsts[g]), n


def most_open(footers: Sequence[Footer], *, by_label: bool) -> int:
    """Largest number of row groups from which a pool is taken.

    More groups mix a sorted file better, but each needs memory. A file that is sorted by label needs most, since the
    rows of a user with and without a label are in different row groups.
    """
    n_bytes = sizes.OPEN_BYTES_BY_LABEL if by_label else sizes.OPEN_BYTES
    largest = max(footer.largest for footer in footers)
    return min(max(n_bytes // max(largest, 1), sizes.FEWEST_OPEN), sizes.OPEN_GROUPS)


def whole_file(footer: Footer, types: Types) -> Iterator[Piece]:
    """Yield the rows of a file, from the first to the last."""
    return _pieces(footer, footer.open(), footer.first, None, types, sizes.BLOCK_ROWS)


def mixed(
    footers: Sequence[Footer], types: Types, groups: Sequence[Group], rates: np.ndarray | None
) -> Iterator[Piece]:
    """Yield pieces of several row groups in turn; the rare groups among them are read throughout."""
    first_of, n_rows = dict[Group, int](), dict[Group, int]()
    for group, first, n in row_groups_of(footers):
        first_of[group], n_rows[group] = first, n
    n_open = most_open(footers, by_label=are_by_label(rates))
    all_groups = list(n_rows)
    rare = {all_groups[i] for i in rare_groups(rates, n_open // 2)}
    if rare.issuperset(groups):  # possible for the groups of one process
        rare = set()
    throughout = [group for group in groups if group in rare]
    others = [group for group in groups if group not in rare]
    n_slots = n_at_a_time(len(others), n_open - len(throughout))
    size = max(sizes.POOL_ROWS // n_slots, 1)
    n_pools = sum(n_rows[group] for group in groups) / sizes.POOL_ROWS
    size_of_rare = max(int(max((n_rows[group] for group in throughout), default=0) / n_pools / PIECES_OF_RARE), 1)
    opened = dict[tuple[int, bool], Any]()

    def reader(group: Group, is_rare: bool) -> Iterator[Piece]:
        f, g = group
        if (f, is_rare) not in opened:  # an open file has a fixed size of pieces
            if len(opened) >= n_open:
                del opened[next(iter(opened))]  # a reader that still uses it keeps it open
            opened[f, is_rare] = footers[f].open()
        n_piece_rows = size_of_rare if is_rare else size
        return _pieces(footers[f], opened[f, is_rare], first_of[group], [g], types, n_piece_rows)

    lasting = [(reader(group, True), n_rows[group]) for group in throughout]
    pieces = round_robin((reader(group, False) for group in others), n_slots)
    return with_lasting(pieces, sum(n_rows[group] for group in others), lasting)


def _pieces(
    footer: Footer, opened: Any, first: int, groups: list[int] | None, types: Types, size: int
) -> Iterator[Piece]:
    """Yield the batches of some row groups, or of the whole file, whose first row has the position `first`."""
    batches = batches_of(opened, size, groups, list(types), use_threads=False)
    while True:
        with footer.file.readable():
            batch = next(batches, None)
            if batch is None:
                return
            batch = selected(batch, types)
        yield Piece(batch, first, footer.file.name)
        first += len(batch)
