"""Seeds, and torch's global state while a network is built: random numbers and default dtype."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

_building = threading.Lock()


def _renew_lock() -> None:
    """Create a new lock in a forked process: the thread that held the old one does not exist there."""
    global _building
    _building = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


def draw_seed(random: np.random.RandomState) -> int:
    """Draw a seed for random numbers that do not come from numpy."""
    return int(random.randint(2**31 - 1))


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Build a network in float32 with random numbers from `seed`; restore generator and dtype of torch afterwards."""
    with _building, torch.random.fork_rng(devices=[]), _in_float32():
        torch.default_generator.manual_seed(seed)  # of the CPU only: networks are built there
        yield


@contextmanager
def _in_float32() -> Iterator[None]:
    """Make float32 the default dtype, in case the user has set another one."""
    default = torch.get_default_dtype()
    if default == torch.float32:  # a setting of the whole process: do not touch it without need
        yield
        return
    torch.set_default_dtype(torch.float32)
    try:
        yield
    finally:
        torch.set_default_dtype(default)
