"""Corrections at the end of training: the mean with regressions, and then slope and level."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from sklearn_fsmd.training import regression, regression_mean
from sklearn_fsmd.training.batches import TensorData
from sklearn_fsmd.training.level import N_ENSEMBLE_ITERATIONS, LabelledOutputs, set_level, set_level_of_values
from sklearn_fsmd.training.member_logits import MemberLogits
from sklearn_fsmd.training.net import Net
from sklearn_fsmd.training.regression_rows import RegressionRows
from sklearn_fsmd.training.slope import set_slopes, set_slopes_of_values


@torch.inference_mode()
def correct(
    net: Net,
    parts: Sequence[TensorData],
    rates: np.ndarray | None,
    with_values: TensorData | None = None,
    negative_sampling_rate: float = 1.0,
    of_regressions: Sequence[RegressionRows] = (),
) -> np.ndarray | None:
    """Set the slopes of the predictions by the validation rows, and their level by the observed means.

    The level is needed since the averaged weights do not predict the average of the predictions, dropout is off, and
    the statistics of the targets are those of all rows. The biases of the averaged and of the trained weights are
    shifted alike, so continued training starts at the same level.

    Parameters
    ----------
    net : its network is corrected.
    parts : some training rows and, optionally, the validation rows.
    rates : (K,), how often each step happened in all training rows. None, for a chunk, corrects the values alone.
    with_values : the training rows by which values are corrected; those of `parts` if None.
    negative_sampling_rate : the share of the rows without the first event that are in the log.
    of_regressions : the training rows that the regressions are fitted on, which are averaged with the network; then,
        optionally, these with the validation rows, on which they are fitted again once shares and slopes are known.
        Empty if there are to be none.

    Returns
    -------
    shares : (K + V,), the network's share of the mean with the regressions; None without them.
    """
    network, members = net.module_, [net.member_logits(rows) for rows in parts]
    value_members, everything = members, members
    if network.values is not None and with_values is not None:
        value_members = [net.member_logits(with_values), *members[1:]]
        everything = [*members, value_members[0]]
    shares, valid = None, members[1] if len(members) > 1 else None
    if of_regressions:
        regressions = _fitted(net, of_regressions[0])
        shares = regression_mean.average(net, regressions, everything, valid)
    if valid is not None and rates is not None:
        set_slopes(network, _outputs(members), valid.bias_logits(), rates)
    if valid is not None and network.values is not None:
        set_slopes_of_values(network, value_members[0].labelled(), valid.labelled())
    if shares is not None and len(of_regressions) > 1:
        regression_mean.replace(net, regressions, _fitted(net, of_regressions[1]), shares, everything)
    if network.values is not None:
        set_level_of_values(network, _outputs(value_members), is_chunk=rates is None)
    if rates is None:
        return None
    with net.average_.moving_both([member.towers.output.bias for member in network.members]):
        for _ in range(N_ENSEMBLE_ITERATIONS if len(network.members) > 1 else 1):
            added = set_level(network, _outputs(members), rates, negative_sampling_rate)
            for part in members:
                part.shift(added)
    return shares


def _fitted(net: Net, rows: RegressionRows) -> regression.Regressions:
    """Regressions on some rows; all of several processes take those of the first, to the last bit."""
    regressions = regression.fit(net.module_, rows)
    if net.exchange is not None:
        (regressions,) = net.exchange.of_first(regressions)
    return regressions.to(net.module_.slopes.device)


def _outputs(members: Sequence[MemberLogits]) -> list[LabelledOutputs]:
    return [part.labelled() for part in members]
