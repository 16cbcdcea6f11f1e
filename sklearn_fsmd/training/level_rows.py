"""Which rows of training say what the level of the predictions is to be, and what they know of the targets."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sklearn_fsmd.encoding import Encoded, Targets, TargetStatistics
from sklearn_fsmd.training.batches import TensorData
from sklearn_fsmd.training.net import Net

LEVEL_ROWS, LEVEL_ROWS_OF_VALUES = 20_000, 50_000
"""So many rows of training say what the level is, without values and with them."""


class LevelRows(NamedTuple):
    """Some of the rows of training, which say what the level of the predictions is to be.

    Of all rows they say the mean prediction. The mean of the labels is known: `rates` ``(K,)`` say how often each step
    happened in all rows of training, for a sample may have few events, and these are what makes its own rates inexact.
    They are None where probabilities are left as they are.

    Values are known of rows where their step has happened, and whose own label raises the rates of their categories.
    New rows are not so lucky: `with_values` are those rows with the rates of all others. None means the same rows.
    """

    rows: Encoded
    targets: Targets
    rates: np.ndarray | None
    with_values: tuple[Encoded, Targets] | None = None

    def told(self, statistics: TargetStatistics) -> LevelRows:
        """The rows with statistics of the targets, which have been learned from all rows."""
        with_values, values = None, self.targets.values
        if values is not None and values.weights.any():
            known = np.flatnonzero(values.weights.any(axis=1))
            rows, targets = self.rows.take(known), self.targets.part(known)
            with_values = statistics.append_without_own(rows, targets), targets
        return self._replace(rows=statistics.append(self.rows), with_values=with_values)

    def set(self, net: Net, valid: TensorData | None) -> None:
        """Set the level of the values, and of the probabilities unless these are to stay."""
        further = [] if valid is None else [valid]
        with_values = None if self.with_values is None else TensorData.of(*self.with_values, net.device)
        if self.rates is None and with_values is not None:
            net.set_level([with_values, *further], None)
            return
        net.set_level([TensorData.of(self.rows, self.targets, net.device), *further], self.rates, with_values)


def sample(rows: Encoded, targets: Targets, rates: np.ndarray | None) -> LevelRows:
    """Some of the rows, evenly spaced; more where there are values, whose level is taken from these rows alone."""
    n = LEVEL_ROWS if targets.values is None else LEVEL_ROWS_OF_VALUES
    which = np.unique(np.linspace(0, len(rows) - 1, n).astype(int))
    return LevelRows(rows.take(which if rows.rows is None else rows.rows[which]), targets.part(which), rates)
