"""What is global in torch where a network is built: its random numbers, and the type of its weights."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

_building = threading.Lock()


def _renew() -> None:
    """In a forked process: the thread that held the lock is not there."""
    global _building
    _building = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)


def draw_seed(random: np.random.RandomState) -> int:
    """A seed for what is drawn by others than numpy."""
    return int(random.randint(2**31 - 1))


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Build a network: in float32, with random numbers by `seed`; what torch had of both is restored afterwards."""
    with _building, torch.random.fork_rng(devices=[]), _in_float32():
        torch.default_generator.manual_seed(seed)  # of the CPU alone: networks are built there
        yield


@contextmanager
def _in_float32() -> Iterator[None]:
    """Float32 as the type of new tensors, where the user has named another one."""
    of_user = torch.get_default_dtype()
    if of_user == torch.float32:  # a setting of the process: others are not to see it change
        yield
        return
    torch.set_default_dtype(torch.float32)
    try:
        yield
    finally:
        torch.set_default_dtype(of_user)
