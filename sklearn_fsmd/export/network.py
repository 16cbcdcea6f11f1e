"""The network inside the graph: embedding, low-order part, extractor and towers of each member."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sklearn_fsmd.export import embedding, extractors, low_order
from sklearn_fsmd.export.names import Value
from sklearn_fsmd.export.own_extractor import own_representations
from sklearn_fsmd.export.rows import Rows
from sklearn_fsmd.export.weights import Weights
from sklearn_fsmd.network import Member, MultiTaskNetwork, TreeLink

if TYPE_CHECKING:
    from sklearn_fsmd.export.graph import Graph


def logits_of_members(g: Graph, network: MultiTaskNetwork, rows: Rows) -> list[Value]:
    """The logits of each member, ``(n, K)``; the bias tower is at its neutral level.

    Raises
    ------
    ValueError
        If the network has parts that the graph would leave out.
    """
    if type(network) is not MultiTaskNetwork or type(network.link) is not TreeLink:
        parts = f"{type(network).__name__} with the link {type(network.link).__name__}"
        raise ValueError(f"The network is a {parts}, which to_onnx does not know.")
    w, n_tasks = Weights(), len(network.link.parents)
    found = [_logits(g, w, member, rows, n_tasks) for member in network.members]
    if network.bias_tower is not None:
        level = np.zeros(n_tasks, np.float32)
        level[0] = w(network.bias_tower.neutral)
        found = [g.op("Add", own, level) for own in found]
    if unread := w.unread(network):
        raise ValueError(f"The network has weights that to_onnx does not know: {', '.join(unread[:3])}.")
    return found


def _logits(g: Graph, w: Weights, member: Member, rows: Rows, n_tasks: int) -> Value:
    fields = embedding.fields(g, w, member.embedding, rows)
    inputs = [embedding.flat(g, own, rows.numbers) for own in fields]
    own = None if member.own_extractor else extractors.representations(g, w, member.extractor, inputs, n_tasks)
    if own is None:
        w.all_of(member.extractor)
        own = own_representations(g, member.extractor, inputs, _width(member, rows), n_tasks)
    y = _towers(g, w, member, own)
    return y if member.low_order is None else g.op("Add", y, low_order.logits(g, w, member.low_order, rows, fields))


def _towers(g: Graph, w: Weights, member: Member, representations: list[Value]) -> Value:
    towers = member.towers
    hidden = (extractors.mlp(g, w, towers.hidden, k, x) for k, x in enumerate(representations))
    return g.concat([g.op("Gemm", h, *w.linear(towers.output, k)) for k, h in enumerate(hidden)])


def _width(member: Member, rows: Rows) -> int:
    """How many inputs the extractor reads."""
    dim = member.embedding.table.weight.shape[1] // member.embedding.n_sets
    return rows.n_fields * dim + rows.n_numbers
