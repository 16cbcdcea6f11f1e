"""Which rows of training say what the level of the predictions is to be, and what they know of the targets."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sklearn_fsmd.encoding import Encoded, Targets, TargetStatistics, evenly_spaced
from sklearn_fsmd.training.batches import TensorData
from sklearn_fsmd.training.corrections import correct
from sklearn_fsmd.training.net import Net

LEVEL_ROWS = 20_000
"""So many rows of training, and as many of those with values, say what the level is."""


class LevelRows(NamedTuple):
    """Some of the rows of training, which say what the level of the predictions is to be.

    Of all rows they say the mean prediction. The mean of the labels is known: `rates` ``(K,)`` say how often each step
    happened in all rows of training, for a sample may have few events, and these are what makes its own rates inexact.
    They are None where probabilities are left as they are.

    A rate that is a row's own label alone is not told, for new rows know nothing in its place.

    Values are known of rows where their step has happened, which may be few: `with_values` are some of these alone,
    None if there are none. Their own label raises the rates of their categories. New rows are not so lucky, so they
    are told the rates of all others. `kept` is the share of the rows without the first event that are in the log.
    """

    rows: Encoded
    targets: Targets
    rates: np.ndarray | None
    with_values: tuple[Encoded, Targets] | None
    kept: float

    def told(self, statistics: TargetStatistics) -> LevelRows:
        """The rows with statistics of the targets, which have been learned from all rows."""
        with_values = self.with_values
        if with_values is not None:
            with_values = statistics.append_without_own(*with_values), with_values[1]
        return self._replace(rows=statistics.append_as_new(self.rows), with_values=with_values)

    def set(self, net: Net, valid: TensorData | None) -> None:
        """Correct the values, and the probabilities unless these are to stay."""
        further = [] if valid is None else [valid]
        with_values = None if self.with_values is None else TensorData.from_rows(*self.with_values, net.device)
        if self.rates is not None:
            of_all = TensorData.from_rows(self.rows, self.targets, net.device)
            correct(net, [of_all, *further], self.rates, with_values, self.kept)
        elif with_values is not None:
            correct(net, [with_values, *further], None)


def sample(rows: Encoded, targets: Targets, rates: np.ndarray | None, kept: float) -> LevelRows:
    """Some of the rows, and some of those with values, evenly spaced."""

    def some(which: np.ndarray) -> tuple[Encoded, Targets]:
        chosen = which[evenly_spaced(len(which), LEVEL_ROWS)]
        return rows.take(chosen if rows.rows is None else rows.rows[chosen]), targets.part(chosen)

    known = np.flatnonzero([] if targets.values is None else targets.values.weights.any(axis=1))
    return LevelRows(*some(np.arange(len(rows))), rates, some(known) if len(known) else None, kept)
