"""An extractor of the user inside the graph, converted by torch's exporter."""

from __future__ import annotations

import copy
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from sklearn_fsmd.export.onnx.names import Value
from sklearn_fsmd.network import representations
from sklearn_fsmd.parameters.machine import without_autocast

if TYPE_CHECKING:
    from sklearn_fsmd.export.onnx.graph import Graph

N_ROWS = 7
"""Rows of the example input that the exporter traces; the exported model takes any number of rows."""


class _Stacked(nn.Module):
    """An extractor that returns one tensor: the representations of all tasks, stacked."""

    def __init__(self, extractor: nn.Module) -> None:
        super().__init__()
        self.extractor = extractor

    def forward(self, x: Tensor) -> Tensor:
        return representations(self.extractor, x)


def own_representations(g: Graph, extractor: nn.Module, inputs: list[Value], width: int, n_tasks: int) -> list[Value]:
    """One representation per task, each ``(n, H)``.

    Parameters
    ----------
    inputs : embedded rows ``(n, I)``: one input for all tasks, or one per task.
    width : I.

    Raises
    ------
    ImportError
        If onnxscript, which torch's exporter needs, is not installed.
    ValueError
        If torch's exporter refuses the extractor.
    """
    x = inputs[0]
    shape: tuple[int, ...] = N_ROWS, width
    if len(inputs) > 1:
        x = g.concat([g.op("Unsqueeze", task_input, np.array([1])) for task_input in inputs])
        shape = (N_ROWS, len(inputs), width)
    out = g.inline(_exported(extractor, shape, g.opset), x)
    return [g.op("Gather", out, np.int64(k), axis=1) for k in range(n_tasks)]


def _exported(extractor: nn.Module, shape: tuple[int, ...], opset: int) -> Any:
    try:
        import onnxscript  # noqa: F401 (torch.onnx needs it)
    except ImportError as error:
        raise ImportError(
            "to_onnx writes an 'extractor' of your own by torch.onnx, which needs onnxscript: "
            "pip install 'sklearn-fsmd[onnx]'."
        ) from error
    module = _Stacked(copy.deepcopy(extractor)).cpu().eval()
    try:
        with warnings.catch_warnings(), without_autocast("cpu"):
            warnings.simplefilter("ignore")  # those of the exporter concern torch itself
            program = torch.onnx.export(
                module,
                (torch.zeros(shape),),
                dynamo=True,
                dynamic_shapes=({0: torch.export.Dim("n", min=1)},),
                opset_version=opset,
                verbose=False,
            )
        assert program is not None
        model = program.model_proto
    except Exception as error:  # the exporter and the extractor may raise any
        reason = (str(error).strip().splitlines() or [""])[0]
        raise ValueError(
            f"The 'extractor' {type(extractor).__name__} cannot be written as ONNX; torch.onnx.export says: {reason} "
            "Change its forward so that torch.export can follow it, or use an extractor of the library."
        ) from error
    foreign = {node.domain for node in model.graph.node} - {""}
    if foreign or len(model.functions):
        raise ValueError(
            f"The 'extractor' {type(extractor).__name__} needs operators that are not standard ONNX ({foreign}). Use "
            "operations that torch.onnx writes as standard operators, or an extractor of the library."
        )
    return model
