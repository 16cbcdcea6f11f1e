"""Threads that share the work of a training step.

The threads of torch divide each operation and wait for each other after it. Here each thread computes many operations
on its piece alone, and finds in its cache what it has just written. The pieces depend on the shape of the work and
never on the number of threads, so neither do the bits of the results.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

import torch

from sklearn_fsmd.parameters.machine import threads

FEW = 2**16
"""With fewer numbers than this, passing work to another thread takes longer than computing it."""


def ranges_of(rows: int, width: int) -> list[slice]:
    """Cut the rows of a matrix ``(rows, width)`` into parts."""
    size = max(FEW // width, 64)
    return [slice(i, min(i + size, rows)) for i in range(0, rows, size)]


def parts_of(n: int) -> list[slice]:
    """Cut the columns of an output, or the rows of a product, into up to four parts."""
    size = max(-(-n // 64) * 16, 32)  # a part begins at a multiple of the register width
    return [slice(i, min(i + size, n)) for i in range(0, n, size)]


class Crew:
    """A pool of `n` threads, including the thread of the caller."""

    def __init__(self, n: int = 1) -> None:
        self.n = n
        self.pool = ThreadPoolExecutor(n - 1) if n > 1 else None

    def each(self, work: Callable[[Any], object], pieces: Sequence[Any], numbers: int) -> None:
        """Call ``work(piece)`` for all pieces, in parallel if they have at least FEW `numbers` in total."""
        if self.pool is None or len(pieces) < 2 or numbers < FEW:
            for piece in pieces:
                work(piece)
            return
        waiting = deque(pieces)

        def work_on_pieces() -> None:
            with threads(1):
                while True:
                    try:
                        piece = waiting.popleft()
                    except IndexError:
                        return
                    work(piece)

        def work_in_thread() -> None:
            with torch.no_grad():  # the caller sets the gradient mode of its own thread
                work_on_pieces()

        others: list[Future[None]] = []
        try:
            for _ in range(1, min(self.n, len(pieces))):
                others.append(self.pool.submit(work_in_thread))
            work_on_pieces()
        finally:
            waiting.clear()  # after an error the other threads end with their current piece
            wait(others)
        for other in others:
            other.result()

    def __reduce__(self) -> tuple[type[Crew], tuple[()]]:
        """A copy of a network in training has a crew of one thread."""
        return Crew, ()

    def close(self) -> None:
        if self.pool is not None:
            self.pool.shutdown()
            self.pool = None
