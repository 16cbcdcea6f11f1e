"""Which rows validate, and what early stopping watches on them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sklearn_fsmd.encoding import Encoded, LabelledRows, Targets, factors_of
from sklearn_fsmd.parameters import OF_ALL_TASKS, TrainingParameters
from sklearn_fsmd.training.early_stopping import EarlyStopping, losses_of

FEW_ROWS = 1000
"""Below this, early_stopping="auto" does not set rows aside."""


def wants_split(p: TrainingParameters, n_rows: int) -> bool:
    """Whether early stopping is on and has to take its validation data from the training data."""
    return n_rows >= FEW_ROWS if p.early_stopping == "auto" else bool(p.early_stopping)


def chosen(
    p: TrainingParameters, targets: Targets, random: np.random.RandomState, before: np.ndarray | None
) -> np.ndarray:
    """Which rows validate, ``(n,)``: the last `validation_fraction`, or each combination of labels in proportion.

    `before` says it of the rows of a former fit, from which training goes on. Of these the same rows validate, whatever
    their labels are now, since training has seen the others.
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
    known = np.empty(0, dtype=bool) if before is None else before
    if len(known) > n or known.sum() != round(p.validation_fraction * len(known)):
        known = known[:0]  # these are other rows, or another share is wanted
    new = targets.part(np.arange(len(known), n))
    return np.concatenate([known, _stratified(new, n_valid - int(known.sum()), random)])


def _stratified(targets: Targets, n_valid: int, random: np.random.RandomState) -> np.ndarray:
    """Rows ordered by their labels, at random within equal ones, of which every n-th is taken.

    So the choice is stratified over all targets at once, whatever their number, and no combination is too rare for it.
    """
    n, observed = len(targets.labels), targets.full_weights > 0
    is_valid = np.zeros(n, dtype=bool)
    if n_valid > 0:
        order = np.lexsort((random.permutation(n), *(targets.labels * observed).T, *observed.T))
        is_valid[order[np.floor((np.arange(n_valid) + random.uniform()) * n / n_valid).astype(int)]] = True
    return is_valid


def split(rows: Encoded, targets: Targets, is_valid: np.ndarray) -> tuple[LabelledRows, LabelledRows, Targets]:
    """The rows of training, those of validation, and the labels of the latter with weights in the units of the former.

    By these both can be counted together.
    """
    train, valid = np.flatnonzero(~is_valid), np.flatnonzero(is_valid)
    others = targets.part(valid)
    of_both = (rows.select(train), targets.part(train).scaled()), (rows.take(valid), others.scaled())
    return *of_both, _in_units_of(targets, train, others)


def _in_units_of(targets: Targets, train: np.ndarray, others: Targets) -> Targets:
    """The labels of other rows, with weights that would have a mean of 1 in each task over those of training."""
    if targets.weights is None or others.weights is None:
        return Targets(others.labels, None)
    factors = factors_of(len(train), targets.weights[train].sum(axis=0, dtype=np.float64))
    return Targets(others.labels, (others.weights * factors).astype(np.float32))


def early_stopping_of(
    p: TrainingParameters, epochs: int, task_names: Sequence[str], value_names: Sequence[str]
) -> EarlyStopping:
    """What watches the validation data; without early stopping it only keeps the best weights."""
    of_one = [*(f"{name}_auc" for name in task_names), *losses_of(value_names)]
    metrics = [*OF_ALL_TASKS, *of_one]
    if p.validation_metric not in metrics:
        raise ValueError(f"The 'validation_metric' parameter must be one of {metrics}. Got {p.validation_metric!r}.")
    if p.validation_metric in OF_ALL_TASKS and p.validation_metric in of_one:
        raise ValueError(
            f"validation_metric={p.validation_metric!r} means all tasks, and is the AUC of one of that name too. Call "
            "the column of Y something else."
        )
    return EarlyStopping(
        p.patience if p.early_stopping else epochs, p.tol, p.validation_metric, task_names, value_names
    )
