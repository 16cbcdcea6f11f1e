"""Classes, rates and weights of the targets of all training rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from sklearn_fsmd.encoding.sources import GroupRates
from sklearn_fsmd.encoding.targets import StepSums, Targets, Values, factors_of

MANY = 1000
"""A target with this many different values is not binary, and no more values are collected."""


class SeenLabels:
    """The different values of each target, from which its classes are learned.

    Parameters
    ----------
    names : a list of columns, or the name of the only one.
    values : the value targets among them, which have no classes.
    check : is called with :meth:`table` when a target has more than two values, and may raise an error.
    """

    def __init__(self, names: Any, values: Sequence[Any], check: Callable[[Any], Any] = lambda Y: None) -> None:
        self.names = names
        self.values = set(values)
        self.check = check
        self.collected: dict[Any, list[Any]] = {}

    def copy(self) -> SeenLabels:
        """A copy that has seen the same values."""
        copied = SeenLabels(self.names, list(self.values), self.check)
        copied.collected = {name: list(distinct) for name, distinct in self.collected.items()}
        return copied

    def add(self, Y: pd.DataFrame) -> None:
        """Collect the values of the targets of some rows.

        Raises
        ------
        ValueError
            If there is a single target and a label is missing, or if `check` raises it.
        """
        if isinstance(self.names, str) and Y[self.names].isna().any():
            raise ValueError("Input y contains NaN. In a two-dimensional Y, NaN leaves a label out.")
        for name in Y.columns:
            distinct = self.collected.setdefault(name, [])
            if name in self.values:
                distinct[:] = [Y[name].iloc[:1]]
            elif sum(map(len, distinct)) < MANY:
                new = Y[name].drop_duplicates()
                distinct[:] = [pd.concat([*distinct, new], ignore_index=True).drop_duplicates()]
        if any(distinct[0].count() > 2 for name, distinct in self.collected.items() if name not in self.values):
            self.check(self.table())

    def table(self) -> Any:
        """A small Y that contains all values of each target."""
        columns = {name: distinct[0].reset_index(drop=True) for name, distinct in self.collected.items()}
        n = max(map(len, columns.values()))
        rows = np.arange(n)
        repeated = {name: column.iloc[rows % len(column)].reset_index(drop=True) for name, column in columns.items()}
        return pd.DataFrame(repeated)[self.names]


@dataclass
class LabelSums:
    """Sums over the training rows, or over the held-out ones: for the rates and the scale of the weights.

    Attributes
    ----------
    parents : for each target, the step before it.
    n_rows : int
    weights, positive : ``(K,)``, sums of the weights, and of the weights of positive labels.
    steps : how often each step happened.
    happened, value_weights, largest : ``(V,)``, how often the step before a value happened, the sum of its weights, and
        the largest value with a weight above 0.
    n_happened : ``(2, K)``, the numbers of rows in which each step, and in which only the step but not its parent, has
        happened.
    is_weighted : whether there is a weight that is not 1.
    of_groups : the rates in each row group; None if there are no row groups.
    """

    parents: Sequence[int | None]
    n_rows: int = 0
    weights: Any = 0.0
    positive: Any = 0.0
    steps: Any = None
    happened: Any = 0.0
    value_weights: Any = 0.0
    largest: Any = -np.inf
    n_happened: Any = 0
    is_weighted: bool = False
    of_groups: GroupRates | None = None

    def add(self, targets: Targets) -> None:
        """Add some rows, with unscaled weights."""
        total, positive = targets.totals()
        self.n_rows += len(targets.labels)
        self.is_weighted |= bool((targets.full_weights != 1).any())
        self.weights, self.positive = self.weights + total, self.positive + positive
        steps = StepSums.from_targets(targets, self.parents)
        self.steps = steps if self.steps is None else self.steps.plus(steps)
        if targets.values is not None:
            values, counts = targets.values.arrays
            self.happened = self.happened + targets.values.happened(targets.labels, targets.full_weights)
            self.value_weights = self.value_weights + counts.sum(axis=0, dtype=np.float64)
            self.largest = np.maximum(self.largest, np.where(counts > 0, values, -np.inf).max(axis=0, initial=-np.inf))

    def rates(self) -> np.ndarray:
        """How often each step happened where the one before it did, ``(K,)``."""
        return np.asarray(self.steps.rates(self.parents))

    @property
    def factors(self) -> np.ndarray:
        """Factors that give weights a mean of 1 in each task, ``(K,)``."""
        return factors_of(self.n_rows, self.weights)

    def scaled(self, targets: Targets) -> Targets:
        """Some rows, with weights scaled to a mean of 1 over all rows."""
        weights, values = None, targets.values
        if self.is_weighted:
            weights = (targets.full_weights * self.factors).astype(np.float32)
        if values is not None:
            values = values.in_float32(factors_of(self.happened, self.value_weights))
        return Targets(targets.labels, weights, values)

    def with_largest(self, targets: Targets) -> Targets:
        """A sample of the rows, and a row with the largest value of each value target, with a negligible weight."""
        if targets.values is None:
            return targets
        n = len(self.largest)
        values = np.tile(np.where(np.isfinite(self.largest), self.largest, 0), (n, 1)).astype(np.float32)
        weights = np.where(np.eye(n, dtype=bool) & (self.value_weights > 0), 1e-12, 0).astype(np.float32)
        extra = Values(values, weights, targets.values.parents)
        return Targets.joined([targets, Targets(np.zeros((n, targets.labels.shape[1]), np.float32), None, extra)])
