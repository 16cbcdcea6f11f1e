"""Statistics of the targets for rows that come in blocks: first the sums of all rows, then what each row may see."""

from __future__ import annotations

import numpy as np

from sklearn_fsmd.encoding.statistics.by_value import ByValue
from sklearn_fsmd.encoding.statistics.rates import counts_of, split_sums, unweighted
from sklearn_fsmd.encoding.statistics.target_statistics import TargetStatistics
from sklearn_fsmd.encoding.table import Encoded, FeatureEncoder
from sklearn_fsmd.encoding.targets import Targets

MANY_PAIRS = 1_000_000
"""Number of combinations of a key that are kept before their sums are merged."""


class StatisticsSums:
    """Sums of the contributions of the training rows, for each value of each key.

    Parameters
    ----------
    statistics : TargetStatistics, which gets the sums from :meth:`finish`.
    encoder : the encoder of the codes.
    tallies : whether to sum the rows without weights too. The smoothing strengths need these sums if the rows have
        different weights.
    """

    def __init__(self, statistics: TargetStatistics, encoder: FeatureEncoder, *, tallies: bool) -> None:
        self.statistics, self.tallies = statistics, tallies
        statistics.set_codes(encoder)
        n_tallies = 2 * len(statistics.events)
        self.width = n_tallies + statistics.counts_rows
        width = self.width + n_tallies * tallies
        self.key_sums: list[_Table | _Pairs] = [
            _Table(sizes[0], width) if len(sizes) == 1 else _Pairs(width) for sizes in statistics.sizes
        ]
        self.total, self.squares = np.zeros(self.width), np.zeros(self.width)

    def add(self, codes: np.ndarray, targets: Targets) -> None:
        """Add some rows to the sums: their codes ``(n, F)``, and their targets."""
        contributions = self.statistics.contributions(targets)
        self.total += contributions.sum(axis=0)
        self.squares += np.square(contributions).sum(axis=0)
        if self.tallies:
            contributions = np.hstack([contributions, unweighted(contributions)])
        for i, key_sums in enumerate(self.key_sums):
            key_sums.add(*ByValue(self.statistics.combined(i, codes)).totals(contributions))

    def finish(self, factors: np.ndarray, *, more: bool) -> None:
        """Pass the sums to the statistics.

        Parameters
        ----------
        factors : ``(n_tasks,)``, by which the weights of each task are multiplied.
        more : whether the rows are added to those of earlier calls.
        """
        event_factors = factors[[task for task, _ in self.statistics.events]]
        column_factors = np.concatenate([event_factors, event_factors, [1.0] * self.statistics.counts_rows])
        known, results = zip(*(key_sums.result() for key_sums in self.key_sums), strict=True)
        first = self.width if self.tallies else 0
        tallies = [result[:, first : first + 2 * len(event_factors)] for result in results]
        sums = [result[:, : self.width] * column_factors for result in results]
        total, squares = self.total * column_factors, self.squares * column_factors**2
        self.statistics.add_sums(known, sums, tallies, total, squares, more=more)


class _Table:
    """Sums for the values of one column; the code of a value is its row."""

    def __init__(self, n_values: int, width: int) -> None:
        self.sums = np.zeros((n_values, width))

    def add(self, values: np.ndarray, totals: np.ndarray) -> None:
        self.sums[values] += totals

    def result(self) -> tuple[np.ndarray | None, np.ndarray]:
        self.sums[0] = 0
        return None, self.sums


class _Pairs:
    """Sums for the combinations of several columns, which are not known beforehand."""

    def __init__(self, width: int) -> None:
        self.parts = [(np.empty(0, np.int64), np.empty((0, width)))]
        self.n_waiting = 0

    def add(self, values: np.ndarray, totals: np.ndarray) -> None:
        self.parts.append((values, totals))
        self.n_waiting += len(values)
        if self.n_waiting > max(MANY_PAIRS, len(self.parts[0][0])):
            self._merge()

    def _merge(self) -> None:
        values, totals = (np.concatenate(part) for part in zip(*self.parts, strict=True))
        self.parts, self.n_waiting = [ByValue(values).totals(totals)], 0

    def result(self) -> tuple[np.ndarray | None, np.ndarray]:
        self._merge()
        values, totals = self.parts[0]
        known = values > 0  # 0 is a combination with an unknown value
        return values[known], np.concatenate([np.zeros((1, totals.shape[1])), totals[known]])


class RunningStatistics:
    """Statistics of the rows of one pass: each row sees the rows before it in the order of this pass.

    Parameters
    ----------
    statistics : TargetStatistics of all rows, with the counts of the values, the smoothing and the scale.
    """

    def __init__(self, statistics: TargetStatistics) -> None:
        self.statistics = statistics
        self.sums = [np.zeros_like(sums) for sums in statistics.sums]

    def append(self, rows: Encoded, targets: Targets) -> Encoded:
        """Add the statistics that each row may see to the next rows of the pass."""
        statistics, contributions = self.statistics, self.statistics.contributions(targets)
        numbers = []
        for i, running in enumerate(self.sums):
            index = statistics.index(i, rows.codes)
            by_value = ByValue(index)
            before = running[index] + by_value.before(contributions)
            numbers.append(statistics.scaled_statistics(i, statistics.n_others(i, index, contributions), before))
            self.add(i, *by_value.totals(contributions))
        return rows.with_numbers(np.concatenate(numbers, axis=1))

    def add(self, i: int, values: np.ndarray, totals: np.ndarray) -> None:
        """Add sums for some values of key `i`, which later rows will see."""
        self.sums[i][values] += totals
        self.sums[i][0] = 0


def draw_scale(
    statistics: TargetStatistics, codes: np.ndarray, targets: Targets, random: np.random.RandomState
) -> None:
    """Fit the scale of the statistics to what some training rows would see at a random moment of a pass.

    This has the distribution that a random order of all rows would give, without drawing an order. The number of
    earlier rows with the same value is uniform, and the number of positive labels among them is hypergeometric.
    """
    contributions, n_events = statistics.contributions(targets), len(statistics.events)
    sums = (sums[statistics.index(i, codes)].astype(np.float64) for i, sums in enumerate(statistics.sums))
    others, before = [np.maximum(key_sums - contributions, 0) for key_sums in sums], []
    for key_sums in others:
        in_rows = key_sums[:, : 2 * n_events] / np.tile(statistics.units, 2)
        positive, total = split_sums(np.rint(in_rows).astype(np.int64))
        positive = np.minimum(positive, total)
        n = np.floor(random.random_sample(total.shape) * (total + 1)).astype(np.int64)
        n_positive = positive / np.maximum(total, 1) * n  # the mean, where numpy cannot draw from so many rows
        few = (n > 0) & (total < 10**9)
        n_positive[few] = random.hypergeometric(positive[few], (total - positive)[few], n[few])
        before.append(np.concatenate([n_positive * statistics.units, n * statistics.units], axis=1))
    statistics.fit_scale([counts_of(key_sums) for key_sums in others], before)
