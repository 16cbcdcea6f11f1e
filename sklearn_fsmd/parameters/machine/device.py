"""Which device computes, in which precision, and how much memory it has."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch

from sklearn_fsmd.parameters import warn


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


@contextmanager
def cpu_by_default() -> Iterator[None]:
    """Let tensors of which no device is said be made on the CPU, whatever `torch.set_default_device` says."""
    if torch.get_default_device().type == "cpu":
        yield
        return
    with torch.device("cpu"):
        yield


@contextmanager
def without_autocast(device: str) -> Iterator[None]:
    """Compute in the precision that the model has, whatever `torch.autocast` says around the call."""
    kind = torch.device(device).type
    if not torch.is_autocast_enabled(kind):
        yield
        return
    with torch.autocast(kind, enabled=False):
        yield


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
