"""Statistics of the targets where the rows come block by block: sums of all rows first, then what each row may see."""

from __future__ import annotations

import numpy as np

from sklearn_fsmd.encoding.by_value import ByValue
from sklearn_fsmd.encoding.encoded import Encoded
from sklearn_fsmd.encoding.rates import counts_of, halves, tallied
from sklearn_fsmd.encoding.table_encoder import FeatureEncoder
from sklearn_fsmd.encoding.target_statistics import TargetStatistics
from sklearn_fsmd.encoding.targets import Targets

MANY_PAIRS = 1_000_000
"""So many combinations of a key wait for being added up."""


class StatisticsSums:
    """Adds up, for each value of a key, what the rows of training count.

    Parameters
    ----------
    statistics : is told the sums in the end.
    encoder : of the codes.
    tallies : whether rows are tallied too. That is for how much rates are smoothed, where a row may count more than
        another; if none does, the sums say how many rows there were.
    """

    def __init__(self, statistics: TargetStatistics, encoder: FeatureEncoder, *, tallies: bool) -> None:
        self.statistics, self.tallies = statistics, tallies
        statistics.take_codes_of(encoder)
        n_tallies = 2 * len(statistics.events)
        self.width = n_tallies + statistics.counts_rows
        width = self.width + n_tallies * tallies
        self.of_keys: list[_Table | _Pairs] = [
            _Table(sizes[0], width) if len(sizes) == 1 else _Pairs(width) for sizes in statistics.sizes
        ]
        self.total, self.squares = np.zeros(self.width), np.zeros(self.width)

    def add(self, codes: np.ndarray, targets: Targets) -> None:
        """Take some rows into the sums: their codes ``(n, F)``, and their targets."""
        counted = self.statistics.counted(targets)
        self.total += counted.sum(axis=0)
        self.squares += np.square(counted).sum(axis=0)
        if self.tallies:
            counted = np.hstack([counted, tallied(counted)])
        for i, of_key in enumerate(self.of_keys):
            of_key.add(*ByValue(self.statistics.combined(i, codes)).totals(counted))

    def finish(self, factors: np.ndarray, *, more: bool) -> None:
        """Tell the statistics, with the weights of each task multiplied by `factors` ``(n_tasks,)``.

        `more` says whether the rows add to those of before.
        """
        of_events = factors[[task for task, _ in self.statistics.events]]
        by = np.concatenate([of_events, of_events, [1.0] * self.statistics.counts_rows])
        known, found = zip(*(of_key.result() for of_key in self.of_keys), strict=True)
        first = self.width if self.tallies else 0
        tallies = [of_key[:, first : first + 2 * len(of_events)] for of_key in found]
        sums = [of_key[:, : self.width] * by for of_key in found]
        self.statistics.add_sums(known, sums, tallies, self.total * by, self.squares * by**2, more=more)


class _Table:
    """Sums of the values of one column, whose codes are the rows."""

    def __init__(self, n_values: int, width: int) -> None:
        self.sums = np.zeros((n_values, width))

    def add(self, values: np.ndarray, totals: np.ndarray) -> None:
        self.sums[values] += totals

    def result(self) -> tuple[np.ndarray | None, np.ndarray]:
        self.sums[0] = 0
        return None, self.sums


class _Pairs:
    """Sums of the combinations of several columns, of which nobody knows beforehand which there are."""

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
    """The statistics of the rows of one pass: each sees the rows before it in the order of this pass.

    Parameters
    ----------
    statistics : those of all rows, which say how often a value is there, and how rates are smoothed and scaled.
    """

    def __init__(self, statistics: TargetStatistics) -> None:
        self.statistics = statistics
        self.sums = [np.zeros_like(sums) for sums in statistics.sums]

    def append(self, rows: Encoded, targets: Targets) -> Encoded:
        """The next rows of the pass, in their order, with what they may see."""
        statistics, counted = self.statistics, self.statistics.counted(targets)
        numbers = []
        for i, running in enumerate(self.sums):
            index = statistics.index(i, rows.codes)
            by_value = ByValue(index)
            before = running[index] + by_value.before(counted)
            numbers.append(statistics.seen(i, statistics.n_others(i, index, counted), before))
            self.add(i, *by_value.totals(counted))
        return rows.with_numbers(np.concatenate(numbers, axis=1))

    def add(self, i: int, values: np.ndarray, totals: np.ndarray) -> None:
        """Let later rows see sums of some values of the key number `i`."""
        self.sums[i][values] += totals
        self.sums[i][0] = 0


def draw_scale(
    statistics: TargetStatistics, codes: np.ndarray, targets: Targets, random: np.random.RandomState
) -> None:
    """Scale the statistics by what some rows of training would see at a random moment of a pass.

    How many of the other rows of its value come before a row is drawn evenly, and the positive ones among them from
    the hypergeometric distribution: what a random order of all rows would give, without one.
    """
    counted, n_events = statistics.counted(targets), len(statistics.events)
    sums = (sums[statistics.index(i, codes)].astype(np.float64) for i, sums in enumerate(statistics.sums))
    others, before = [np.maximum(of_key - counted, 0) for of_key in sums], []
    for of_key in others:
        of_rows = of_key[:, : 2 * n_events] / np.tile(statistics.units, 2)
        positive, total = halves(np.rint(of_rows).astype(np.int64))
        positive = np.minimum(positive, total)
        n = np.floor(random.random_sample(total.shape) * (total + 1)).astype(np.int64)
        drawn = positive / np.maximum(total, 1) * n  # for more rows than numpy draws of
        few = (n > 0) & (total < 10**9)
        drawn[few] = random.hypergeometric(positive[few], (total - positive)[few], n[few])
        before.append(np.concatenate([drawn * statistics.units, n * statistics.units], axis=1))
    statistics.take_scale([counts_of(of_key) for of_key in others], before)
