"""Settings of torch per thread: the number of threads it computes with, and whether it flushes denormals to 0."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Integral

import numpy as np
import torch

_inside: dict[int, int] = {}
"""For each thread inside :func:`threads`, the number of torch threads to restore."""


def _forget_others() -> None:
    """Remove the other threads in a forked process, in which they do not exist."""
    for thread in set(_inside) - {threading.get_ident()}:
        del _inside[thread]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_others)


def threads_now() -> tuple[int, int | None]:
    """The number of torch threads in the calling thread, and the number that :func:`threads` will restore, or None."""
    return torch.get_num_threads(), _inside.get(threading.get_ident())


def restore_threads(state: tuple[int, int | None]) -> None:
    """Restore a state of :func:`threads_now`, even if :func:`threads` was interrupted halfway."""
    n, n_to_restore = state
    if torch.get_num_threads() != n:
        torch.set_num_threads(n)
    if n_to_restore is None:
        _inside.pop(threading.get_ident(), None)


@contextmanager
def threads(n: int | None) -> Iterator[None]:
    """Let torch use `n` threads in the calling thread inside this context.

    Torch has a number per thread, but setting it also sets the initial number of later threads. A thread that starts
    while another is in this context begins with the number of the other, and must not restore that. So all threads
    restore the number that the first one found. There is no lock, since an interruption could leave it locked. Instead,
    each line changes one thing, and the state is valid between any two lines.

    Raises
    ------
    ValueError
        If `n` is no integer of at least 1; predictions take a parameter that was changed after fit.
    """
    if n is None:
        yield
        return
    if not isinstance(n, Integral) or n < 1:
        raise ValueError(f"The 'n_threads' parameter must be None or an int of at least 1. Got {n!r} instead.")
    here, others = threading.get_ident(), list(_inside.values())
    is_outermost, current = here not in _inside, torch.get_num_threads()
    others += _inside.values()  # a thread that has entered meanwhile may have set `current`
    before = others[0] if others and is_outermost else current
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
    """Flush denormal numbers to 0 in the calling thread; x86 computes slowly with them."""
    had_denormals = np.float32(1e-40) * np.float32(1) > 0
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(not had_denormals)
