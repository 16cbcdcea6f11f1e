"""What is corrected once training is over: how far apart predictions lie, and their level."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from sklearn_fsmd.inference import in_chunks
from sklearn_fsmd.training.batches import TensorData
from sklearn_fsmd.training.level import TIMES_OF_ENSEMBLE, Outputs, set_level, set_level_of_values
from sklearn_fsmd.training.net import Net
from sklearn_fsmd.training.slope import set_slopes


class Asked:
    """Rows by which a network is corrected. Its members are asked once, however often their level is set.

    Attributes
    ----------
    rows : the rows, with labels and weights.
    logits : what each member says, ``(n, M, K + V·P)``; of one alone ``(n, K + V·P)``.
    of_tower : what the bias tower says of the rows as they were shown, ``(n,)``, in a list; empty if there is none.
    """

    def __init__(self, net: Net, rows: TensorData) -> None:
        network, n_bias = net.module_, len(net.bias_reference)
        inputs, bias = rows.inputs[: len(rows.inputs) - n_bias], rows.inputs[len(rows.inputs) - n_bias :]
        self.network, self.rows = network, rows
        self.logits = in_chunks(lambda *chunk: _turned(network.of_members(*chunk)), *inputs)
        self.of_tower = [in_chunks(network.bias_tower, *bias)] if bias else []

    def outputs(self) -> Outputs:
        """What the network says by its slopes and levels of now."""
        said = in_chunks(lambda z, *places: self.network.finished(_turned(z), *places), self.logits, *self.of_tower)
        return Outputs(said, self.rows.labels, self.rows.weights)

    def places(self) -> Tensor:
        """What the bias tower adds to the log-odds of each step, ``(n, K)``."""
        found = self.logits.new_zeros(len(self.rows), len(self.network.link.parents))
        for of_tower in self.of_tower:
            found[:, 0] = of_tower
        return found

    def add(self, added: Tensor) -> None:
        """To the logits what was added to the last bias of each member, ``(K,)``."""
        self.logits[..., : len(added)] += added


def _turned(logits: Tensor) -> Tensor:
    """Members before rows or, of those, rows before members; those of one alone are ``(n, K)`` both ways."""
    return logits.transpose(0, -2)


@torch.inference_mode()
def correct(
    net: Net,
    parts: Sequence[TensorData],
    rates: np.ndarray | None,
    with_values: TensorData | None = None,
    kept: float = 1.0,
) -> None:
    """Let predictions lie as far apart as labels do, and each target's mean be the mean of what was observed.

    `parts` are rows of training and, as a second part, of validation. `rates` ``(K,)`` say how often each step
    happened in all rows of training, of which those here are some; None, of a chunk, leaves the probabilities and
    corrects the values alone. `with_values` are the rows of training by which values are corrected, if others.
    `kept` is the share of the rows without the first event that are in the log.

    The average of the weights does not predict the average of what they predicted, dropout is off, and statistics
    of the targets are those of all rows. Training that goes on finds the same level in the weights that it trains.
    """
    network, asked = net.module_, [Asked(net, rows) for rows in parts]
    if network.values is not None:
        of_values = asked if with_values is None else [Asked(net, with_values), *asked[1:]]
        set_level_of_values(network, [part.outputs() for part in of_values], of_chunk=rates is None)
    if rates is None:
        return
    with net.average_.moving_both([member.towers.output.bias for member in network.members]):
        if len(parts) > 1:
            set_slopes(network, [part.outputs() for part in asked], asked[1].places(), rates)
        for _ in range(TIMES_OF_ENSEMBLE if len(network.members) > 1 else 1):
            added = set_level(network, [part.outputs() for part in asked], rates, kept)
            for part in asked:
                part.add(added)
