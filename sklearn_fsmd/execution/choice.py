"""The executions of a network, and the one place where they are chosen."""

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
KEPT_BYTES = 31 * 2**20
"""Just below the maximum of glibc's dynamic threshold for memory that it keeps."""
MANY = 1024
"""Number of rows from which on a chunk of a prediction is computed with separate products for each MLP of a stack."""


class Scoring(Execution):
    """Execution of predictions: many rows are computed by the compiled core, if it is available."""

    def __init__(self) -> None:
        self.uses_core = available_way("cpu")[0] == "fused"

    def supports(self, x: Tensor, *, training: bool) -> bool:
        many = not training and x.shape[-2] >= MANY and torch.is_inference_mode_enabled()
        return self.uses_core and many and _is_float32_on_cpu(x)

    def hidden(self, stack: StackSpec, x: Tensor, weights: Tensor | None) -> Tensor:
        return evaluate(stack, x, weights)


class ByTorch(Scoring):
    """Training by the formulas of the network, with the operations and threads of torch."""

    crew: Crew | None = None

    def __init__(self, precision: torch.dtype | None = None) -> None:
        super().__init__()
        self.precision = precision

    @contextmanager
    def running(self) -> Iterator[None]:
        """Context of a fit: stops the threads of the crew at the end, if there is one."""
        try:
            yield
        finally:
            if self.crew is not None:
                self.crew.close()


class ByCore(ByTorch):
    """Training by products of torch and the compiled core, in the threads of a crew; for float32 on a CPU."""

    crew: Crew

    def __init__(self, crew: Crew, precision: torch.dtype | None = None) -> None:
        super().__init__(precision)
        self.crew = crew

    def supports(self, x: Tensor, *, training: bool) -> bool:
        return (training and x.shape[-2] > 1 and _is_float32_on_cpu(x)) or super().supports(x, training=training)

    def hidden(self, stack: StackSpec, x: Tensor, weights: Tensor | None) -> Tensor:
        if not stack.training:
            return super().hidden(stack, x, weights)
        parameters = (tensor for layer in stack.layers for tensor in layer.parameters())
        values = few_values_of(x)
        vectors = None if values is None else values.vectors
        return TrainStack.apply(self.crew, self.precision, stack, values, x, weights, vectors, *parameters)

    def gates(self, gates: GateSpec, x: Tensor) -> Tensor | None:
        return TrainGates.apply(self.crew, gates, x, gates.weight, gates.bias) if _is_float32_on_cpu(x) else None

    def lookup(self, table: Tensor, codes: Tensor) -> Tensor | None:
        return Lookup.apply(table, codes) if _is_float32_on_cpu(table) else None


def _is_float32_on_cpu(x: Tensor) -> bool:
    return x.dtype == torch.float32 and x.device.type == "cpu" and not torch.is_autocast_enabled("cpu")


def available_way(device: str) -> tuple[str, str]:
    """How networks are computed on `device`, "fused" or "torch", and why.

    Raises
    ------
    ValueError
        If the environment variable SKLEARN_FSMD_EXECUTION has another value, or one that is not available.
    """
    requested = os.environ.get(VARIABLE, "")
    if requested not in ("", "torch", "fused"):
        raise ValueError(f"The environment variable {VARIABLE} must be 'torch' or 'fused'. Got {requested!r}.")
    if requested == "torch":
        return "torch", f"set by {VARIABLE}"
    try:
        _, level = core.load()
        why_not = "" if device == "cpu" else f"the device is {device!r}"
    except core.CoreMissingError as error:
        why_not = str(error)
    if why_not and requested == "fused":
        raise ValueError(f"{VARIABLE}=fused is not available: {why_not}.")
    if why_not:
        return "torch", why_not
    return "fused", f"compiled core for {level}, products by {'oneDNN' if onednn() else 'torch.mm'}"


def way_to_train(device: str, precision: torch.dtype | None) -> ByTorch:
    """The execution of a fit on `device`."""
    if available_way(device)[0] == "torch":
        return ByTorch(precision)
    keep_freed_memory()
    return ByCore(Crew(torch.get_num_threads()), precision)


def keep_freed_memory() -> None:
    """Let glibc keep freed memory for the next training step.

    Otherwise the pages of the activations are returned to the system after each step, and are requested and cleared
    again in the next one. glibc adapts the amount that it keeps to the largest block that was freed.
    """
    block = torch.empty(KEPT_BYTES, dtype=torch.uint8, device="cpu")
    del block
