"""The ways of computing a network, and the one place where they are chosen."""

from __future__ import annotations

import os

import torch
from torch import Tensor, nn

from sklearn_fsmd.execution import loops
from sklearn_fsmd.execution.crew import Crew
from sklearn_fsmd.execution.torch_hidden import How, TrainHidden
from sklearn_fsmd.network.embedding import Table
from sklearn_fsmd.network.extractors import Gates
from sklearn_fsmd.network.seam import FORMULA, Execution
from sklearn_fsmd.network.stacked_mlp import StackedMLP
from sklearn_fsmd.network.workspace import Workspace

VARIABLE = "SKLEARN_FSMD_EXECUTION"
NO_LOOPS = (
    "no compiled loops: numba is not installed (the extra 'fast'), is told not to compile, or finds no folder to write "
    "to, or torch has no MKL"
)
MANY = 1024
"""From this many rows on compiled loops predict."""


class Scoring(Execution):
    """Predictions: many rows by compiled loops, where there are any."""

    def hidden(self, mlp: StackedMLP, x: Tensor, weights: Tensor | None) -> Tensor | None:
        usual = x.shape[-2] >= MANY and x.dtype == torch.float32 and x.device.type == "cpu"
        if mlp.training or not usual or not torch.is_inference_mode_enabled() or way_here("cpu")[0] != "fused":
            return None
        from sklearn_fsmd.execution.fast_evaluation import evaluate  # needs numba, which takes its time

        _check_stack(mlp, x, weights)
        return evaluate(mlp, x, weights)


class ByTorch(Scoring):
    """Training by torch's operations, the hidden layers of a stack as one function with a gradient of its own.

    Parameters
    ----------
    workspace : where training takes its memory from; None for fresh memory.
    precision : in what number format the matrix products are computed; None for that of the parameters.
    """

    crew: Crew | None = None

    def __init__(self, workspace: Workspace | None = None, precision: torch.dtype | None = None) -> None:
        self.how = How(workspace, precision)

    def hidden(self, mlp: StackedMLP, x: Tensor, weights: Tensor | None) -> Tensor | None:
        if mlp.training and x.shape[-2] > 1:
            return TrainHidden.apply(self.how, mlp, x, weights, *mlp.layers.parameters())
        return super().hidden(mlp, x, weights)


class ByLoops(ByTorch):
    """Training by compiled loops, shared by the threads of a crew; what is not float32, by torch's operations."""

    crew: Crew

    def __init__(self, crew: Crew, workspace: Workspace | None = None, precision: torch.dtype | None = None) -> None:
        super().__init__(workspace, precision)
        self.crew = crew

    def hidden(self, mlp: StackedMLP, x: Tensor, weights: Tensor | None) -> Tensor | None:
        if not mlp.training or x.shape[-2] < 2 or x.dtype != torch.float32:
            return super().hidden(mlp, x, weights)
        from sklearn_fsmd.execution.fast_hidden import FastHidden  # needs numba, which takes its time

        _check_stack(mlp, x, weights)
        return FastHidden.apply(self.crew, self.how, mlp, x, weights, *mlp.layers.parameters())

    def gates(self, gates: Gates, x: Tensor) -> Tensor | None:
        if not gates.training or x.dtype != torch.float32:
            return None
        from sklearn_fsmd.execution.fast_gates import FastGates  # needs numba, which takes its time

        check_shape(x, gates.logits.weight.shape[1], len(gates.excluded), dim=1)
        return FastGates.apply(self.crew, x, gates.logits.weight, gates.logits.bias, gates.excluded)

    def lookup(self, table: Table, codes: Tensor) -> Tensor | None:
        if not table.training or table.sparse or table.weight.dtype != torch.float32:
            return None
        from sklearn_fsmd.execution.fast_gates import FastLookup  # needs numba, which takes its time

        return FastLookup.apply(table.weight, codes)


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
    why_not = "" if loops.available() else NO_LOOPS
    if device != "cpu":
        why_not = f"the device is {device!r}"
    if why_not and wanted == "fused":
        raise ValueError(f"{VARIABLE}=fused cannot be had: {why_not}.")
    return ("torch", why_not) if why_not else ("fused", "compiled loops, by numba")


def way_to_train(device: str, precision: torch.dtype | None) -> ByTorch:
    """The way for a fit on `device`."""
    if way_here(device)[0] == "fused":
        return ByLoops(Crew(torch.get_num_threads()), Workspace(), precision)
    return ByTorch(Workspace(), precision)


def set_execution(module: nn.Module, execution: Execution = FORMULA) -> None:
    """Let every part of `module` that can be computed in several ways be computed by `execution`."""
    for part in module.modules():
        if isinstance(part, (StackedMLP, Gates, Table)):
            part.execution = execution


def _check_stack(mlp: StackedMLP, x: Tensor, weights: Tensor | None) -> None:
    check_shape(x, mlp.first.weight.shape[1], max(mlp.reads) + 1, dim=0)
    if weights is not None and (len(weights), weights.shape[2]) != (x.shape[-2], mlp.n):
        raise ValueError(f"weights has the shape {tuple(weights.shape)}; it is to be ({x.shape[-2]}, M, {mlp.n}).")


def check_shape(x: Tensor, in_features: int, n_inputs: int, *, dim: int) -> None:
    """Compiled loops do not look whether they read beyond `x`, which may have several inputs along `dim`.

    Raises
    ------
    ValueError
        If these are fewer than `n_inputs`, or have not `in_features`.
    """
    if x.shape[-1] != in_features or (x.dim() == 3 and x.shape[dim] < n_inputs):
        several = ["B", in_features]
        several.insert(dim, n_inputs)
        raise ValueError(
            f"x has the shape {tuple(x.shape)}; it is to be (B, {in_features}) or ({', '.join(map(str, several))})."
        )
