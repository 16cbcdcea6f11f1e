"""Random numbers of torch that are drawn from a global generator."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_building = threading.Lock()


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch for what draws from its global generator, and restore that generator afterwards."""
    with _building, torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # of the CPU alone: networks are built there
        yield
