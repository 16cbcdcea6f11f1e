"""Whether a fit adds logistic regressions to its network, and the rows on which they are fitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from sklearn_fsmd.encoding.columns import evenly_spaced
from sklearn_fsmd.encoding.table import Encoded, FeatureEncoder
from sklearn_fsmd.encoding.targets import LabelledRows, StepSums, Targets
from sklearn_fsmd.parameters import LOW_ORDER, NetworkParameters, TrainingParameters
from sklearn_fsmd.training.regression_columns import N_COSINES

FEW_ROWS, FEW_EVENTS = 100_000, 10_000
"""With fewer rows than these, or fewer labels of the rarer class of a step, "auto" adds regressions."""
MOST_VALUES = 5_000_000
"""With more values of all categories and lists together, "auto" adds none: each task needs weights of its own."""
MOST_ENTRIES = 10_000_000
"""The largest number of values of columns in the rows of a regression; of more rows a sample is used."""


def adds_regressions(
    p: NetworkParameters, n_rows: int, rows: Encoded, steps: StepSums, n_training: int, encoder: FeatureEncoder
) -> bool:
    """Whether a fit averages its network with regressions.

    Parameters
    ----------
    n_rows : number of rows of the fit, with validation rows.
    rows : the training rows, or those of them that the regressions could be fitted on.
    steps : the sums over the labels of all training rows.
    n_training : the number of these.

    Raises
    ------
    ValueError
        If they are asked for and lists are pooled by their maximum, which is no sum of first-order terms.
    """
    if p.low_order is None or "logistic_regression" not in LOW_ORDER.parts[p.low_order].reads:
        return False
    if encoder.lists and p.list_pooling == "max":
        if p.logistic_regression not in (False, "auto"):
            raise ValueError(
                "logistic_regression=True needs lists that are pooled by a sum, and list_pooling='max' is none. Set "
                "list_pooling='mean', or logistic_regression=False."
            )
        return False
    if p.logistic_regression != "auto":
        return bool(p.logistic_regression)
    has_few_rows = n_rows < FEW_ROWS and len(rows) <= most_rows(rows, len(encoder.categories))
    is_suitable = encoder.n_rows <= MOST_VALUES and len(rows) == n_training
    return is_suitable and (has_few_rows or has_few_events(steps))


def has_few_events(steps: StepSums) -> bool:
    """Whether the rarer class of a step has so few labels that "auto" adds regressions."""
    n_events = steps.n_events
    return bool(((n_events > 0) & (n_events < FEW_EVENTS)).any())


def most_rows(rows: Encoded, n_categories: int) -> int:
    """The largest number of such rows that a regression is fitted on."""
    parts = [part for part in (rows, rows.bias) if part is not None]
    width = sum(part.codes.shape[1] + part.numbers.shape[1] for part in parts)
    width += (N_COSINES - 2) * (rows.codes.shape[1] - n_categories)  # instead of a bin and a number
    values_per_row = sum(len(column.flat) for column in rows.lists or ()) / max(len(rows.codes), 1)
    return int(MOST_ENTRIES / max(width + values_per_row, 1))


class RegressionRows(NamedTuple):
    """The rows that the regressions are fitted on.

    Attributes
    ----------
    of_steps : the rows for each of the `K` steps.
    n_events : ``(K,)``, the number of labels of the rarer class in all training rows.
    n_categories : how many of the code columns are categories, not bins.
    """

    of_steps: list[LabelledRows]
    n_events: np.ndarray
    n_categories: int


def rows_of_fits(
    p: TrainingParameters,
    train: LabelledRows,
    held_out: LabelledRows | None,
    parents: Sequence[int | None],
    steps: StepSums,
    n_categories: int,
) -> list[RegressionRows]:
    """The training rows, and then these with the validation rows that were set aside from them, if there are any.

    The first regressions determine their share by the validation rows, which they must not know. Fitted again, they
    know all rows. With `warm_start` they are not: the same rows validate further training.

    Parameters
    ----------
    held_out : with weights in the units of the training rows, and without statistics of the targets.
    steps : the sums over the labels of all training rows.
    """
    parts = [train] if held_out is None or p.warm_start else [train, held_out]
    return [samples(parts[:n], parents, steps, n_categories) for n in range(1, len(parts) + 1)]


def samples(
    parts: Sequence[LabelledRows], parents: Sequence[int | None], steps: StepSums, n_categories: int
) -> RegressionRows:
    """The rows that the regression of each step is fitted on: all of them, or a sample that takes them evenly.

    A sample has the events of a step if they are rare, and half of the rows are of each class if there are enough. So
    its level is not that of the data, and is set afterwards.

    Parameters
    ----------
    parts : the training rows and, optionally, others.
    """
    n, most = sum(len(rows) for rows, _ in parts), most_rows(parts[0][0], n_categories)
    if n <= most:
        return RegressionRows([_joined([_taken(part) for part in parts])] * len(parents), steps.n_events, n_categories)
    of_steps = []
    for k, parent in enumerate(parents):
        chosen = (_sample(targets, k, parent, most * len(rows) // n) for rows, targets in parts)
        of_steps.append(_joined([_taken(part, indices) for part, indices in zip(parts, chosen, strict=True)]))
    return RegressionRows(of_steps, steps.n_events, n_categories)


def _sample(targets: Targets, k: int, parent: int | None, most: int) -> np.ndarray:
    """Indices of up to `most` of the rows in which step `k` took place."""
    used, label = targets.counts(k, parent) > 0, targets.labels[:, k]
    positive, negative = np.flatnonzero(used & (label == 1)), np.flatnonzero(used & (label == 0))
    positive = positive[evenly_spaced(len(positive), max(most // 2, most - len(negative)))]
    negative = negative[evenly_spaced(len(negative), most - len(positive))]
    return np.sort(np.concatenate([positive, negative]))


def _taken(part: LabelledRows, chosen: np.ndarray | None = None) -> LabelledRows:
    """Some of the rows, or all of them; without values, of which regressions know nothing."""
    rows, targets = part
    if chosen is None:
        return (rows if rows.rows is None else rows.take(np.arange(len(rows)))), replace(targets, values=None)
    return rows.take(chosen), replace(targets.part(chosen), values=None)


def _joined(parts: Sequence[LabelledRows]) -> LabelledRows:
    return Encoded.joined([rows for rows, _ in parts]), Targets.joined([targets for _, targets in parts])
