"""Choose the validation rows."""

from __future__ import annotations

import numpy as np

from sklearn_fsmd.encoding.table import Encoded
from sklearn_fsmd.encoding.targets import LabelledRows, Targets, factors_of
from sklearn_fsmd.parameters import TrainingParameters

FEW_ROWS = 1000
"""With fewer rows early_stopping="auto" sets no validation rows aside."""


def wants_split(p: TrainingParameters, n_rows: int) -> bool:
    """Whether early stopping is on and has to take its validation data from the training data."""
    return n_rows >= FEW_ROWS if p.early_stopping == "auto" else bool(p.early_stopping)


def choose(
    p: TrainingParameters, targets: Targets, random: np.random.RandomState, before: np.ndarray | None
) -> np.ndarray:
    """Choose the validation rows, ``(n,)`` bool: the last `validation_fraction`, or a share stratified by the labels.

    `before` is the choice among the rows of a former fit whose training is continued. These rows keep their roles,
    whatever their labels are now, since the network has been trained on the others.
    """
    n = len(targets.labels)
    n_valid = round(p.validation_fraction * n)
    if not 0 < n_valid < n:
        raise ValueError(
            f"The 'validation_fraction' {p.validation_fraction} of {n} rows leaves {n - n_valid} rows to train on and "
            f"{n_valid} to validate on. Use more rows, give `X_val` and `Y_val`, or set early_stopping=False."
        )
    if p.validation == "last":
        return np.arange(n) >= n - n_valid
    former = np.empty(0, dtype=bool) if before is None else before
    if len(former) > n or former.sum() != round(p.validation_fraction * len(former)):
        former = former[:0]  # the rows or the fraction have changed
    new = targets.part(np.arange(len(former), n))
    return np.concatenate([former, _stratified(new, n_valid - int(former.sum()), random)])


def _stratified(targets: Targets, n_valid: int, random: np.random.RandomState) -> np.ndarray:
    """Sort the rows by their labels, in random order within equal ones, and take every n-th.

    The choice is stratified by all targets at once, whatever their number, and works for rare combinations too.
    """
    n, observed = len(targets.labels), targets.full_weights > 0
    is_valid = np.zeros(n, dtype=bool)
    if n_valid > 0:
        order = np.lexsort((random.permutation(n), *(targets.labels * observed).T, *observed.T))
        is_valid[order[np.floor((np.arange(n_valid) + random.uniform()) * n / n_valid).astype(int)]] = True
    return is_valid


def split(rows: Encoded, targets: Targets, is_valid: np.ndarray) -> tuple[LabelledRows, LabelledRows, LabelledRows]:
    """Training rows, validation rows, and the latter with weights in the units of the training rows.

    With the last ones, statistics and regressions count both parts alike.
    """
    train, valid = np.flatnonzero(~is_valid), np.flatnonzero(is_valid)
    of_valid, others = rows.take(valid), targets.part(valid)
    parts = (rows.select(train), targets.part(train).scaled()), (of_valid, others.scaled())
    return *parts, (of_valid, _in_units_of(targets, train, others))


def _in_units_of(targets: Targets, train: np.ndarray, others: Targets) -> Targets:
    """Other rows with their weights divided by the mean weight of the training rows in each task."""
    weights, values, of_train = others.weights, others.values, targets.part(train)
    if weights is not None and of_train.weights is not None:
        factors = factors_of(len(train), of_train.weights.sum(axis=0, dtype=np.float64))
        weights = (weights * factors).astype(np.float32)
    if values is not None and of_train.values is not None:
        values = values.in_float32(of_train.values.factors(of_train.labels, of_train.full_weights))
    return Targets(others.labels, weights, values)
