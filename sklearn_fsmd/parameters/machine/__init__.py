"""Device, precision, memory, threads and random numbers on the machine at hand."""

from sklearn_fsmd.parameters.machine.device import (
    cpu_by_default,
    has_bf16,
    memory_of,
    resolve_device,
    resolve_precision,
    without_autocast,
)
from sklearn_fsmd.parameters.machine.seeding import draw_seed, seeded
from sklearn_fsmd.parameters.machine.thread_count import restore_threads, threads, threads_now, without_denormals

__all__ = [
    "cpu_by_default",
    "draw_seed",
    "has_bf16",
    "memory_of",
    "resolve_device",
    "resolve_precision",
    "restore_threads",
    "seeded",
    "threads",
    "threads_now",
    "without_autocast",
    "without_denormals",
]
