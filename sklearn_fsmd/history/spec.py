"""Which history features are computed for each row: their keys, delays, half-lives and names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sklearn_fsmd.encoding.columns import twice_in
from sklearn_fsmd.encoding.targets import events_of, index_of_target
from sklearn_fsmd.history.log import Key
from sklearn_fsmd.history.times import name_of_span, span

ALWAYS = int(np.iinfo(np.int64).max)
"""The time up to which labels are final if no event is too young for them."""


@dataclass(frozen=True)
class FeatureSpec:
    """Which features are computed for each row. Fitted transformers store it as a dict.

    Parameters
    ----------
    keys : the keys.
    parents : the parent of each target, as in the link.
    delay : minimum age in nanoseconds of an event that is counted for a row, at least 1.
    delays : minimum age of an event that is counted for the rate of each outcome, at least `delay`; empty if all have
        `delay`.
    half_lives : half-lives in nanoseconds, or None for no decay.
    smoothing : pseudo-counts: how many events at the overall rate are added to each rate.
    log : whether numbers of events and seconds are transformed to log(1 + x).
    last, last_of : length of the lists of last items, and the column of the items; 0 and None for no lists.
    prefix : what the names of all features start with.
    """

    keys: Sequence[Key]
    parents: Sequence[int | None]
    delay: int
    half_lives: Sequence[int | None]
    smoothing: float
    log: bool
    last: int = 0
    last_of: str | None = None
    delays: Sequence[int] = ()
    prefix: str = ""

    def delay_of(self, outcome: int) -> int:
        """The minimum age of an event that is counted for the rate of an outcome."""
        return self.delays[outcome] if self.delays else self.delay

    def final_until(self, last_known: Sequence[int], last_possible: Sequence[int]) -> list[int]:
        """For each outcome, the time up to which its labels are final.

        If a step has happened after the last known label of the next one, events from then on are too young. Their
        only labels are the 0s of events in which the step has not happened, so they would make the rate too low.

        Parameters
        ----------
        last_known, last_possible : for each target, the times of the last events in which its parent has happened, and
            its label is known or not; see :meth:`EventLog.last_labels`.
        """
        until = [k if p > k else ALWAYS for k, p in zip(last_known, last_possible, strict=True)]
        for k, parent in enumerate(self.parents):
            until[k] = min(until[k], ALWAYS if parent is None else until[parent])
        return [until[k] for k, _ in events_of(self.parents)]

    def cutoffs(self, final_until: Sequence[int]) -> dict[tuple[int, int], list[int]]:
        """The outcomes by their delay and the time up to which they are final; others than `delay` and ALWAYS only."""
        groups: dict[tuple[int, int], list[int]] = {}
        for j, final in enumerate(final_until):
            groups.setdefault((self.delay_of(j), final), []).append(j)
        return {cutoff: outcomes for cutoff, outcomes in groups.items() if cutoff != (self.delay, ALWAYS)}

    def names(self, targets: Sequence[str], suffixes: Sequence[str]) -> list[str]:
        """Names of the numeric features; `suffixes` has one entry per half-life.

        Raises
        ------
        ValueError
            If two features have the same name.
        """
        names = []
        for key in self.keys:
            start = self._start(key)
            for suffix in suffixes:
                names.append(f"{start}_events{suffix}")
                for k, parent in events_of(self.parents):
                    condition = "" if parent is None else f"_given_{targets[parent]}"
                    names.append(f"{start}_{targets[k]}{condition}_rate{suffix}")
            names.append(f"{start}_seconds_since")
        if twice := twice_in(names):
            raise ValueError(
                f"Two columns of the result would be named {twice[0]!r}: name each key once, or rename a target or a "
                "column."
            )
        return names

    def list_names(self) -> list[str]:
        """Names of the columns of lists."""
        return [f"{self._start(key)}_last_{self.last_of}" for key in self.keys] if self.last else []

    def _start(self, key: Key) -> str:
        return self.prefix + "_x_".join(map(str, key))


def keys_of(keys: Sequence[Any]) -> list[Key]:
    """Return the columns of each key.

    Raises
    ------
    ValueError
        If an entry is neither a name nor a list of names, or is empty.
    """
    for key in keys:
        if not isinstance(key, (str, list, tuple)) or not len(key):
            raise ValueError(f"The 'keys' parameter must hold names of columns, and lists of these. Got {key!r} in it.")
    return [(key,) if isinstance(key, str) else tuple(key) for key in keys]


def delays_of(delay: Any, targets: Sequence[str]) -> list[int]:
    """Return the delay of each target in nanoseconds, at least 1, since rows at the same time do not see each other.

    Raises
    ------
    ValueError
        If a delay is no span of time, or a dict does not name each target once.
    """
    if not isinstance(delay, dict):
        return [max(span(delay, "delay"), 1)] * len(targets)
    try:
        delays = {index_of_target(k, targets): max(span(value, "delay"), 1) for k, value in delay.items()}
    except ValueError as error:
        raise ValueError(f"In delay={delay!r}: {error}") from None
    if len(delays) < len(delay):
        raise ValueError(f"The 'delay' parameter names a target twice. Got {delay!r}.")
    if missing := [name for k, name in enumerate(targets) if k not in delays]:
        raise ValueError(
            f"The 'delay' parameter must give each target a delay. It gives none to {missing[0]!r}; the targets are "
            f"{list(targets)}."
        )
    return [delays[k] for k in range(len(targets))]


def half_lives_of(half_life: Any) -> tuple[list[int | None], list[str]]:
    """Return the half-lives in nanoseconds, None for no decay, and the suffix of the names of each one's features.

    Raises
    ------
    ValueError
        If a half-life is no span of time, is not longer than 0, or is given twice.
    """
    values = list(half_life) if isinstance(half_life, (list, tuple)) else [half_life]
    lengths = [None if value is None else span(value, "half_life") for value in values]
    if 0 in lengths:
        raise ValueError(f"The 'half_life' parameter must be longer than 0. Got {values[lengths.index(0)]!r} instead.")
    if twice := twice_in(lengths):
        raise ValueError(f"The 'half_life' parameter has {values[lengths.index(twice[0])]!r} twice. Got {half_life!r}.")
    return lengths, ["" if value is None else f"_{name_of_span(value)}" for value in values]
