"""Logits of the members of a network, computed once and combined in several ways."""

from __future__ import annotations

from torch import Tensor

from sklearn_fsmd.inference import in_chunks_alone
from sklearn_fsmd.network import MultiTaskNetwork
from sklearn_fsmd.training.batches import TensorData
from sklearn_fsmd.training.level import LabelledOutputs


class MemberLogits:
    """Logits of the members for some rows, from which outputs follow by the network's present slopes and levels.

    The last `n_bias` inputs of the rows are their bias features.

    Attributes
    ----------
    rows : the rows, with labels and weights.
    inputs : the inputs of the network for them, without their bias features.
    logits : of each member, ``(n, M, K + V·P)``; of a single one ``(n, K + V·P)``.
    tower_logits : output of the bias tower for the rows as they were shown, ``(n,)``; None if there is none.
    """

    def __init__(self, network: MultiTaskNetwork, rows: TensorData, n_bias: int) -> None:
        inputs, bias = rows.inputs[: len(rows.inputs) - n_bias], rows.inputs[len(rows.inputs) - n_bias :]
        self.network, self.rows, self.inputs = network, rows, inputs
        self.logits = in_chunks_alone(lambda *chunk: _swap_members_and_rows(network.logits_of_members(*chunk)), *inputs)
        tower = network.bias_tower
        self.tower_logits = None if tower is None or not bias else in_chunks_alone(tower, *bias)

    def outputs(self, *, shown: bool = True) -> Tensor:
        """Outputs of the network for the rows as they were `shown`, or without the bias tower, ``(n, K + V·P)``."""
        tower_logits = (self.tower_logits,) if shown and self.tower_logits is not None else ()
        return in_chunks_alone(
            lambda z, *tower: self.network.finish(_swap_members_and_rows(z), *tower), self.logits, *tower_logits
        )

    def labelled(self) -> LabelledOutputs:
        """Outputs of the network for the rows as they were shown, with their labels and weights."""
        return LabelledOutputs(self.outputs(), self.rows.labels, self.rows.weights)

    def bias_logits(self) -> Tensor:
        """Logits that the bias tower adds to each step, ``(n, K)``."""
        logits = self.logits.new_zeros(len(self.rows), len(self.network.link.parents))
        if self.tower_logits is not None:
            logits[:, 0] = self.tower_logits
        return logits

    def shift(self, added: Tensor) -> None:
        """Add what was added to the last bias of each member, ``(K,)``."""
        self.logits[..., : len(added)] += added

    def average(self, share: Tensor, others: Tensor) -> None:
        """Multiply the outputs by `share` ``(K + V·P,)``, and add others, ``(n, K + V·P)``, to those of each member."""
        self.logits *= share
        self.logits += others if self.logits.ndim == 2 else others.unsqueeze(1)


def _swap_members_and_rows(logits: Tensor) -> Tensor:
    """Swap the axes of members and rows, ``(M, n, K)`` and ``(n, M, K)``; ``(n, K)``, of a single member, stays."""
    return logits.transpose(0, -2)
