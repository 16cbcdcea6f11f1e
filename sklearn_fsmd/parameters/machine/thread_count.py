"""What torch keeps for each thread: with how many threads it computes, and whether with numbers near 0."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

_inside: dict[int, int] = {}
"""For each thread inside :func:`threads`, how many threads of torch it goes back to."""


def _forget_others() -> None:
    """In a forked process, which has none of the other threads."""
    for thread in set(_inside) - {threading.get_ident()}:
        del _inside[thread]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_others)


def threads_now() -> tuple[int, int | None]:
    """Torch's number of threads in the thread that calls, and what :func:`threads` has noted of it."""
    return torch.get_num_threads(), _inside.get(threading.get_ident())


def restore_threads(state: tuple[int, int | None]) -> None:
    """Go back to what :func:`threads_now` has said, however :func:`threads` was left: also in the middle of it."""
    n, noted = state
    if torch.get_num_threads() != n:
        torch.set_num_threads(n)
    if noted is None:
        _inside.pop(threading.get_ident(), None)


@contextmanager
def threads(n: int | None) -> Iterator[None]:
    """Let torch use `n` threads for a while, in the thread that calls.

    Torch keeps a number for each thread, but setting it also sets the one that later threads begin with. A thread that
    begins while another is in here has the other's number and must not go back to that: all go back to what the first
    one found. There is no lock: an interruption could leave it locked. Each line changes one thing, in an order that
    is right at any time.
    """
    if n is None:
        yield
        return
    here, others = threading.get_ident(), list(_inside.values())
    is_outermost, now = here not in _inside, torch.get_num_threads()
    others += _inside.values()  # whoever has begun meanwhile may have set `now`
    before = others[0] if others and is_outermost else now
    if is_outermost:
        _inside[here] = before
    torch.set_num_threads(int(n))
    try:
        yield
    finally:
        torch.set_num_threads(before)
        if is_outermost:
            _inside.pop(here, None)


@contextmanager
def without_denormals() -> Iterator[None]:
    """Let numbers below the smallest normal one count as 0, in the thread that calls; x86 computes slowly with them."""
    there_are = np.float32(1e-40) * np.float32(1) > 0
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(not there_are)
