"""Checks and conversions of the inputs of metrics: labels, scores, probabilities, weights and groups."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from decimal import Decimal
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.utils.validation import check_consistent_length, column_or_1d

from sklearn_fsmd.encoding.columns import shown
from sklearn_fsmd.encoding.table import as_pandas, refuse_masked
from sklearn_fsmd.encoding.targets import are_moved, check_weights, warn_of_guess
from sklearn_fsmd.encoding.warnings import warn_of_orders
from sklearn_fsmd.parameters import warn


def labels_and_scores(
    Y: Any, P: Any, sample_weight: Any = None, *, are_probabilities: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Convert labels, scores and weights to three (n, K) arrays of floats; a missing label is NaN.

    Raises
    ------
    ValueError
        If a task does not have two classes, if scores or weights are not finite, or if the shapes or the orders of the
        columns differ.
    """
    warn_of_orders(Y=Y, P=P, sample_weight=sample_weight)
    refuse_masked(Y, "Y")
    refuse_masked(P, "P")
    Y, P, sample_weight = as_pandas(Y), as_pandas(P), as_pandas(sample_weight)
    refuse_moved(P, Y, "P")
    refuse_moved(sample_weight, Y, "sample_weight")
    if isinstance(P, (list, tuple)) and len(P) and np.ndim(P[0]) == 2:
        P = np.stack([_positive(p) for p in P], axis=1)
    labels, scores = zeros_and_ones(Y), finite(P, "P")
    if labels.ndim == 1 and scores.ndim == 2 and scores.shape[1] == 2:
        are_logs = not are_probabilities and (scores <= 0).all()
        if not np.allclose((np.exp(scores) if are_logs else scores).sum(axis=1), 1, atol=1e-3):
            raise ValueError(
                "Y has 1 task and P has 2. For one task, P may have two columns only if they are the probabilities of "
                "its two classes, whose sum is 1."
            )
        scores = scores[:, 1]
    labels = labels if labels.ndim == 2 else labels[:, None]
    scores = scores if scores.ndim == 2 else scores[:, None]
    check_consistent_length(labels, scores)
    if labels.shape != scores.shape:
        raise ValueError(f"Y has {labels.shape[1]} tasks and P has {scores.shape[1]}.")
    if are_probabilities and scores.size and not (scores.min() >= 0 and scores.max() <= 1):
        raise ValueError(f"P must hold probabilities in [0, 1]. Got {shown(scores.min())} to {shown(scores.max())}.")
    weights = np.ones(labels.shape) if sample_weight is None else check_weights(sample_weight, labels.shape)
    return labels, scores, weights


def refuse_moved(table: Any, Y: Any, name: str) -> None:
    """Raise if a table has the columns of Y in another order."""
    if isinstance(table, pd.DataFrame) and isinstance(Y, pd.DataFrame) and are_moved(table.columns, Y.columns):
        raise ValueError(
            f"The columns of `{name}` must have the order of those of Y, {list(Y.columns)}. Got {list(table.columns)}."
        )


def check_count(name: str, value: Any) -> None:
    """Raise if a parameter is not an integer of at least 1."""
    if not isinstance(value, Integral):
        raise ValueError(f"`{name}` must be an integer. Got {value!r}.")
    if value < 1:
        raise ValueError(f"`{name}` must be at least 1. Got {value!r}.")


def as_column(values: Any, name: str = "y") -> np.ndarray:
    """Check that there is one value of any kind per row, and return them as an array ``(n,)``."""
    refuse_masked(values, name)
    values = keep_nan(as_pandas(values))
    if (shape := np.shape(values))[1:] not in ((), (1,)) or not shape:
        raise ValueError(f"{name} should be a 1d array, got an array of shape {shape} instead.")
    if isinstance(values, pd.DataFrame):
        values = values.iloc[:, 0]
    return column_or_1d(_without_extension_dtype(values), warn=False)


def _without_extension_dtype(values: Any) -> Any:
    """Convert integers and booleans of pandas or Arrow to numpy without floats, in which large ids collide.

    These may also be the categories of a column.
    """
    if isinstance(getattr(values, "dtype", None), pd.CategoricalDtype):
        values = pd.Series(values)
        return values.astype(object) if values.hasnans else values
    kind = getattr(getattr(values, "dtype", None), "numpy_dtype", None)
    if kind is None or kind.kind not in "biu":
        return values
    return values.to_numpy(object, na_value=np.nan) if values.hasnans else values.to_numpy(kind)


def keep_nan(values: Any) -> Any:
    """Convert a list to an array that keeps NaN among strings: numpy would convert it to the string "nan".

    Anything but a list is returned unchanged.
    """
    if not isinstance(values, (list, tuple)):
        return values
    array = np.asarray(values)
    return np.array(values, dtype=object) if array.dtype.kind in "US" else array


def numbers_of(values: Any, name: str) -> np.ndarray:
    """Check that there is one finite number per row, and return them as an array ``(n,)``."""
    return finite(as_column(values, name), name)


