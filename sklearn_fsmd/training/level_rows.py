"""The training rows by which predictions are corrected, and the statistics of the targets in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sklearn_fsmd.encoding.columns import evenly_spaced
from sklearn_fsmd.encoding.statistics import TargetStatistics
from sklearn_fsmd.encoding.table import Encoded
from sklearn_fsmd.encoding.targets import Targets
from sklearn_fsmd.training.batches import TensorData
from sklearn_fsmd.training.corrections import correct
from sklearn_fsmd.training.net import Net
from sklearn_fsmd.training.regression_rows import RegressionRows

LEVEL_ROWS = 20_000
"""The largest number of training rows by which the level is set, and of those with values."""


class LevelRows(NamedTuple):
    """Samples of the training rows, by which predictions are corrected.

    The sample `rows` gives the mean prediction. It may have too few events for the mean of the labels, so that is taken
    from all training rows: `rates` ``(K,)`` are how often each step happened. They are None if probabilities are to
    stay. A value that occurs in a single row gets the statistics of unknown values, since its own rate is the row's
    label.

    `with_values` is a sample of the rows whose step has happened, which may be few; None if there are none. Their own
    labels raise the rates of their categories, which does not happen to new rows. So they get rates without their own
    labels. `negative_sampling_rate` is the share of the rows without the first event that are in the log.

    `of_regressions` are the rows that the regressions are fitted on, without statistics: training rows, and
    then, if validation rows were set aside, both. They are empty if there are to be no regressions.
    """

    rows: Encoded
    targets: Targets
    rates: np.ndarray | None
    with_values: tuple[Encoded, Targets] | None
    negative_sampling_rate: float
    of_regressions: Sequence[RegressionRows] = ()

    def with_statistics(self, statistics: TargetStatistics) -> LevelRows:
        """The rows with statistics of the targets, which have been learned from all rows."""
        with_values = self.with_values
        if with_values is not None:
            with_values = statistics.append_without_own(*with_values), with_values[1]
        return self._replace(rows=statistics.append_as_new(self.rows), with_values=with_values)

    def correct(self, net: Net, valid: TensorData | None) -> np.ndarray | None:
        """Correct the values, and the probabilities unless they are to stay.

        Returns
        -------
        shares : (K + V,), the network's share of the mean with the regressions; None without them.
        """
        valid_parts = [] if valid is None else [valid]
        with_values = None if self.with_values is None else TensorData.from_rows(*self.with_values, net.device)
        if self.rates is not None:
            sample = TensorData.from_rows(self.rows, self.targets, net.device)
            parts = [sample, *valid_parts]
            return correct(net, parts, self.rates, with_values, self.negative_sampling_rate, self.of_regressions)
        if with_values is not None:
            correct(net, [with_values, *valid_parts], None)
        return None


def sample(rows: Encoded, targets: Targets, rates: np.ndarray | None, negative_sampling_rate: float) -> LevelRows:
    """Evenly spaced rows, and evenly spaced rows of those with values."""

    def spaced(indices: np.ndarray) -> tuple[Encoded, Targets]:
        chosen = indices[evenly_spaced(len(indices), LEVEL_ROWS)]
        return rows.take(chosen), targets.part(chosen)

    with_values = np.flatnonzero([] if targets.values is None else targets.values.weights.any(axis=1))
    return LevelRows(
        *spaced(np.arange(len(rows))),
        rates,
        spaced(with_values) if len(with_values) else None,
        negative_sampling_rate,
    )
