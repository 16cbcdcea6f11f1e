"""The network inside the graph: embedding, low-order part, extractor and towers of each member."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from sklearn_fsmd.export import embedding, extractors, low_order
from sklearn_fsmd.export.compression import shared_rows
from sklearn_fsmd.export.names import Value
from sklearn_fsmd.export.own_extractor import own_representations
from sklearn_fsmd.export.rows import Rows
from sklearn_fsmd.export.weights import Weights
from sklearn_fsmd.network import Member, MultiTaskNetwork, Towers, TreeLink

if TYPE_CHECKING:
    from sklearn_fsmd.export.graph import Graph


@dataclass(frozen=True)
class MemberOutputs:
    """What a member says of the rows.

    Attributes
    ----------
    logits : (n, K) float, of the binary targets.
    values : the `P` parameters of the distributions of the values, each (n, V) float; none if there are no values.
    """

    logits: Value
    values: tuple[Value, ...] = ()


def outputs_by_member(g: Graph, network: MultiTaskNetwork, rows: Rows) -> list[MemberOutputs]:
    """What each member says; the bias tower is at its neutral level.

    Raises
    ------
    ValueError
        If the network has parts that the graph would leave out.
    """
    if type(network) is not MultiTaskNetwork or type(network.link) is not TreeLink:
        parts = f"{type(network).__name__} with the link {type(network.link).__name__}"
        raise ValueError(f"The network is a {parts}, which to_onnx does not know.")
    w = Weights()
    found = [_member_outputs(g, w, member, rows, network.n_learned) for member in network.members]
    slopes = w(network.slopes)
    found = [replace(own, logits=g.op("Mul", own.logits, slopes)) for own in found]
    if network.values is not None:
        w.all_of(network.values)  # `values.py` writes them
    if network.bias_tower is not None:
        level = np.zeros(len(network.link.parents), np.float32)
        level[0] = w(network.bias_tower.neutral)
        found = [replace(own, logits=g.op("Add", own.logits, level)) for own in found]
    if unread := w.unread(network):
        raise ValueError(f"The network has weights that to_onnx does not know: {', '.join(unread[:3])}.")
    return found


def _member_outputs(g: Graph, w: Weights, member: Member, rows: Rows, n_tasks: int) -> MemberOutputs:
    """`n_tasks` are the binary targets and the values."""
    rows = shared_rows(g, member.embedding.layout, rows)
    fields = embedding.fields(g, w, member.embedding, rows)
    inputs = [embedding.flat(g, own, rows.scalars) for own in fields]
    own = None if member.own_extractor else extractors.representations(g, w, member.extractor, inputs, n_tasks)
    if own is None:
        w.all_of(member.extractor)
        own = own_representations(g, member.extractor, inputs, _width(member, rows), n_tasks)
    y_fm = None if member.low_order is None else low_order.logits(g, w, member.low_order, rows, fields)
    return _towers(g, w, member.towers, own, y_fm)


def _towers(
    g: Graph, w: Weights, towers: Towers, representations: list[Value], low_order: Value | None
) -> MemberOutputs:
    """What the towers say; `low_order` ``(n, T)`` or ``(n, 1)`` adds to the first output of each."""
    hidden = [extractors.mlp(g, w, towers.hidden, k, x) for k, x in enumerate(representations)]

    def outputs(p: int, first_task: int) -> Value:
        """Output `p` of each tower from this one on, side by side."""
        made = []
        for k in range(first_task, len(hidden)):
            weight, bias = w.linear(towers.output, k)
            made.append(g.op("Gemm", hidden[k], weight[:, p : p + 1], bias[p : p + 1]))
        return g.concat(made)

    first = outputs(0, 0)
    if low_order is not None:
        first = g.op("Add", first, low_order)
    n_values = len(hidden) - towers.n_binary
    if not n_values:
        return MemberOutputs(first)
    logits, of_values = g.split(first, [towers.n_binary, n_values])
    more = (outputs(p, towers.n_binary) for p in range(1, towers.output.bias.shape[1]))
    return MemberOutputs(logits, (of_values, *more))


def _width(member: Member, rows: Rows) -> int:
    """How many inputs the extractor reads."""
    dim = member.embedding.table.weight.shape[1] // member.embedding.n_sets
    return rows.n_fields * dim + rows.n_scalars
