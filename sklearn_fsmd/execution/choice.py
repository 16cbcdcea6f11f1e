"""The ways of computing a network, and the one place where they are chosen."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from sklearn_fsmd.execution import core
from sklearn_fsmd.execution.crew import Crew
from sklearn_fsmd.execution.first_layer import few_values_of
from sklearn_fsmd.execution.gates import Lookup, TrainGates
from sklearn_fsmd.execution.products import onednn
from sklearn_fsmd.execution.stack import TrainStack, evaluate
from sklearn_fsmd.network import Execution, GateSpec, StackSpec

VARIABLE = "SKLEARN_FSMD_EXECUTION"
KEPT = 31 * 2**20
"""Bytes: just below the most that glibc can be taught to keep."""
MANY = 1024
"""With so many rows a chunk of a prediction goes the fast way, in which each member has products of its own."""


class Scoring(Execution):
    """Predictions: many rows the fast way, where it is."""

    def takes(self, x: Tensor, *, training: bool) -> bool:
        many = not training and x.shape[-2] >= MANY and torch.is_inference_mode_enabled()
        return many and _is_usual(x) and way_here("cpu")[0] == "fused"

    def hidden(self, stack: StackSpec, x: Tensor, weights: Tensor | None) -> Tensor:
        return evaluate(stack, x, weights)


class ByTorch(Scoring):
    """Training by the formulas of the network, with torch's operations and threads."""

    crew: Crew | None = None

    def __init__(self, precision: torch.dtype | None = None) -> None:
        self.precision = precision

    @contextmanager
    def running(self) -> Iterator[None]:
        """For as long as a fit takes: threads, where it has any of its own, end with it."""
        try:
            yield
        finally:
            if self.crew is not None:
                self.crew.close()


class ByCore(ByTorch):
    """Training by torch's products and the compiled core, shared by the threads of a crew; for float32 on a CPU."""

    crew: Crew

    def __init__(self, crew: Crew, precision: torch.dtype | None = None) -> None:
        super().__init__(precision)
        self.crew = crew

    def takes(self, x: Tensor, *, training: bool) -> bool:
        return (training and x.shape[-2] > 1 and _is_usual(x)) or super().takes(x, training=training)

    def hidden(self, stack: StackSpec, x: Tensor, weights: Tensor | None) -> Tensor:
        if not stack.training:
            return super().hidden(stack, x, weights)
        parameters = (tensor for layer in stack.layers for tensor in layer.parameters())
        values = few_values_of(x)
        vectors = None if values is None else values.vectors
        return TrainStack.apply(self.crew, self.precision, stack, values, x, weights, vectors, *parameters)

    def gates(self, gates: GateSpec, x: Tensor) -> Tensor | None:
        return TrainGates.apply(self.crew, gates, x, gates.weight, gates.bias) if _is_usual(x) else None

    def lookup(self, table: Tensor, codes: Tensor) -> Tensor | None:
        return Lookup.apply(table, codes) if _is_usual(table) else None


def _is_usual(x: Tensor) -> bool:
    return x.dtype == torch.float32 and x.device.type == "cpu" and not torch.is_autocast_enabled("cpu")


def way_here(device: str) -> tuple[str, str]:
    """How networks are computed on `device`, "fused" or "torch", and why.

    Raises
    ------
    ValueError
        If the environment variable SKLEARN_FSMD_EXECUTION names no way, or one that is not there.
    """
    wanted = os.environ.get(VARIABLE, "")
    if wanted not in ("", "torch", "fused"):
        raise ValueError(f"The environment variable {VARIABLE} must be 'torch' or 'fused'. Got {wanted!r}.")
    if wanted == "torch":
        return "torch", f"{VARIABLE} says so"
    try:
        _, level = core.load()
        why_not = "" if device == "cpu" else f"the device is {device!r}"
    except core.CoreMissingError as error:
        why_not = str(error)
    if why_not and wanted == "fused":
        raise ValueError(f"{VARIABLE}=fused cannot be had: {why_not}.")
    if why_not:
        return "torch", why_not
    return "fused", f"compiled core for {level}, products by {'oneDNN' if onednn() else 'torch.mm'}"


def way_to_train(device: str, precision: torch.dtype | None) -> ByTorch:
    """The way for a fit on `device`."""
    if way_here(device)[0] == "torch":
        return ByTorch(precision)
    keep_freed_memory()
    return ByCore(Crew(torch.get_num_threads()), precision)


def keep_freed_memory() -> None:
    """Let glibc keep what a step frees for the next one.

    Else the pages of a step's activations go back to the system at its end, and are fetched and cleared again. How much
    glibc keeps, it learns from the largest block that was freed.
    """
    block = torch.empty(KEPT, dtype=torch.uint8, device="cpu")
    del block
