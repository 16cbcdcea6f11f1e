"""The library's extractors inside the graph, expert by expert."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from torch import nn

from sklearn_fsmd.export.onnx.names import Value
from sklearn_fsmd.export.onnx.weights import Weights
from sklearn_fsmd.network import PLE, ExpertLevel, Gates, MMoE, Separate, SharedBottom, StackedMLP

if TYPE_CHECKING:
    from sklearn_fsmd.export.onnx.graph import Graph


def representations(
    g: Graph, w: Weights, extractor: nn.Module, inputs: list[Value], n_tasks: int
) -> list[Value] | None:
    """One representation per task, each ``(n, H)``; None if the extractor is not one of the library.

    Parameters
    ----------
    inputs : embedded rows ``(n, I)``: one input that all tasks share, or one per task.
    """
    if type(extractor) is SharedBottom:
        return [mlp(g, w, extractor.bottom, 0, inputs[0])] * n_tasks
    if type(extractor) is Separate:
        return [mlp(g, w, extractor.bottoms, k, inputs[k % len(inputs)]) for k in range(n_tasks)]
    if type(extractor) is MMoE:
        return _level(g, w, extractor.level, inputs)
    if type(extractor) is PLE:
        for level in extractor.levels:
            assert isinstance(level, ExpertLevel)
            inputs = _level(g, w, level, inputs)
        return inputs
    return None


def mlp(g: Graph, w: Weights, stack: StackedMLP, e: int, x: Value) -> Value:
    """MLP `e` of a stack: ``(n, I)`` to ``(n, H)``."""
    for layer in stack.hidden_layers:
        x = g.op("Relu", g.op("Gemm", x, *w.hidden(layer, e)))
    return x


def _level(g: Graph, w: Weights, level: ExpertLevel, inputs: list[Value]) -> list[Value]:
    """The mixture of each gate, ``(n, H)``. Gates and experts read the shared input, or each its own."""
    input_indices = level.experts.reads if len(inputs) > 1 else [0] * level.experts.n
    experts = [mlp(g, w, level.experts, e, inputs[i]) for e, i in enumerate(input_indices)]
    return [
        _mixture(g, w, level.gates, i, inputs[i] if len(inputs) > 1 else inputs[0], experts)
        for i in range(level.gates.hidden.n)
    ]


def _mixture(g: Graph, w: Weights, gates: Gates, i: int, x: Value, experts: list[Value]) -> Value:
    """Eq. (5) for gate `i`, over the experts that it may mix."""
    chosen = np.flatnonzero(np.isfinite(gates.excluded[i].cpu().numpy()))
    if len(chosen) == 1:
        w.all_of(gates)
        return experts[chosen[0]]
    weight, bias = w.linear(gates.logits, i)
    logits = g.op("Gemm", mlp(g, w, gates.hidden, i, x), np.ascontiguousarray(weight[:, chosen]), bias[chosen])
    shares = g.columns(g.op("Softmax", logits, axis=1), len(chosen))
    return g.op("Sum", *(g.op("Mul", share, experts[e]) for share, e in zip(shares, chosen, strict=True)))
