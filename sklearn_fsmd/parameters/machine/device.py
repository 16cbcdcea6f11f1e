"""Device, precision of matrix products, and available memory."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch

from sklearn_fsmd.parameters import warn


def resolve_device(device: str) -> str:
    """Check that `device` can be used, and resolve "auto" to a device, "cuda" to a GPU with its index.

    "cpu:0" is "cpu". "cuda" alone is the current GPU of the calling thread, which may be another one in another thread.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.zeros(1, device=device).item()  # "meta" can create a tensor, but not return its content
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"The 'device' parameter {device!r} cannot be used here: {error}") from error
    if torch.device(device).type == "cpu":
        return "cpu"
    return f"cuda:{torch.cuda.current_device()}" if device == "cuda" else device


@contextmanager
def cpu_by_default() -> Iterator[None]:
    """Create tensors without an explicit device on the CPU, whatever `torch.set_default_device` has set."""
    if torch.get_default_device().type == "cpu":
        yield
        return
    with torch.device("cpu"):
        yield


@contextmanager
def without_autocast(device: str) -> Iterator[None]:
    """Compute in the precision of the model, even inside a `torch.autocast` block."""
    kind = torch.device(device).type
    if not torch.is_autocast_enabled(kind):
        yield
        return
    with torch.autocast(kind, enabled=False):
        yield


def resolve_precision(precision: str, device: str) -> torch.dtype | None:
    """The number format of the matrix products in training; None for the format of the weights.

    On hardware without instructions for bfloat16, bf16 is slower than float32. There it warns and uses float32.
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
    """Whether `device` has instructions for matrix products in bfloat16."""
    kind = torch.device(device).type
    if kind == "cpu":
        return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return kind == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)


def memory_of(device: str) -> float:
    """The memory in bytes that the process may use on `device`; infinite if it is not known."""
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
