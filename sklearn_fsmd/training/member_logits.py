"""Rows of which the members of a network are asked once, for what it says of them in several ways."""

from __future__ import annotations

from torch import Tensor

from sklearn_fsmd.inference import in_chunks_alone
from sklearn_fsmd.network import MultiTaskNetwork
from sklearn_fsmd.training.batches import TensorData


class Asked:
    """What the members say of some rows, and what the network makes of it by its slopes and levels of now.

    The last `n_bias` inputs of the rows are their bias features.

    Attributes
    ----------
    rows : the rows, with labels and weights.
    logits : what each member says, ``(n, M, K + V·P)``; of one alone ``(n, K + V·P)``.
    of_tower : what the bias tower says of the rows as they were shown, ``(n,)``; None if there is none.
    """

    def __init__(self, network: MultiTaskNetwork, rows: TensorData, n_bias: int) -> None:
        inputs, bias = rows.inputs[: len(rows.inputs) - n_bias], rows.inputs[len(rows.inputs) - n_bias :]
        self.network, self.rows = network, rows
        self.logits = in_chunks_alone(lambda *chunk: _turned(network.logits_of_members(*chunk)), *inputs)
        tower = network.bias_tower
        self.of_tower = None if tower is None or not bias else in_chunks_alone(tower, *bias)

    def outputs(self, *, shown: bool = True) -> Tensor:
        """What the network says of the rows as they were `shown`, or free of the bias, ``(n, K + V·P)``."""
        places = (self.of_tower,) if shown and self.of_tower is not None else ()
        return in_chunks_alone(lambda z, *places: self.network.finish(_turned(z), *places), self.logits, *places)

    def places(self) -> Tensor:
        """What the bias tower adds to the log-odds of each step, ``(n, K)``."""
        found = self.logits.new_zeros(len(self.rows), len(self.network.link.parents))
        if self.of_tower is not None:
            found[:, 0] = self.of_tower
        return found

    def add(self, added: Tensor) -> None:
        """To the logits what was added to the last bias of each member, ``(K,)``."""
        self.logits[..., : len(added)] += added


def _turned(logits: Tensor) -> Tensor:
    """Swap the axes of members and rows, ``(M, n, K)`` and ``(n, M, K)``; ``(n, K)``, of a single member, stays."""
    return logits.transpose(0, -2)
