"""Merging of the pieces of several row groups, each of which has its own reader, into one stream."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice

from sklearn_fsmd.encoding.sources.frames import Piece


def round_robin(readers: Iterator[Iterator[Piece]], n: int) -> Iterator[Piece]:
    """Yield a piece from each of `n` open readers in turn; when one ends, the next one is opened."""
    reading = deque(islice(readers, n))
    while reading:
        current = reading.popleft()
        piece = next(current, None)
        if piece is not None:
            yield piece
            reading.append(current)
        elif (following := next(readers, None)) is not None:
            reading.append(following)


Lasting = tuple[Iterator[Piece], int]
"""A reader and its number of rows."""


def with_lasting(pieces: Iterator[Piece], n_rows: int, lasting: Sequence[Lasting]) -> Iterator[Piece]:
    """Yield `pieces`, which have `n_rows` rows, and evenly among them the pieces of other readers, up to the end."""
    n_done, n_done_lasting = 0, [0] * len(lasting)
    for piece in pieces:
        yield piece
        n_done += len(piece.batch)
        for j, (reader, n) in enumerate(lasting):
            while n_done_lasting[j] * n_rows < n * n_done:
                other = next(reader)
                yield other
                n_done_lasting[j] += len(other.batch)
