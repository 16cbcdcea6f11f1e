"""Statistics of the targets per category: how often a value was seen, and how often each target followed it.

For a training row the rates come from the rows before it in a random order, "ordered" target statistics [1]_: a rate
in which the row's own label counts would tell the network that label. For every other row they come from all rows that
were counted, by a table with a row per value, as an embedding is: those of training and, after it, further ones. The
count is that of all training rows for both: a count up to the row would be half of it in the mean, and predictions
would be made for busier users than those of training.

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
from sklearn_fsmd.encoding.rates import halves, log_count, mean_share, n_counted, strengths_of, summed, units_of
from sklearn_fsmd.encoding.table_encoder import FeatureEncoder
from sklearn_fsmd.encoding.targets import Targets, events_of
from sklearn_fsmd.runtime import shallow


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
    units : ``(n_events,)``, what a row weighs.
    shares : for each key, what a row counts; empty for 1. It is below 1 once rows were counted that the network was not
        trained on: otherwise every value would look busier than in training.
    """

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
        new_pairs: bool = False,
    ) -> Encoded:
        """Learn from the rows of training, and return them with the statistics that each may see.

        Parameters
        ----------
        encoder : of the codes.
        rows, targets : those of training alone.
        random : of the order; None takes the rows as they stand, from the first to the last.
        more : whether the rows add to those of former calls. They see each other all the same, and none of these: rows
            that are shown again would see themselves.
        new_pairs : whether combinations that no call before has seen are known from now on.
        """
        codes = rows.meant_codes()
        if new_pairs and self.sums:
            self._know(self.combinations(codes))
        return rows.with_numbers(self.learn_codes(encoder, codes, targets, random, more=more))

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
        if not self.sums:
            self._start(encoder, codes, counted)
        self.shares = shares = list(self.shares) if more else []
        sums: list[np.ndarray] = []
        values = np.empty((len(codes), self.n_columns), order="F")  # column by column, as it is computed and read
        for i, former in enumerate(self.sums):
            index = self.index(i, codes)
            own = summed(index, counted, len(former))
            sums.append((former + own if more else own).astype(np.float32))
            if shares:
                shares[i] = mean_share(shares[i], former, own)
            if len(self.strengths) == i:
                self.strengths.append(strengths_of(own, self.priors, self.units))
            before = ByValue(index, order).before(counted)
            of_key = values[:, self._columns_of(i)]
            of_key[:, 0], of_key[:, 1:] = self._log_counts(sums[i], i)[index], self._log_odds(before, i)
        self.sums = sums  # a new list: a copy of this object may have the other
        if not hasattr(self, "center"):  # later rows are scaled as the network has learned to read them
            self._scale_by(values)
        self._tabulate()
        return self._scaled(values)

    def add(self, codes: np.ndarray, targets: Targets) -> None:
        """Count further rows, which no network is trained on: predictions look their labels up from now on."""
        self._know(self.combinations(codes))
        counted = self.counted(targets)
        self._take_after_training(
            [
                (former + summed(self.index(i, codes), counted, len(former))).astype(np.float32)
                for i, former in enumerate(self.sums)
            ]
        )

    def _take_after_training(self, sums: list[np.ndarray]) -> None:
        shares = self.shares or [1.0] * len(sums)
        grown = zip(shares, map(n_counted, self.sums), map(n_counted, sums), strict=True)
        self.shares = [share * before / after if before else share for share, before, after in grown]
        self.sums = sums
        self._tabulate()

    def append(self, rows: Encoded) -> Encoded:
        """Rows that were not counted, with the statistics of all that were."""
        return rows.with_numbers(self.look_up(rows.codes))

    def append_without_own(self, rows: Encoded, targets: Targets) -> Encoded:
        """Rows of training, with the rates of all others: as if they were new.

        A network that is trained on such rates learns its rows' labels from them; one that has been trained does not.
        """
        counted = self.counted(targets)
        of_keys = []
        for i, sums in enumerate(self.sums):
            index = self.index(i, rows.codes)
            others = (sums[index] - counted).clip(min=0)
            of_keys.append(self.seen(i, index, np.where(index[:, None] > 0, others, 0)))
        return rows.with_numbers(np.concatenate(of_keys, axis=1))

    def look_up(self, codes: np.ndarray) -> np.ndarray:
        """The statistics of all rows that were counted for these codes, ``(n, n_columns)``."""
        return np.concatenate([table[self.index(i, codes)] for i, table in enumerate(self.tables)], axis=1)

    def _start(self, encoder: FeatureEncoder, codes: np.ndarray, counted: np.ndarray) -> None:
        self.take_codes_of(encoder)
        self.known = self.combinations(codes)
        self.sums = [np.zeros((self.n_rows(i), counted.shape[1])) for i in range(len(self.keys))]
        self.strengths: list[np.ndarray] = []
        self._take_priors(counted.sum(axis=0), np.square(counted).sum(axis=0))

    def take_sums(
        self, known: Sequence[np.ndarray | None], sums: Sequence[np.ndarray], total: np.ndarray, squares: np.ndarray
    ) -> None:
        """Be told the sums of all rows of training, which somebody else has added up.

        Parameters
        ----------
        known, sums : as the attributes.
        total, squares : ``(2 · n_events + 1,)``, the sums over all rows, those of unknown values included, and those of
            the squares.
        """
        self.known, self.sums = list(known), [of_key.astype(np.float32) for of_key in sums]
        self._take_priors(total, squares)
        self.strengths = [strengths_of(of_key, self.priors, self.units) for of_key in sums]

    def add_sums(
        self, known: Sequence[np.ndarray | None], sums: Sequence[np.ndarray], *, more: bool, trained: bool = True
    ) -> None:
        """Be told the sums of further rows, by which rates are smoothed and scaled as before.

        Parameters
        ----------
        known, sums : as the attributes.
        more : whether the rows add to those of before, and their combinations to the known ones.
        trained : whether the network is trained on them; see :meth:`add`.
        """
        if more:
            self._know(known)
        together = []
        for own, former, of_key, added in zip(self.known, self.sums, known, sums, strict=True):
            made = former.copy() if more else np.zeros_like(former)
            if own is None or of_key is None:
                made += added.astype(np.float32)
            else:
                is_known = np.isin(of_key, own)
                made[np.searchsorted(own, of_key[is_known]) + 1] += added[1:][is_known].astype(np.float32)
            together.append(made)
        if not trained:
            self._take_after_training(together)
            return
        pairs = zip(self.shares if more else (), self.sums, together, strict=False)
        self.shares = [mean_share(share, former, made - former) for share, former, made in pairs]
        self.sums = together
        self._tabulate()

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

    def _know(self, combinations: Sequence[np.ndarray | None]) -> None:
        """Know further combinations of each key, which no row has had."""
        all_known, all_sums = [], []
        for known, sums, more in zip(self.known, self.sums, combinations, strict=True):
            if known is not None and more is not None:
                together = np.union1d(known, more)
                wider = np.zeros((len(together) + 1, sums.shape[1]), sums.dtype)
                wider[np.searchsorted(together, known) + 1] = sums[1:]
                known, sums = together, wider
            all_known.append(known)
            all_sums.append(sums)
        self.known, self.sums = all_known, all_sums

    def take_scale(self, sums: Sequence[np.ndarray], before: Sequence[np.ndarray]) -> None:
        """Scale the statistics by those of some rows, and make the tables.

        Parameters
        ----------
        sums, before : for each key what rows of training see, ``(n, 2 · n_events + 1)``: the sums of all rows of the
            same value, and those of the rows before them.
        """
        self._scale_by(self._values(sums, before))
        self._tabulate()

    def seen(self, i: int, index: np.ndarray, before: np.ndarray) -> np.ndarray:
        """The scaled statistics of key `i`, ``(n, 1 + n_events)``, of rows of training.

        Parameters
        ----------
        index : ``(n,)``, the rows of the key's table.
        before : ``(n, 2 · n_events + 1)``, the sums that each may see.
        """
        own = self._columns_of(i)
        rates = self._scaled(self._log_odds(before, i), slice(own.start + 1, own.stop))
        return np.column_stack([self.tables[i][index, 0], rates])

    def _values(self, sums: Sequence[np.ndarray], before: Sequence[np.ndarray]) -> np.ndarray:
        counts = (self._log_counts(of_key, i) for i, of_key in enumerate(sums))
        odds = (self._log_odds(own, i) for i, own in enumerate(before))
        return np.column_stack([x for of_key in zip(counts, odds, strict=True) for x in of_key])

    def _scale_by(self, values: np.ndarray) -> None:
        self.center, self.scale = values.mean(axis=0), values.std(axis=0)
        self.scale[self.scale == 0] = 1.0
        self.low, self.high = values.min(axis=0), values.max(axis=0)

    def _take_priors(self, sums: np.ndarray, squares: np.ndarray) -> None:
        positive, total = halves(sums)
        self.units = units_of(total, halves(squares)[1])
        self.priors = np.divide(positive, total, out=np.full_like(total, 0.5), where=total > 0).clip(1e-6, 1 - 1e-6)

    def counted(self, targets: Targets) -> np.ndarray:
        """What each row adds to the sums, ``(n, 2 · n_events + 1)``.

        Rows are counted whatever their weights, and whether a label was observed: else the count would tell a row's own
        label, where weights or gaps follow from it.
        """
        tried, positive = zip(*targets.outcomes(self.events), strict=True)
        rows = [np.ones(len(targets.labels))] if self.counts_rows else []
        return np.stack([*positive, *tried, *rows]).astype(np.float64).T  # each column in one piece

    def _log_counts(self, sums: np.ndarray, i: int) -> np.ndarray:
        """The log of the counts of key `i`, ``(n,)``."""
        return log_count(sums, self.shares[i] if self.shares else 1.0)

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
            self._scaled(np.column_stack([self._log_counts(sums, i), self._log_odds(sums, i)]), self._columns_of(i))
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
