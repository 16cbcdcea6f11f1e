"""Statistics of the targets per category: the count of each value, and the rate of each target for it.

The rates of a training row come from the rows before it in a random order ("ordered" target statistics [1]_). A rate
that included the row's own label would reveal that label to the network. For every other row the rates come from all
counted rows: those of training, and rows that were added later. They are looked up in a table with one row per value,
as in an embedding.

The count of a training row includes all other rows, also those after it. A count up to the row would be half of that on
average, so values would look more frequent in prediction than in training. The row itself is left out: a value that was
seen once looks in training as an unseen value does later.

References
----------
.. [1] L. Prokhorenkova et al., "CatBoost: unbiased boosting with categorical features", NeurIPS 2018, Sec. 3.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sklearn_fsmd.encoding.statistics.by_value import ByValue
from sklearn_fsmd.encoding.statistics.keys import Key, KeyRows, renumbered
from sklearn_fsmd.encoding.statistics.rates import (
    compact,
    counts_of,
    log_count,
    share_after_adding,
    split_sums,
    strengths_of,
    sum_by_index,
    units_of,
    unweighted,
)
from sklearn_fsmd.encoding.table import Encoded, FeatureEncoder, shallow
from sklearn_fsmd.encoding.targets import Targets, events_of

SCALE_TOLERANCE = 0.1
"""A scale is kept in a later fit if the mean has moved by at most so many standard deviations, and the logarithm of the
standard deviation by at most this number."""


class TargetStatistics(KeyRows):
    """Scaled statistics per key: the log of the count, and the log-odds of the smoothed rate of each event.

    An event is a target, or a step given that its parent has happened. Unknown values, and combinations that were not
    seen in training, have the count 0 and the overall rates.

    Parameters
    ----------
    keys : the code columns of each key.
    parents : parent of each task, as in the link.

    Attributes
    ----------
    sums : for each key, ``(n_rows, 2 · n_events + 1)``, by the rows of its table: the weights of positive labels, the
        weights of all labels, and the number of rows.
    counts_rows : whether the sums have the last column; those from files of earlier versions do not.
    priors, units : ``(n_events,)``, the overall rates, and the typical weight of a label.
    strengths : for each key, ``(n_events,)``, the weight with which the overall rate is added to each rate.
    center, scale, low, high : ``(n_columns,)``, by which the statistics are scaled and clipped for the network.
    shares : for each key, the share as which a row counts; empty stands for 1. It is below 1 after rows of a further
        call were added. So the total count stays that of the first call; else every value would look more frequent
        than in training.
    """

    center: np.ndarray
    scale: np.ndarray
    low: np.ndarray
    high: np.ndarray
    counts_rows = False
    shares: Sequence[float] = ()

    def __init__(self, keys: Sequence[Key], parents: Sequence[int | None]) -> None:
        super().__init__(keys)
        self.events = events_of(parents)
        self.counts_rows = True
        self.sums: list[np.ndarray] = []

    def known_shares(self, parents: Sequence[int | None]) -> np.ndarray:
        """Share of labelled rows for each step, ``(K,)``, among the rows in which its parent has happened."""
        largest = max((sums.sum(axis=0, dtype=np.float64) for sums in self.sums), key=lambda total: total[-1])
        positive, tried = (weights / self.units for weights in split_sums(largest))  # in rows
        shares = np.ones(len(parents))
        for k, parent in enumerate(parents):
            if parent is not None and (happened := positive[self.events.index((parent, None))]) > 0:
                shares[k] = tried[self.events.index((k, parent))] / happened
        return shares

    @property
    def n_columns(self) -> int:
        """Number of statistics per row."""
        return len(self.keys) * (1 + len(self.events))

    def learn(
        self,
        encoder: FeatureEncoder,
        rows: Encoded,
        targets: Targets,
        random: np.random.RandomState | None,
        *,
        more: bool = False,
    ) -> Encoded:
        """Learn from the training rows, and return them with the statistics that each may see.

        Parameters
        ----------
        encoder : the encoder of the codes.
        rows, targets : the training rows only.
        random : draws the order of the rows; None keeps the order in which they are given.
        more : whether the rows are added to those of earlier calls. Their rates come from the rows of this call only:
            a row that is passed again would otherwise see its own label.
        """
        return rows.with_numbers(self.learn_codes(encoder, rows.selected_codes(), targets, random, more=more))

    def learn_codes(
        self,
        encoder: FeatureEncoder,
        codes: np.ndarray,
        targets: Targets,
        random: np.random.RandomState | None,
        *,
        more: bool = False,
    ) -> np.ndarray:
        """Do the same as :meth:`learn` for codes, and return only the statistics of the rows, ``(n, n_columns)``."""
        contributions = self.contributions(targets)
        order = np.arange(len(codes)) if random is None else random.permutation(len(codes))
        self.set_codes(encoder)
        more = more and bool(self.sums)
        self._add_combinations(self.combinations(codes), more=more)
        indices, new_sums = self._sum_by_key(codes, contributions)
        self._add(new_sums)
        if not more:
            is_counted, tallies = unweighted(contributions), new_sums
            if not np.array_equal(is_counted, contributions[:, : is_counted.shape[1]]):  # some weights are not 1
                tallies = [
                    sum_by_index(index, is_counted, len(sums)) for index, sums in zip(indices, new_sums, strict=True)
                ]
            self._fit_smoothing(tallies, contributions.sum(axis=0), np.square(contributions).sum(axis=0))
        values = np.empty((len(codes), self.n_columns), order="F")  # computed and read column by column
        for i, index in enumerate(indices):
            before = ByValue(index, order).before(contributions)
            values[:, self._columns_of(i)] = self._statistics_of_key(i, self.n_others(i, index, contributions), before)
        if not more:  # rows of later calls keep the scale on which the network was trained
            self._fit_scale(values)
        self._tabulate()
        return self._scaled(values)

    def add(self, codes: np.ndarray, targets: Targets) -> None:
        """Count further rows, on which no network is trained: later predictions use their labels too."""
        self._add_combinations(self.combinations(codes), more=True)
        self._add(self._sum_by_key(codes, self.contributions(targets))[1])
        self._tabulate()

    def add_sums(
        self,
        known: Sequence[np.ndarray | None],
        sums: Sequence[np.ndarray],
        tallies: Sequence[np.ndarray],
        total: np.ndarray,
        squares: np.ndarray,
        *,
        more: bool,
    ) -> None:
        """Add sums of rows that were computed elsewhere.

        Parameters
        ----------
        known, sums : as the attributes.
        tallies : sums of the same rows without weights, see :func:`~sklearn_fsmd.encoding.statistics.rates.unweighted`.
        total, squares : ``(2 · n_events + 1,)``, the sums over all rows, including those with unknown values, and the
            sums of the squares.
        more : whether the rows are added to those of earlier calls; if not, call :meth:`fit_scale` afterwards.
        """
        self._add_combinations(known, more=more)
        new_sums = []
        for all_known, known_of_key, key_sums in zip(self.known, known, sums, strict=True):
            if all_known is not None and known_of_key is not None:
                aligned = np.zeros((len(all_known) + 1, key_sums.shape[1]))
                aligned[np.searchsorted(all_known, known_of_key) + 1] = key_sums[1:]
                key_sums = aligned
            new_sums.append(key_sums)
        self._add(new_sums)
        if more:
            self._tabulate()
        else:
            self._fit_smoothing(tallies, total, squares)

    def _add_combinations(self, combinations: Sequence[np.ndarray | None], *, more: bool) -> None:
        """Add combinations to those that each key knows; without `more`, replace them and reset the sums."""
        if not more:
            width = 2 * len(self.events) + self.counts_rows
            self.known, self.shares = list(combinations), []
            self.sums = [np.zeros((self.n_rows(i), width)) for i in range(len(self.keys))]
            return
        all_known, all_sums = [], []
        for known, sums, new in zip(self.known, self.sums, combinations, strict=True):
            if known is not None and new is not None:
                union = np.union1d(known, new)
                aligned = np.zeros((len(union) + 1, sums.shape[1]), sums.dtype)
                aligned[np.searchsorted(union, known) + 1] = sums[1:]
                known, sums = union, aligned
            all_known.append(known)
            all_sums.append(sums)
        self.known, self.sums = all_known, all_sums

    def _sum_by_key(self, codes: np.ndarray, contributions: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Return, for each key, the table row of each row, and the contributions summed by table row."""
        indices = [self.index(i, codes) for i in range(len(self.keys))]
        sums = [sum_by_index(index, contributions, len(old)) for index, old in zip(indices, self.sums, strict=True)]
        return indices, sums

    def _add(self, new_sums: Sequence[np.ndarray]) -> None:
        """Add `new_sums` to the sums, in place: afterwards `new_sums` holds the totals."""
        shares = self.shares or [1.0] * len(new_sums)
        self.shares = [share_after_adding(*key) for key in zip(shares, self.sums, new_sums, strict=True)]
        # A new list, since a copy of this object may share the old one; added in place, since the tables may be large.
        self.sums = [compact(np.add(old, new, out=new)) for old, new in zip(self.sums, new_sums, strict=True)]

    def _fit_smoothing(self, tallies: Sequence[np.ndarray], total: np.ndarray, squares: np.ndarray) -> None:
        """Compute the overall rates and the smoothing strengths."""
        positive, tried = split_sums(total)
        self.units = units_of(tried, split_sums(squares)[1])
        self.priors = np.divide(positive, tried, out=np.full_like(tried, 0.5), where=tried > 0).clip(1e-6, 1 - 1e-6)
        self.strengths = [strengths_of(key_tallies) * self.units for key_tallies in tallies]

    def append(self, rows: Encoded) -> Encoded:
        """Add the statistics of all counted rows to rows that were not counted."""
        return rows.with_numbers(self.look_up(rows.codes))

    def append_as_new(self, rows: Encoded) -> Encoded:
        """Add the statistics of all rows to training rows; a value that occurs once is treated as unseen."""
        numbers = []
        for i, (sums, table) in enumerate(zip(self.sums, self.tables, strict=True)):
            index = self.index(i, rows.codes)
            numbers.append(table[np.where(counts_of(sums)[index] > 1, index, 0)])
        return rows.with_numbers(np.concatenate(numbers, axis=1))

    def append_without_own(self, rows: Encoded, targets: Targets) -> Encoded:
        """Add the statistics of all other rows to training rows, as if each were new.

        They are for a trained network only: a network in training would learn the labels from such rates.
        """
        contributions = self.contributions(targets)
        numbers = []
        for i, sums in enumerate(self.sums):
            index = self.index(i, rows.codes)
            others = np.maximum(sums[index] - contributions, 0)  # the sums of unknown values are 0
            numbers.append(self.scaled_statistics(i, counts_of(others), others))
        return rows.with_numbers(np.concatenate(numbers, axis=1))

    def look_up(self, codes: np.ndarray) -> np.ndarray:
        """Look up the statistics of all counted rows for these codes, ``(n, n_columns)``."""
        return np.concatenate([table[self.index(i, codes)] for i, table in enumerate(self.tables)], axis=1)

    def grown(self, encoder: FeatureEncoder) -> TargetStatistics:
        """Return a copy for an encoder that knows more values; their sums are 0."""
        copied = shallow(self)
        copied.set_codes(encoder)
        copied.known, copied.sums = [], []
        for known, sums, old_sizes, new_sizes in zip(self.known, self.sums, self.sizes, copied.sizes, strict=True):
            copied.known.append(None if known is None else renumbered(known, old_sizes, new_sizes))
            n_new = new_sizes[0] - len(sums) if known is None else 0
            copied.sums.append(np.concatenate([sums, np.zeros((n_new, sums.shape[1]), sums.dtype)]))
        copied._tabulate()
        return copied

    def fit_scale(self, n_others: Sequence[np.ndarray], before: Sequence[np.ndarray]) -> None:
        """Fit the scale to some training rows, and compute the tables.

        The arguments hold, for each key, those of :meth:`scaled_statistics`.
        """
        keys = enumerate(zip(n_others, before, strict=True))
        self._fit_scale(np.concatenate([self._statistics_of_key(i, *arrays) for i, arrays in keys], axis=1))
        self._tabulate()

    def scaled_statistics(self, i: int, n_others: np.ndarray, before: np.ndarray) -> np.ndarray:
        """Compute the scaled statistics of key `i` for training rows, ``(n, 1 + n_events)``.

        Parameters
        ----------
        n_others : ``(n,)``, the number of other rows with the same value.
        before : ``(n, 2 · n_events + 1)``, the sums that each row may see.
        """
        return self._scaled(self._statistics_of_key(i, n_others, before), self._columns_of(i))

    def n_others(self, i: int, index: np.ndarray, contributions: np.ndarray) -> np.ndarray:
        """Number of other rows with the same value of key `i`, ``(n,)``, for rows that were counted."""
        return np.maximum(counts_of(self.sums[i])[index] - counts_of(contributions), 0)

    def _statistics_of_key(self, i: int, counts: np.ndarray, sums: np.ndarray) -> np.ndarray:
        """Unscaled statistics of key `i`, ``(n, 1 + n_events)``: log of the counts, and log-odds of the rates."""
        log_counts = log_count(counts, self.shares[i] if self.shares else 1.0)
        return np.column_stack([log_counts, self._log_odds(sums, i)])

    def _fit_scale(self, values: np.ndarray) -> None:
        """Fit the scale to the statistics of training rows; if it hardly changes, keep the one the network knows."""
        low, high, scale = values.min(axis=0), values.max(axis=0), values.std(axis=0)
        is_constant = (low == high) | (scale == 0)  # rounding may leave a deviation above 0
        center, scale = np.where(is_constant, low, values.mean(axis=0)), np.where(is_constant, 1.0, scale)
        new = [center, scale, low, high]
        if hasattr(self, "center"):
            has_moved = np.abs(center - self.center) > SCALE_TOLERANCE * self.scale
            differs = has_moved | (np.abs(np.log(scale / self.scale)) > SCALE_TOLERANCE)
            old = (self.center, self.scale, self.low, self.high)
            new = [np.where(differs, new_value, old_value) for new_value, old_value in zip(new, old, strict=True)]
        self.center, self.scale, self.low, self.high = new

    def contributions(self, targets: Targets) -> np.ndarray:
        """Return what each row adds to the sums, ``(n, 2 · n_events + 1)``.

        Every row counts as one, whatever its weight, and whether or not its label was observed. Otherwise the count
        would reveal the row's own label if weights or missing labels depend on it.
        """
        tried, positive = zip(*targets.outcomes(self.events), strict=True)
        rows = [np.ones(len(targets.labels))] if self.counts_rows else []
        return np.stack([*positive, *tried, *rows]).astype(np.float64).T  # contiguous columns

    def _log_odds(self, sums: np.ndarray, i: int) -> np.ndarray:
        """Log-odds of the smoothed rate of each event for key `i`, ``(n, n_events)``."""
        positive, total = split_sums(sums)
        rates = (positive + self.strengths[i] * self.priors) / (total + self.strengths[i])
        return np.log(rates) - np.log1p(-rates)

    def _scaled(self, values: np.ndarray, columns: slice = slice(None)) -> np.ndarray:
        clipped = values.clip(self.low[columns], self.high[columns])
        return ((clipped - self.center[columns]) / self.scale[columns]).astype(np.float32)

    def _tabulate(self) -> None:
        self.tables = [
            self._scaled(self._statistics_of_key(i, counts_of(sums), sums), self._columns_of(i))
            for i, sums in enumerate(self.sums)
        ]

    def _columns_of(self, i: int) -> slice:
        """Columns of the statistics of key `i`: its count, and the rate of each event."""
        width = 1 + len(self.events)
        return slice(i * width, (i + 1) * width)

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without the tables, which follow from the sums."""
        return {name: value for name, value in self.__dict__.items() if name != "tables"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self.sums:
            self._tabulate()
