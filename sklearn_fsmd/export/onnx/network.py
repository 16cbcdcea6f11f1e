"""The network inside the graph: embedding, low-order part, extractor and towers of each member."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from sklearn_fsmd.export.onnx import embedding, extractors, low_order
from sklearn_fsmd.export.onnx.compression import compressed
from sklearn_fsmd.export.onnx.names import Value
from sklearn_fsmd.export.onnx.own_extractor import own_representations
from sklearn_fsmd.export.onnx.rows import Rows
from sklearn_fsmd.export.onnx.weights import Weights
from sklearn_fsmd.network import Member, MultiTaskNetwork, Towers, TreeLink

if TYPE_CHECKING:
    from sklearn_fsmd.export.onnx.graph import Graph


@dataclass(frozen=True)
class MemberOutputs:
    """The outputs of one member of an ensemble.

    Attributes
    ----------
    logits : (n, K) float, logits of the binary targets.
    values : `P` parameters of the distributions of the values, each (n, V) float; empty for a model without values.
    """

    logits: Value
    values: tuple[Value, ...] = ()


def outputs_by_member(g: Graph, network: MultiTaskNetwork, rows: Rows) -> list[MemberOutputs]:
    """The outputs of each member, with the bias tower at its neutral level.

    Raises
    ------
    ValueError
        If the network has parts or weights that the graph would leave out.
    """
    if type(network) is not MultiTaskNetwork or type(network.link) is not TreeLink:
        parts = f"{type(network).__name__} with the link {type(network.link).__name__}"
        raise ValueError(f"The network is a {parts}, which to_onnx does not know.")
    w = Weights()
    outputs = [_member_outputs(g, w, member, rows, network.n_learned) for member in network.members]
    slopes = w(network.slopes)
    outputs = [replace(member, logits=g.op("Mul", member.logits, slopes)) for member in outputs]
    if network.values is not None:
        w.all_of(network.values)  # `values.py` writes them
    if network.bias_tower is not None:
        level = np.zeros(len(network.link.parents), np.float32)
        level[0] = w(network.bias_tower.neutral)
        outputs = [replace(member, logits=g.op("Add", member.logits, level)) for member in outputs]
    if unread := w.unread(network):
        raise ValueError(f"The network has weights that to_onnx does not know: {', '.join(unread[:3])}.")
    return outputs


def _member_outputs(g: Graph, w: Weights, member: Member, rows: Rows, n_tasks: int) -> MemberOutputs:
    """The outputs of one member; `n_tasks` counts the binary targets and the values."""
    rows = compressed(g, member.embedding.layout, rows)
    fields = embedding.fields(g, w, member.embedding, rows)
    inputs = [embedding.flat(g, set_fields, rows.scalars) for set_fields in fields]
    reps = None if member.own_extractor else extractors.representations(g, w, member.extractor, inputs, n_tasks)
    if reps is None:
        w.all_of(member.extractor)
        reps = own_representations(g, member.extractor, inputs, _width(member, rows), n_tasks)
    y_fm = None if member.low_order is None else low_order.logits(g, w, member.low_order, rows, fields)
    return _towers(g, w, member.towers, reps, y_fm)


def _towers(
    g: Graph, w: Weights, towers: Towers, representations: list[Value], low_order: Value | None
) -> MemberOutputs:
    """The outputs of the towers; `low_order` ``(n, T)`` or ``(n, 1)`` is added to the first output of each."""
    hidden = [extractors.mlp(g, w, towers.hidden, k, x) for k, x in enumerate(representations)]

    def outputs(p: int, first_task: int) -> Value:
        """Output `p` of each tower from `first_task` on, ``(n, number of towers)``."""
        columns = []
        for k in range(first_task, len(hidden)):
            weight, bias = w.linear(towers.output, k)
            columns.append(g.op("Gemm", hidden[k], weight[:, p : p + 1], bias[p : p + 1]))
        return g.concat(columns)

    first = outputs(0, 0)
    if low_order is not None:
        first = g.op("Add", first, low_order)
    n_values = len(hidden) - towers.n_binary
    if not n_values:
        return MemberOutputs(first)
    logits, first_parameter = g.split(first, [towers.n_binary, n_values])
    other_parameters = (outputs(p, towers.n_binary) for p in range(1, towers.output.bias.shape[1]))
    return MemberOutputs(logits, (first_parameter, *other_parameters))


def _width(member: Member, rows: Rows) -> int:
    """The number of inputs of the extractor."""
    dim = member.embedding.table.weight.shape[1] // member.embedding.n_sets
    return rows.n_fields * dim + rows.n_scalars
