"""Statistics of the targets per category: how often a value was seen, and how often each target followed it.

For a training row the rates come from the rows before it in a random order, "ordered" target statistics [1]_: a rate
in which the row's own label counts would tell the network that label. For every other row they come from all training
rows, by a table with a row per value, as an embedding is. The count is that of all training rows for both: a count up
to the row would be half of it in the mean, and predictions would be made for busier users than those of training.

References
----------
.. [1] L. Prokhorenkova et al., "CatBoost: unbiased boosting with categorical features", NeurIPS 2018, Sec. 3.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from sklearn_fsmd.encoding.encoded import Encoded
from sklearn_fsmd.encoding.table_encoder import FeatureEncoder
from sklearn_fsmd.encoding.targets import Targets, events_of

SMALLEST_STRENGTH, LARGEST_STRENGTH = 1.0, 1000.0
"""A rate is smoothed by so many rows of the overall rate."""

Key = tuple[int, ...]
"""One code column of the encoder, or several, whose values are taken together."""


class TargetStatistics:
    """For each key the log of the count, and the log-odds of the smoothed rate of each event, scaled.

    An event is a target, or a step given that its parent has happened. Values that are unknown, missing or rare, and
    combinations that training has not seen, have the count 0 and the overall rates.

    Parameters
    ----------
    keys : which code columns, alone or together.
    parents : of each task, as in the link.

    Attributes
    ----------
    known : for each key of several columns its combinations, sorted; None for a key of one column, whose codes count.
    sums : for each key ``(n_values + 1, 2 · n_events)``: weighted positives, and weights. Row 0 is for unknown values.
    """

    def __init__(self, keys: Sequence[Key], parents: Sequence[int | None]) -> None:
        self.keys = [tuple(key) for key in keys]
        self.events = events_of(parents)
        self.sums: list[np.ndarray] = []

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
        codes = rows.meant_codes()
        return _with_numbers(rows, self.learn_codes(encoder, codes, targets, random, more=more))

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
        raw, sums = [], []
        for i, former in enumerate(self.sums):
            index = self.index(i, codes)
            own = np.stack([np.bincount(index, c, len(former)) for c in counted.T], axis=1)
            own[0] = 0
            sums.append((former + own if more else own).astype(np.float32))
            if len(self.strengths) == i:
                self.strengths.append(_strengths(own, self.priors))
            raw.append(
                np.column_stack([_log_count(sums[i])[index], self._log_odds(sums_before(index, counted, order), i)])
            )
        self.sums = sums  # a new list: a copy of this object may have the other
        values = np.concatenate(raw, axis=1)
        if not hasattr(self, "center"):  # later rows are scaled as the network has learned to read them
            self._scale_by(values)
        self._tabulate()
        return self._scaled(values)

    def append(self, rows: Encoded) -> Encoded:
        """Rows that training has not seen, with the statistics of all that it has."""
        return replace(rows, numbers=np.concatenate([rows.numbers, self.look_up(rows.codes)], axis=1))

    def look_up(self, codes: np.ndarray) -> np.ndarray:
        """The statistics of all rows of training for these codes, ``(n, n_columns)``."""
        return np.concatenate([table[self.index(i, codes)] for i, table in enumerate(self.tables)], axis=1)

    def _start(self, encoder: FeatureEncoder, codes: np.ndarray, counted: np.ndarray) -> None:
        self.take_codes_of(encoder)
        self.known: list[np.ndarray | None] = []
        for i, key in enumerate(self.keys):
            combined = self.combined(i, codes)
            self.known.append(None if len(key) == 1 else np.unique(combined[combined > 0]))
            known = self.known[i]
            n_values = self.sizes[i][0] if known is None else len(known) + 1
            self.sums.append(np.zeros((n_values, counted.shape[1])))
        self.strengths: list[np.ndarray] = []
        self._take_priors(counted.sum(axis=0))

    def take_codes_of(self, encoder: FeatureEncoder) -> None:
        """Be told which codes the columns have."""
        self.offsets = [[int(encoder.offsets[f]) for f in key] for key in self.keys]
        self.sizes = [[int(encoder.cardinalities[f]) for f in key] for key in self.keys]

    def take_sums(self, known: Sequence[np.ndarray | None], sums: Sequence[np.ndarray], total: np.ndarray) -> None:
        """Be told the sums of all rows of training, which somebody else has added up.

        Parameters
        ----------
        known, sums : as the attributes.
        total : ``(2 · n_events,)``, the sum over all rows, those of unknown values included.
        """
        self.known, self.sums = list(known), [of_key.astype(np.float32) for of_key in sums]
        self._take_priors(total)
        self.strengths = [_strengths(of_key, self.priors) for of_key in sums]

    def take_scale(self, sums: Sequence[np.ndarray], before: Sequence[np.ndarray]) -> None:
        """Scale the statistics by those of some rows, and make the tables.

        Parameters
        ----------
        sums, before : for each key what rows of training see, ``(n, 2 · n_events)``: the sums of all rows of the same
            value, and those of the rows before them.
        """
        self._scale_by(self._values(sums, before))
        self._tabulate()

    def seen(self, i: int, sums: np.ndarray, before: np.ndarray) -> np.ndarray:
        """The scaled statistics of key `i`, ``(n, 1 + n_events)``, of rows that see these sums."""
        width = 1 + len(self.events)
        values = np.column_stack([_log_count(sums), self._log_odds(before, i)])
        return self._scaled(values, slice(i * width, (i + 1) * width))

    def _values(self, sums: Sequence[np.ndarray], before: Sequence[np.ndarray]) -> np.ndarray:
        of_keys = enumerate(zip(sums, before, strict=True))
        return np.column_stack([x for i, (all_, own) in of_keys for x in (_log_count(all_), self._log_odds(own, i))])

    def _scale_by(self, values: np.ndarray) -> None:
        self.center, self.scale = values.mean(axis=0), values.std(axis=0)
        self.scale[self.scale == 0] = 1.0
        self.low, self.high = values.min(axis=0), values.max(axis=0)

    def _take_priors(self, sums: np.ndarray) -> None:
        positive, total = np.split(sums, 2)
        self.priors = np.divide(positive, total, out=np.full_like(total, 0.5), where=total > 0).clip(1e-6, 1 - 1e-6)

    def counted(self, targets: Targets) -> np.ndarray:
        """What each row adds to the sums, ``(n, 2 · n_events)``."""
        total = np.stack([targets.counts(*event) for event in self.events], axis=1).astype(np.float64)
        return np.concatenate([total * targets.labels[:, [task for task, _ in self.events]], total], axis=1)

    def combined(self, i: int, codes: np.ndarray) -> np.ndarray:
        """One number for the codes of a key, 0 where one of them is unknown."""
        own = [codes[:, f].astype(np.int64) - o for f, o in zip(self.keys[i], self.offsets[i], strict=True)]
        combined = own[0]
        for column, size in zip(own[1:], self.sizes[i][1:], strict=True):
            combined = np.where((combined > 0) & (column > 0), combined * size + column, 0)
        return combined

    def index(self, i: int, codes: np.ndarray) -> np.ndarray:
        """The row of the key's table for each row of `codes`."""
        combined, known = self.combined(i, codes), self.known[i]
        if known is None:
            return combined
        if not len(known):
            return np.zeros(len(codes), dtype=np.int64)
        at = np.searchsorted(known, combined).clip(max=len(known) - 1)
        return np.where(known[at] == combined, at + 1, 0)

    def _log_odds(self, sums: np.ndarray, i: int) -> np.ndarray:
        """The log-odds of the smoothed rates of each event, ``(n, n_events)``."""
        positive, total = np.split(sums, 2, axis=1)
        rates = (positive + self.strengths[i] * self.priors) / (total + self.strengths[i])
        return np.log(rates) - np.log1p(-rates)

    def _scaled(self, values: np.ndarray, of: slice = slice(None)) -> np.ndarray:
        within = values.clip(self.low[of], self.high[of])
        return ((within - self.center[of]) / self.scale[of]).astype(np.float32)

    def _tabulate(self) -> None:
        ends = np.cumsum([0, *[1 + len(self.events)] * len(self.keys)])
        self.tables = [
            self._scaled(np.column_stack([_log_count(sums), self._log_odds(sums, i)]), slice(start, stop))
            for i, (sums, (start, stop)) in enumerate(zip(self.sums, pairwise(ends), strict=True))
        ]

    def __getstate__(self) -> dict[str, Any]:
        """Without the tables, which follow from the sums."""
        return {name: value for name, value in self.__dict__.items() if name != "tables"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self.sums:
            self._tabulate()


def _log_count(sums: np.ndarray) -> np.ndarray:
    return np.log1p(sums[:, sums.shape[1] // 2])


def _strengths(sums: np.ndarray, priors: np.ndarray) -> np.ndarray:
    """By how many rows of the overall rate each event's rates are smoothed, as their spread says.

    The rates of the values are taken for draws of a beta distribution around the overall rate, whose intraclass
    correlation ρ an analysis of variance estimates; such a rate is best smoothed by 1 / ρ − 1 rows.
    """
    positive, total = np.split(sums, 2, axis=1)
    strengths = []
    for y, n, p in zip(positive.T, total.T, priors, strict=True):
        y, n = y[n > 0], n[n > 0]
        n_values, n_rows = len(n), n.sum()
        if n_values < 2 or n_rows <= n_values:
            strengths.append(LARGEST_STRENGTH)
            continue
        rates = y / n
        between = (n * (rates - p) ** 2).sum() / (n_values - 1)
        within = (n * rates * (1 - rates)).sum() / (n_rows - n_values)
        size = (n_rows - (n**2).sum() / n_rows) / (n_values - 1)
        rho = (between - within) / max(between + (size - 1) * within, 1e-12)
        strengths.append(1 / max(rho, 1e-12) - 1)
    return np.clip(strengths, SMALLEST_STRENGTH, LARGEST_STRENGTH)


def sums_before(index: np.ndarray, counted: np.ndarray, order: np.ndarray) -> np.ndarray:
    """For each row the sums of `counted` over the rows of its index that stand before it in `order`."""
    by_value = order[np.argsort(index[order], kind="stable")]
    sorted_index = index[by_value]
    before = np.cumsum(counted[by_value], axis=0) - counted[by_value]
    starts = np.flatnonzero(np.diff(sorted_index, prepend=-1))
    lengths = np.diff(starts, append=len(index))
    before -= np.repeat(before[starts], lengths, axis=0)
    before[sorted_index == 0] = 0
    sums = np.empty_like(before)
    sums[by_value] = before.clip(min=0)  # differences of large sums may fall below
    return sums


def _with_numbers(rows: Encoded, more: np.ndarray) -> Encoded:
    """The rows with further numbers; rows that are not meant have zeros there, and nobody reads them."""
    if rows.rows is not None:
        wide = np.zeros((len(rows.codes), more.shape[1]), dtype=np.float32)
        wide[rows.rows] = more
        more = wide
    return replace(rows, numbers=np.concatenate([rows.numbers, more], axis=1))
