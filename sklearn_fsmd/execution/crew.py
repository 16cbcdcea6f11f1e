"""Threads that share the work of a training step.

Torch's own threads take an operation in parts and wait for each other after every one of them. Here each thread takes
its piece through many operations, computes alone, and finds in its cache what it has just written. How the work is cut
depends on its shape and never on the number of threads, so the bits of a result do not either.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

import torch

from sklearn_fsmd.parameters.machine import threads

FEW = 2**16
"""With fewer numbers than this, handing them to another thread takes longer than computing them."""


def ranges_of(rows: int, width: int) -> list[slice]:
    """Cut ``(rows, width)`` by rows."""
    size = max(FEW // width, 64)
    return [slice(i, min(i + size, rows)) for i in range(0, rows, size)]


def parts_of(n: int) -> list[slice]:
    """Cut the columns of an output, or the rows of a product, in up to four parts."""
    size = max(-(-n // 64) * 16, 32)  # a part begins where a register does
    return [slice(i, min(i + size, n)) for i in range(0, n, size)]


class Crew:
    """So many threads, the caller's included."""

    def __init__(self, n: int = 1) -> None:
        self.n = n
        self.pool = ThreadPoolExecutor(n - 1) if n > 1 else None

    def each(self, work: Callable[[Any], object], pieces: Sequence[Any], numbers: int) -> None:
        """Call ``work(piece)`` for all pieces, which have so many numbers together."""
        if self.pool is None or len(pieces) < 2 or numbers < FEW:
            for piece in pieces:
                work(piece)
            return
        waiting = deque(pieces)

        def take_part() -> None:
            with threads(1):
                while True:
                    try:
                        piece = waiting.popleft()
                    except IndexError:
                        return
                    work(piece)

        def help_out() -> None:
            with torch.no_grad():  # of the caller's thread it is the caller's business
                take_part()

        others: list[Future[None]] = []
        try:
            for _ in range(1, min(self.n, len(pieces))):
                others.append(self.pool.submit(help_out))
            take_part()
        finally:
            waiting.clear()  # where something failed, the others end with the piece that they have
            wait(others)
        for other in others:
            other.result()

    def __reduce__(self) -> tuple[type[Crew], tuple[()]]:
        """A copy of a network that is being trained computes alone."""
        return Crew, ()

    def close(self) -> None:
        if self.pool is not None:
            self.pool.shutdown()
            self.pool = None
