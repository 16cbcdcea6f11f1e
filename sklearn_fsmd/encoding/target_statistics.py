"""Statistics of the targets per category: how often a value was seen, and how often each target followed it.

For a training row the rates come from the rows before it in a random order, "ordered" target statistics [1]_: a rate
in which the row's own label counts would tell the network that label. For every other row they come from all rows that
were counted, by a table with a row per value, as an embedding is: those of training and, after it, further ones. The
count is that of all other rows, those after a training row too: a count up to the row would be half of it in the mean,
and predictions would be made for busier users than those of training. The row itself is left out, so that a value that
was seen once looks in training as an unseen one does later.

References
----------
.. [1] L. Prokhorenkova et al., "CatBoost: unbiased boosting with categorical features", NeurIPS 2018, Sec. 3.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sklearn_fsmd.encoding.by_value import ByValue
from sklearn_fsmd.encoding.encoded import Encoded
from sklearn_fsmd.encoding.key_rows import Key, KeyRows, renumbered
from sklearn_fsmd.encoding.rates import (
    compact,
    counts_of,
    halves,
    log_count,
    share_of_more,
    strengths_of,
    summed,
    tallied,
    units_of,
)
from sklearn_fsmd.encoding.shallow import shallow
from sklearn_fsmd.encoding.table_encoder import FeatureEncoder
from sklearn_fsmd.encoding.targets import Targets, events_of

NEARLY = 0.1
"""By so many standard deviations a mean may have moved, and a spread by such a share."""


class TargetStatistics(KeyRows):
    """For each key the log of the count, and the log-odds of the smoothed rate of each event, scaled.

    An event is a target, or a step given that its parent has happened. Values that are unknown, missing or rare, and
    combinations that training has not seen, have the count 0 and the overall rates.

    Parameters
    ----------
    keys : which code columns, alone or together.
    parents : of each task, as in the link.

    Attributes
    ----------
    sums : for each key, by the rows of its table, ``(n_rows, 2 · n_events + 1)``: weighted positives, weights, and how
        many rows there were.
    counts_rows : whether the sums have their last column; those of former versions do not.
    priors, units : ``(n_events,)``, the overall rates, and what a row weighs.
    strengths : for each key ``(n_events,)``, by what weight of the overall rate its rates are smoothed.
    center, scale, low, high : ``(n_columns,)``, by which the network reads the statistics.
    shares : for each key, what a row counts; empty for 1. It is below 1 once rows of a further call were counted: the
        counts stay those of as many rows as the first one had, else every value would look busier than in training.
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

    def rates_of_steps(self, parents: Sequence[int | None]) -> np.ndarray:
        """How often each step happened in training where the one before it did, ``(K,)``."""
        return np.array([self.priors[self.events.index((k, parent))] for k, parent in enumerate(parents)])

    def labels_of_steps(self, parents: Sequence[int | None]) -> np.ndarray:
        """The effective number of labels of which these rates are, ``(K,)``, of rows of known values."""
        shares = self.shares or [1.0] * len(self.sums)
        tried = [share * halves(sums.sum(axis=0))[1] for share, sums in zip(shares, self.sums, strict=True)]
        of_events = np.max(tried, axis=0) / self.units
        return np.array([of_events[self.events.index((k, parent))] for k, parent in enumerate(parents)])

    def known_shares(self, parents: Sequence[int | None]) -> np.ndarray:
        """Of the rows in which the step before has happened, the share with a label of each step, ``(K,)``."""
        largest = max((sums.sum(axis=0, dtype=np.float64) for sums in self.sums), key=lambda total: total[-1])
        positive, tried = (of_events / self.units for of_events in halves(largest))  # in rows
        shares = np.ones(len(parents))
        for k, parent in enumerate(parents):
            if parent is not None and (happened := positive[self.events.index((parent, None))]) > 0:
                shares[k] = tried[self.events.index((k, parent))] / happened
        return shares

    @property
    def n_columns(self) -> int:
        """How many numbers there are for each row."""
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
        """Learn from the rows of training, and return them with the statistics that each may see.

        Parameters
        ----------
        encoder : of the codes.
        rows, targets : those of training alone.
        random : of the order; None takes the rows as they stand, from the first to the last.
        more : whether the rows add to those of former calls. They see each other all the same, and none of these: rows
            that are shown again would see themselves.
        """
        return rows.with_numbers(self.learn_codes(encoder, rows.meant_codes(), targets, random, more=more))

    def learn_codes(
        self,
        encoder: FeatureEncoder,
        codes: np.ndarray,
        targets: Targets,
        random: np.random.RandomState | None,
        *,
        more: bool = False,
    ) -> np.ndarray:
        """As :meth:`learn`, of codes alone: the statistics of each row, ``(n, n_columns)``."""
        counted = self.counted(targets)
        order = np.arange(len(codes)) if random is None else random.permutation(len(codes))
        self.take_codes_of(encoder)
        more = more and bool(self.sums)
        self._know(self.combinations(codes), more=more)
        indices, own = self._summed(codes, counted)
        self._add(own)
        if not more:
            of_rows, tallies = tallied(counted), own
            if not np.array_equal(of_rows, counted[:, : of_rows.shape[1]]):  # else what rows count says how many
                tallies = [summed(index, of_rows, len(sums)) for index, sums in zip(indices, own, strict=True)]
            self._smooth(tallies, counted.sum(axis=0), np.square(counted).sum(axis=0))
        values = np.empty((len(codes), self.n_columns), order="F")  # column by column, as it is computed and read
        for i, index in enumerate(indices):
            before = ByValue(index, order).before(counted)
            values[:, self._columns_of(i)] = self._of_key(i, self.n_others(i, index, counted), before)
        if not more:  # later rows are scaled as the network has learned to read them
            self._scale_by(values)
        self._tabulate()
        return self._scaled(values)

    def add(self, codes: np.ndarray, targets: Targets) -> None:
        """Count further rows, which no network is trained on: predictions look their labels up from now on."""
        self._know(self.combinations(codes), more=True)
        self._add(self._summed(codes, self.counted(targets))[1])
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
        """Be told the sums of rows, which somebody else has added up.

        Parameters
        ----------
        known, sums : as the attributes.
        tallies : by the same rows how many rows there were, whatever they weigh, see
            :func:`~sklearn_fsmd.encoding.rates.tallied`.
        total, squares : ``(2 · n_events + 1,)``, the sums over all rows, those of unknown values included, and those of
            the squares.
        more : whether the rows add to those of former calls; if not, :meth:`take_scale` is to follow.
        """
        self._know(known, more=more)
        own = []
        for all_known, of_key, added in zip(self.known, known, sums, strict=True):
            if all_known is not None and of_key is not None:
                placed = np.zeros((len(all_known) + 1, added.shape[1]))
                placed[np.searchsorted(all_known, of_key) + 1] = added[1:]
                added = placed
            own.append(added)
        self._add(own)
        if more:
            self._tabulate()
        else:
            self._smooth(tallies, total, squares)

    def _know(self, combinations: Sequence[np.ndarray | None], *, more: bool) -> None:
        """Know further combinations of each key; or these alone, where nothing that was counted before counts."""
        if not more:
            width = 2 * len(self.events) + self.counts_rows
            self.known, self.shares = list(combinations), []
            self.sums = [np.zeros((self.n_rows(i), width)) for i in range(len(self.keys))]
            return
        all_known, all_sums = [], []
        for known, sums, further in zip(self.known, self.sums, combinations, strict=True):
            if known is not None and further is not None:
                together = np.union1d(known, further)
                wider = np.zeros((len(together) + 1, sums.shape[1]), sums.dtype)
                wider[np.searchsorted(together, known) + 1] = sums[1:]
                known, sums = together, wider
            all_known.append(known)
            all_sums.append(sums)
        self.known, self.sums = all_known, all_sums

    def _summed(self, codes: np.ndarray, counted: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """For each key the rows of its table that these rows stand for, and what they count, added up by these."""
        indices = [self.index(i, codes) for i in range(len(self.keys))]
        return indices, [summed(index, counted, len(sums)) for index, sums in zip(indices, self.sums, strict=True)]

    def _add(self, own: Sequence[np.ndarray]) -> None:
        """Add sums to those of before, which makes `own` the sums of both."""
        shares = self.shares or [1.0] * len(own)
        self.shares = [share_of_more(*of_key) for of_key in zip(shares, self.sums, own, strict=True)]
        # A new list, since a copy of this object may have the other; added in place, since the tables may be large.
        self.sums = [compact(np.add(former, more, out=more)) for former, more in zip(self.sums, own, strict=True)]

    def _smooth(self, tallies: Sequence[np.ndarray], total: np.ndarray, squares: np.ndarray) -> None:
        """Learn by what the rates are smoothed."""
        positive, tried = halves(total)
        self.units = units_of(tried, halves(squares)[1])
        self.priors = np.divide(positive, tried, out=np.full_like(tried, 0.5), where=tried > 0).clip(1e-6, 1 - 1e-6)
        self.strengths = [strengths_of(of_key) * self.units for of_key in tallies]

    def append(self, rows: Encoded) -> Encoded:
        """Rows that were not counted, with the statistics of all that were."""
        return rows.with_numbers(self.look_up(rows.codes))

    def append_as_new(self, rows: Encoded) -> Encoded:
        """Rows of training, with the statistics of all; a value that no other row has is told as one that none has."""
        of_keys = []
        for i, (sums, table) in enumerate(zip(self.sums, self.tables, strict=True)):
            index = self.index(i, rows.codes)
            of_keys.append(table[np.where(counts_of(sums)[index] > 1, index, 0)])
        return rows.with_numbers(np.concatenate(of_keys, axis=1))

    def append_without_own(self, rows: Encoded, targets: Targets) -> Encoded:
        """Rows of training, with the rates of all others: as if they were new.

        A network that is trained on such rates learns its rows' labels from them; one that has been trained does not.
        """
        counted = self.counted(targets)
        of_keys = []
        for i, sums in enumerate(self.sums):
            index = self.index(i, rows.codes)
            others = np.maximum(sums[index] - counted, 0)  # of unknown values nothing is summed
            of_keys.append(self.seen(i, counts_of(others), others))
        return rows.with_numbers(np.concatenate(of_keys, axis=1))

    def look_up(self, codes: np.ndarray) -> np.ndarray:
        """The statistics of all rows that were counted for these codes, ``(n, n_columns)``."""
        return np.concatenate([table[self.index(i, codes)] for i, table in enumerate(self.tables)], axis=1)

    def grown(self, encoder: FeatureEncoder) -> TargetStatistics:
        """A copy for an encoder that knows more values: these have been seen in no row."""
        made = shallow(self)
        made.take_codes_of(encoder)
        made.known, made.sums = [], []
        for known, sums, old, new in zip(self.known, self.sums, self.sizes, made.sizes, strict=True):
            made.known.append(None if known is None else renumbered(known, old, new))
            more = new[0] - len(sums) if known is None else 0
            made.sums.append(np.concatenate([sums, np.zeros((more, sums.shape[1]), sums.dtype)]))
        made._tabulate()
        return made

    def take_scale(self, n_others: Sequence[np.ndarray], before: Sequence[np.ndarray]) -> None:
        """Scale the statistics by those of some rows of training, of each key as for :meth:`seen`; make the tables."""
        keys = enumerate(zip(n_others, before, strict=True))
        self._scale_by(np.concatenate([self._of_key(i, *of_key) for i, of_key in keys], axis=1))
        self._tabulate()

    def seen(self, i: int, n_others: np.ndarray, before: np.ndarray) -> np.ndarray:
        """The scaled statistics of key `i`, ``(n, 1 + n_events)``, of rows of training.

        Parameters
        ----------
        n_others : ``(n,)``, how many other rows have the value of each.
        before : ``(n, 2 · n_events + 1)``, the sums that each may see.
        """
        return self._scaled(self._of_key(i, n_others, before), self._columns_of(i))

    def n_others(self, i: int, index: np.ndarray, counted: np.ndarray) -> np.ndarray:
        """How many other rows have the value of each row, ``(n,)``, all of which were counted."""
        return np.maximum(counts_of(self.sums[i])[index] - counts_of(counted), 0)

    def _of_key(self, i: int, counts: np.ndarray, sums: np.ndarray) -> np.ndarray:
        """The statistics of key `i`, ``(n, 1 + n_events)``: the log of the counts, and the log-odds of the rates."""
        log_counts = log_count(counts, self.shares[i] if self.shares else 1.0)
        return np.column_stack([log_counts, self._log_odds(sums, i)])

    def _scale_by(self, values: np.ndarray) -> None:
        """Learn the scale from what rows of training see; one that was nearly so stays, since the network knows it."""
        center, scale = values.mean(axis=0), values.std(axis=0)
        scale[scale == 0] = 1.0
        found = [center, scale, values.min(axis=0), values.max(axis=0)]
        if hasattr(self, "center"):
            has_moved = np.abs(center - self.center) > NEARLY * self.scale
            differs = has_moved | (np.abs(np.log(scale / self.scale)) > NEARLY)
            former = (self.center, self.scale, self.low, self.high)
            found = [np.where(differs, new, old) for new, old in zip(found, former, strict=True)]
        self.center, self.scale, self.low, self.high = found

    def counted(self, targets: Targets) -> np.ndarray:
        """What each row adds to the sums, ``(n, 2 · n_events + 1)``.

        Rows are counted whatever their weights, and whether a label was observed: else the count would tell a row's own
        label, where weights or gaps follow from it.
        """
        tried, positive = zip(*targets.outcomes(self.events), strict=True)
        rows = [np.ones(len(targets.labels))] if self.counts_rows else []
        return np.stack([*positive, *tried, *rows]).astype(np.float64).T  # each column in one piece

    def _log_odds(self, sums: np.ndarray, i: int) -> np.ndarray:
        """The log-odds of the smoothed rates of each event, ``(n, n_events)``."""
        positive, total = halves(sums)
        rates = (positive + self.strengths[i] * self.priors) / (total + self.strengths[i])
        return np.log(rates) - np.log1p(-rates)

    def _scaled(self, values: np.ndarray, of: slice = slice(None)) -> np.ndarray:
        within = values.clip(self.low[of], self.high[of])
        return ((within - self.center[of]) / self.scale[of]).astype(np.float32)

    def _tabulate(self) -> None:
        self.tables = [
            self._scaled(self._of_key(i, counts_of(sums), sums), self._columns_of(i))
            for i, sums in enumerate(self.sums)
        ]

    def _columns_of(self, i: int) -> slice:
        """Where the statistics of key `i` stand among those of a row: its count, and the rate of each event."""
        width = 1 + len(self.events)
        return slice(i * width, (i + 1) * width)

    def __getstate__(self) -> dict[str, Any]:
        """Without the tables, which follow from the sums."""
        return {name: value for name, value in self.__dict__.items() if name != "tables"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self.sums:
            self._tabulate()
