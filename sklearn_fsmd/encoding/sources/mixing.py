"""How the pieces of several row groups, each of which has a reader of its own, become one stream."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice

from sklearn_fsmd.encoding.sources.frames import Piece


def round_robin(readers: Iterator[Iterator[Piece]], n: int) -> Iterator[Piece]:
    """A piece of each of `n` readers in turn; where one ends the next one begins."""
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
"""A reader, and how many rows it has."""


def with_lasting(pieces: Iterator[Piece], n_rows: int, lasting: Sequence[Lasting]) -> Iterator[Piece]:
    """The `pieces`, which have `n_rows` rows, and between them those of other readers, such that all end together."""
    n_given, n_of_each = 0, [0] * len(lasting)
    for piece in pieces:
        yield piece
        n_given += len(piece.batch)
        for j, (reader, n) in enumerate(lasting):
            while n_of_each[j] * n_rows < n * n_given:
                other = next(reader)
                yield other
                n_of_each[j] += len(other.batch)