def observed(
    y: Any, p: Any, sample_weight: Any = None, *, name: str = "p", labels: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Observations, predictions and weights, as float64, of the observed rows with a weight above 0.

    Parameters
    ----------
    y : values, NaN where there is none.
    name : name of the predictions in messages.
    labels : whether `y` may also hold two strings, such as "no" and "yes".
    """
    warn_of_orders(**{"y": y, name: p, "sample_weight": sample_weight})
    y, p = as_column(y), numbers_of(p, name)
    check_consistent_length(y, p)
    y = zeros_and_ones(y) if labels and is_text(y) else numbers_or_nan(y)
    weights = np.ones(len(y)) if sample_weight is None else check_weights(sample_weight, (len(y), 1))[:, 0]
    counts = ~np.isnan(y) & (weights > 0)
    return finite(y[counts], "y"), p[counts], weights[counts].astype(np.float64)


def is_text(column: np.ndarray) -> bool:
    """Whether a column holds strings, such as the labels "no" and "yes"."""
    known = column[~pd.isna(column)]
    return bool(len(known)) and isinstance(known[0], str)


def groups_of(groups: Any) -> np.ndarray:
    """Number the groups, and return the number of the group of each row, ``(n,)``."""
    numbers, _ = pd.factorize(as_column(groups, "groups"))
    if (numbers < 0).any():
        raise ValueError(
            "`groups` must have no missing values: every row belongs to a group. Give the rows without a user groups "
            "of their own, such as their row numbers, or leave them out."
        )
    return numbers


def numbers_or_nan(y: np.ndarray) -> np.ndarray:
    """Convert values to floats, with NaN for missing ones.

    Raises
    ------
    ValueError
        If they are no numbers, but for instance strings, datetimes or durations.
    """
    if y.dtype.kind in "biuf":
        return y.astype(np.float64)
    known = ~pd.isna(y)
    numbers = np.full(y.shape, np.nan)
    if y.dtype.kind == "O" and all(isinstance(value, (Real, Decimal, np.bool_)) for value in y[known]):
        with suppress(OverflowError):
            numbers[known] = y[known].astype(np.float64)
            return numbers
    what = shown(y[known][0]) if known.any() else f"the dtype {y.dtype}"
    raise ValueError(f"`y` must hold numbers, and NaN where one is missing. Got {what}.")


def finite(values: Any, name: str) -> np.ndarray:
    array = np.asarray(as_pandas(values), dtype=float)
    if np.isnan(array).any():
        raise ValueError(f"Input {name} contains NaN.")
    if np.isinf(array).any():
        raise ValueError(f"Input {name} contains infinity.")
    return array


def zeros_and_ones(Y: Any, classes: Sequence[Any] | None = None) -> np.ndarray:
    """Convert labels to floats 0 and 1; of two other classes, such as "no" and "yes", the greater one becomes 1.

    Parameters
    ----------
    Y : (n,) or (n, K).
    classes : the two classes of each task, if they are known; a part of the data may contain only one of them.
    """
    Y = as_pandas(Y)
    if isinstance(Y, pd.DataFrame):
        columns = [Y.iloc[:, k].to_numpy() for k in range(Y.shape[1])]
    else:
        array = np.asarray(keep_nan(Y))
        if array.ndim != 2:
            return _column_of_zeros_and_ones(array, None if classes is None else classes[0])
        columns = list(array.T)
    if classes is None:
        classes = [None] * len(columns)
    if len(classes) != len(columns):
        raise ValueError(f"Y has {len(columns)} columns, and the estimator was fitted on {len(classes)}.")
    labels = [_column_of_zeros_and_ones(column, pair) for column, pair in zip(columns, classes, strict=True)]
    return np.stack(labels, axis=1)


def _column_of_zeros_and_ones(column: np.ndarray, classes: Any) -> np.ndarray:
    known = ~pd.isna(column)
    try:
        distinct = np.unique(column[known])
    except TypeError as error:
        raise ValueError(f"The labels in Y must be of one type ({error}).") from None
    if classes is None:
        classes = (0, 1) if np.isin(distinct, (0, 1)).all() else _check_two(distinct)
    if len(classes) != 2:
        raise ValueError(f"A target must have two classes. Those of the estimator are {_listed(classes)}.")
    unknown = distinct[~np.isin(distinct, classes)]
    if len(unknown):
        raise ValueError(
            f"The labels in Y must be of the two classes of fit, {_listed(classes)}, or NaN where one is missing. "
            f"Got {shown(unknown[0])}."
        )
    labels = np.full(column.shape, np.nan)
    labels[known] = column[known] == classes[1]
    return labels


def _check_two(classes: np.ndarray) -> np.ndarray:
    """Check that these are two classes; warn which one is treated as the positive class."""
    if len(classes) == 1:
        raise ValueError(
            f"All labels in Y are {shown(classes[0])}, which may be the positive or the negative class. Use 0 and 1, "
            "and NaN where a label is missing."
        )
    if len(classes) > 2:
        raise ValueError(
            "A column of labels in Y must have two classes, such as 0 and 1, and NaN where a label is missing. "
            f"Got {len(classes)} classes: {_listed(classes)}. Leave out columns that hold values, such as a watch time."
        )
    warn_of_guess("A column of labels in Y", *classes.tolist())
    return classes


def _listed(labels: Sequence[Any] | np.ndarray, n_shown: int = 3) -> str:
    return ", ".join([*map(shown, labels[:n_shown]), *(["…"] if len(labels) > n_shown else [])])


def _positive(p: Any) -> np.ndarray:
    """The probabilities of the positive class."""
    p = np.asarray(p)
    if p.shape[1] != 2:
        raise ValueError(f"P must have the probabilities of two classes for each task. Got the shape {p.shape}.")
    return p[:, 1]


def undefined(reason: str) -> float:
    """Warn that a metric is not defined, and return NaN."""
    warn(reason, UndefinedMetricWarning)
    return float("nan")
