"""Whether a fit adds regressions to its network, and the rows on which they are fitted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, cast

import numpy as np

from sklearn_fsmd.encoding.columns import evenly_spaced
from sklearn_fsmd.encoding.table import Encoded, FeatureEncoder
from sklearn_fsmd.encoding.targets import LabelledRows, StepSums, Targets, Values, effective_number
from sklearn_fsmd.parameters import LOW_ORDER, NetworkParameters, TrainingParameters
from sklearn_fsmd.training.regression_columns import N_COSINES

FEW_ROWS, FEW_EVENTS, FEW_VALUES = 100_000, 10_000, 100_000
"""With fewer rows than these, fewer labels of the rarer class of a step, or fewer known values, "auto" adds them."""
MOST_VALUES = 5_000_000
"""With more values of all categories and lists together, "auto" adds none: each task needs weights of its own."""
MOST_ENTRIES = 10_000_000
"""The largest number of values of columns in the rows of a regression; of more rows a sample is used."""


def adds_regressions(
    p: NetworkParameters, n_rows: int, rows: Encoded, n_events: np.ndarray, n_training: int, encoder: FeatureEncoder
) -> bool:
    """Whether a fit averages its network with regressions.

    Parameters
    ----------
    n_rows : number of rows of the fit, with validation rows.
    rows : the training rows, or those of them that the regressions could be fitted on.
    n_events : as returned by :func:`n_events_of`.
    n_training : the number of training rows.

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
    n_steps = len(n_events) - len(p.value_targets or ())
    return is_suitable and (has_few_rows or has_few_events(n_events, n_steps))


def has_few_events(n_events: np.ndarray, n_steps: int) -> bool:
    """Whether a step has so few labels of its rarer class, or a value is so seldom known, that "auto" adds regressions.

    `n_events` are those of the steps and then of the values.
    """
    few = np.where(np.arange(len(n_events)) < n_steps, FEW_EVENTS, FEW_VALUES)
    return bool(((n_events > 0) & (n_events < few)).any())


def n_events_of(steps: StepSums, targets: Targets, n_training: int) -> np.ndarray:
    """Effective number of the labels of the rarer class of each step, and of the known values of each value target.

    Parameters
    ----------
    steps : the sums over the labels of all training rows.
    targets : those of these rows or of a sample of them.
    n_training : the number of training rows.

    Returns
    -------
    n_events : (K + V,)
    """
    if targets.values is None:
        return steps.n_events
    weights = targets.values.weights.astype(np.float64)
    return np.append(steps.n_events, effective_number(weights) * (n_training / max(len(weights), 1)))


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
    of_values : the rows for each of the `V` values.
    n_events : ``(K + V,)``, the number of labels of the rarer class, or of known values, in all training rows.
    n_categories : how many of the code columns are categories, not bins.
    """

    of_steps: list[LabelledRows]
    of_values: list[LabelledRows]
    n_events: np.ndarray
    n_categories: int


def rows_of_fits(
    p: TrainingParameters,
    train: LabelledRows,
    held_out: LabelledRows | None,
    parents: Sequence[int | None],
    n_events: np.ndarray,
    n_categories: int,
) -> list[RegressionRows]:
    """The training rows, and then these with the validation rows that were set aside from them, if there are any.

    The first regressions determine their share by the validation rows, which they must not know. Fitted again, they
    know all rows. With `warm_start` they are not: the same rows validate further training.

    Parameters
    ----------
    held_out : with weights in the units of the training rows, and without statistics of the targets.
    n_events : as returned by :func:`n_events_of`.
    """
    parts = [train] if held_out is None or p.warm_start else [train, held_out]
    return [samples(parts[:n], parents, n_events, n_categories) for n in range(1, len(parts) + 1)]


def samples(
    parts: Sequence[LabelledRows], parents: Sequence[int | None], n_events: np.ndarray, n_categories: int
) -> RegressionRows:
    """The rows that the regression of each target is fitted on: all of them, or a sample that takes them evenly.

    A sample has the events of a step if they are rare, and half of the rows are of each class if there are enough. So
    its level is not that of the data, and is set afterwards.

    Parameters
    ----------
    parts : the training rows and, optionally, others.
    """
    n, most = sum(len(rows) for rows, _ in parts), most_rows(parts[0][0], n_categories)
    n_values = len(n_events) - len(parents)
    if n <= most:
        everything = _joined([_taken(part) for part in parts])
        return RegressionRows([everything] * len(parents), [everything] * n_values, n_events, n_categories)

    def sampled(choose: Callable[[Targets, int], np.ndarray]) -> LabelledRows:
        return _joined([_taken(part, choose(part[1], most * len(part[0]) // n)) for part in parts])

    of_steps = [sampled(partial(_sample, k, parent)) for k, parent in enumerate(parents)]
    of_values = [sampled(partial(_sample_of_value, v)) for v in range(n_values)]
    return RegressionRows(of_steps, of_values, n_events, n_categories)


def _sample(k: int, parent: int | None, targets: Targets, most: int) -> np.ndarray:
    """Indices of up to `most` of the rows in which step `k` took place."""
    used, label = targets.counts(k, parent) > 0, targets.labels[:, k]
    positive, negative = np.flatnonzero(used & (label == 1)), np.flatnonzero(used & (label == 0))
    positive = positive[evenly_spaced(len(positive), max(most // 2, most - len(negative)))]
    negative = negative[evenly_spaced(len(negative), most - len(positive))]
    return np.sort(np.concatenate([positive, negative]))


def _sample_of_value(v: int, targets: Targets, most: int) -> np.ndarray:
    """Indices of up to `most` of the rows in which value `v` is known."""
    known = np.flatnonzero(cast("Values", targets.values).weights[:, v] > 0)
    return known[evenly_spaced(len(known), most)]


def _taken(part: LabelledRows, chosen: np.ndarray | None = None) -> LabelledRows:
    """Some of the rows, or all of them."""
    rows, targets = part
    if chosen is None:
        return (rows if rows.rows is None else rows.take(np.arange(len(rows)))), targets
    return rows.take(chosen), targets.part(chosen)


def _joined(parts: Sequence[LabelledRows]) -> LabelledRows:
    return Encoded.joined([rows for rows, _ in parts]), Targets.joined([targets for _, targets in parts])
