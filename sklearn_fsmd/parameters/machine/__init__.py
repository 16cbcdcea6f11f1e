"""What is asked of the machine and of Python: device, precision, memory, threads, random numbers, warnings."""

from sklearn_fsmd.parameters.machine.device import (
    cpu_by_default,
    has_bf16,
    memory_of,
    resolve_device,
    resolve_precision,
)
from sklearn_fsmd.parameters.machine.seeding import seeded
from sklearn_fsmd.parameters.machine.shallow import shallow
from sklearn_fsmd.parameters.machine.thread_count import restore_threads, threads, threads_now, without_denormals
from sklearn_fsmd.parameters.machine.warnings import warn

__all__ = [
    "cpu_by_default",
    "has_bf16",
    "memory_of",
    "resolve_device",
    "resolve_precision",
    "restore_threads",
    "seeded",
    "shallow",
    "threads",
    "threads_now",
    "warn",
    "without_denormals",
]
