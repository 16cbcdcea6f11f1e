"""What is corrected once training is over: how far apart predictions lie, and their level."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from sklearn_fsmd.training.batches import TensorData
from sklearn_fsmd.training.level import TIMES_OF_ENSEMBLE, Outputs, set_level, set_level_of_values
from sklearn_fsmd.training.member_logits import Asked
from sklearn_fsmd.training.net import Net
from sklearn_fsmd.training.slope import set_slopes


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
    network, asked = net.module_, [net.asked(rows) for rows in parts]
    if network.values is not None:
        of_values = asked if with_values is None else [net.asked(with_values), *asked[1:]]
        set_level_of_values(network, _outputs(of_values), of_chunk=rates is None)
    if rates is None:
        return
    with net.average_.moving_both([member.towers.output.bias for member in network.members]):
        if len(parts) > 1:
            set_slopes(network, _outputs(asked), asked[1].places(), rates)
        for _ in range(TIMES_OF_ENSEMBLE if len(network.members) > 1 else 1):
            added = set_level(network, _outputs(asked), rates, kept)
            for part in asked:
                part.add(added)


def _outputs(asked: Sequence[Asked]) -> list[Outputs]:
    return [Outputs(part.outputs(), part.rows.labels, part.rows.weights) for part in asked]
