"""What is asked of the machine: device, precision, threads, and random numbers."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import torch

from sklearn_fsmd._warn import warn

_building = threading.Lock()
_inside: dict[int, int] = {}
"""For each thread inside :func:`threads`, how many threads of torch it goes back to."""


def resolve_device(device: str) -> str:
    """The device that `device` names, if it can be used; a GPU of CUDA by its number.

    "cuda" alone is the GPU that is the current one of the thread that asks, and means another one in another thread.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.zeros(1, device=device).item()  # the device "meta" can make a tensor, but not tell what is in it
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"The 'device' parameter {device!r} cannot be used here: {error}") from error
    return f"cuda:{torch.cuda.current_device()}" if device == "cuda" else device


def resolve_precision(precision: str, device: str) -> torch.dtype | None:
    """The number format of the matrix products in training; None for that of the parameters.

    Where bf16 has no instructions of its own it is slower than float32, so there a warning says that it is not used.
    """
    if precision == "float32":
        return None
    if not has_bf16(device):
        warn(
            f"precision='bf16' needs a device that computes in bfloat16, and {device!r} does not here. "
            "float32 is used, which is faster on it.",
            RuntimeWarning,
        )
        return None
    return torch.bfloat16


def has_bf16(device: str) -> bool:
    """Whether `device` multiplies matrices of bfloat16 by instructions made for it."""
    kind = torch.device(device).type
    if kind == "cpu":
        return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return kind == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)


def memory_of(device: str) -> float:
    """The bytes of memory that a process may use on `device`; infinite where nobody says."""
    if torch.device(device).type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    limits = [math.inf]
    with suppress(AttributeError, ValueError, OSError):
        limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):  # of a container
        with suppress(OSError, ValueError):
            limits.append(int(Path(path).read_text()))
    return min(limits)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch for what draws from its global generator, and restore that generator afterwards."""
    with _building, torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # of the CPU alone: networks are built there
        yield


@contextmanager
def without_denormals() -> Iterator[None]:
    """Let numbers below the smallest normal one count as 0, in the thread that calls; x86 computes slowly with them."""
    there_are = np.float32(1e-40) * np.float32(1) > 0
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(not there_are)


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
    is_outermost = here not in _inside
    before = others[0] if others and is_outermost else torch.get_num_threads()
    if is_outermost:
        _inside[here] = before
    torch.set_num_threads(int(n))
    try:
        yield
    finally:
        torch.set_num_threads(before)
        if is_outermost:
            _inside.pop(here, None)
