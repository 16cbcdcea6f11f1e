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
    network, said = net.module_, _said(net, parts)
    if network.values is not None:
        of_values = said if with_values is None else [*_said(net, [with_values]), *said[1:]]
        set_level_of_values(network, of_values, of_chunk=rates is None)
    if rates is None:
        return
    with net.average_.moving_both([member.towers.output.bias for member in network.members]):
        if len(parts) > 1:
            said = set_slopes(network, said, [_of_places(net, rows) for rows in parts], rates)
        set_level(network, said, rates, kept)
        for _ in range(TIMES_OF_ENSEMBLE - 1 if len(network.members) > 1 else 0):
            set_level(network, _said(net, parts), rates, kept)


def _said(net: Net, parts: Sequence[TensorData]) -> list[Outputs]:
    return [Outputs(net.logits(*rows.inputs), rows.labels, rows.weights) for rows in parts]


def _of_places(net: Net, rows: TensorData) -> Tensor:
    """What the bias tower adds to each log-odds of rows as they were shown, ``(n, K)``."""
    found = torch.zeros((len(rows), len(net.module_.link.parents)), dtype=torch.float32, device=rows.labels.device)
    if n_bias := len(net.bias_reference):
        found[:, 0] = in_chunks(net.module_.bias_tower, *rows.inputs[-n_bias:])
    return found
