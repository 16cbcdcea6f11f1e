"""What metrics are given becomes arrays, and is checked: labels, scores, probabilities, weights and groups."""

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

from sklearn_fsmd.encoding import (
    are_moved,
    as_pandas,
    check_weights,
    refuse_masked,
    shown,
    warn_of_guess,
    warn_of_orders,
)
from sklearn_fsmd.parameters import warn


def labels_and_scores(
    Y: Any, P: Any, sample_weight: Any = None, *, are_probabilities: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, scores and weights as three (n, K) arrays of floats; a label that is missing is NaN.

    Raises
    ------
    ValueError
        If labels are not of two classes, scores or weights are not finite, or shapes or the order of columns do not
        fit.
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
        of_logs = not are_probabilities and (scores <= 0).all()
        if not np.allclose((np.exp(scores) if of_logs else scores).sum(axis=1), 1, atol=1e-3):
            raise ValueError(
                "Y has 1 task and P has 2. Of one task, P has two columns where these are the probabilities of its two "
                "classes, whose sum is 1."
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
    """Raise if the columns of a table are named as those of Y and stand in another order."""
    if isinstance(table, pd.DataFrame) and isinstance(Y, pd.DataFrame) and are_moved(table.columns, Y.columns):
        raise ValueError(
            f"The columns of `{name}` must have the order of those of Y, {list(Y.columns)}. Got {list(table.columns)}."
        )


def check_count(name: str, value: Any) -> None:
    """Raise if a parameter is not a whole number from 1."""
    if not isinstance(value, Integral):
        raise ValueError(f"`{name}` must be an integer. Got {value!r}.")
    if value < 1:
        raise ValueError(f"`{name}` must be at least 1. Got {value!r}.")


def as_column(values: Any, name: str = "y") -> np.ndarray:
    """One value of any kind per row, ``(n,)``."""
    refuse_masked(values, name)
    values = keep_nan(as_pandas(values))
    if (shape := np.shape(values))[1:] not in ((), (1,)) or not shape:
        raise ValueError(f"{name} should be a 1d array, got an array of shape {shape} instead.")
    if isinstance(values, pd.DataFrame):
        values = values.iloc[:, 0]
    return column_or_1d(_as_they_are(values), warn=False)


def _as_they_are(values: Any) -> Any:
    """Whole numbers and truths of a dtype of pandas or Arrow unchanged: as floats, large ids would be one."""
    kind = getattr(getattr(values, "dtype", None), "numpy_dtype", None)
    if kind is None or kind.kind not in "biu":
        return values
    return values.to_numpy(object, na_value=np.nan) if values.hasnans else values.to_numpy(kind)


def keep_nan(values: Any) -> Any:
    """A list as an array; all else as it is. A NaN among strings stays one, which numpy would make the string "nan"."""
    if not isinstance(values, (list, tuple)):
        return values
    array = np.asarray(values)
    return np.array(values, dtype=object) if array.dtype.kind in "US" else array


def numbers_of(values: Any, name: str) -> np.ndarray:
    """One finite number per row, ``(n,)``."""
    return finite(as_column(values, name), name)


def observed(
    y: Any, p: Any, sample_weight: Any = None, *, name: str = "p", labels: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What was observed, what was predicted and the weights, as float64, of the rows that count.

    Parameters
    ----------
    y : values, NaN where there is none; with `labels` also two words, such as "no" and "yes".
    name : what messages call the predictions.
    """
    warn_of_orders(**{"y": y, name: p, "sample_weight": sample_weight})
    y, p = as_column(y), numbers_of(p, name)
    check_consistent_length(y, p)
    y = zeros_and_ones(y) if labels and is_text(y) else numbers_or_nan(y)
    weights = np.ones(len(y)) if sample_weight is None else check_weights(sample_weight, (len(y), 1))[:, 0]
    counts = ~np.isnan(y) & (weights > 0)
    return finite(y[counts], "y"), p[counts], weights[counts].astype(np.float64)


def is_text(column: np.ndarray) -> bool:
    """Whether it holds labels such as "no" and "yes"."""
    known = column[~pd.isna(column)]
    return bool(len(known)) and isinstance(known[0], str)


def groups_of(groups: Any) -> np.ndarray:
    """For each row the number of its group, ``(n,)``."""
    numbers, _ = pd.factorize(as_column(groups, "groups"))
    if (numbers < 0).any():
        raise ValueError("`groups` must have no missing values: every row belongs to a group.")
    return numbers


def numbers_or_nan(y: np.ndarray) -> np.ndarray:
    """Values as floats, NaN where one is missing.

    Raises
    ------
    ValueError
        If they are no numbers: text, times or durations.
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
    """Labels as floats; of two other classes, such as "no" and "yes", the greater one is 1.

    Parameters
    ----------
    Y : (n,) or (n, K).
    classes : for each task its two classes, where they are known; a part of the data may show one of them only.
    """
    Y = as_pandas(Y)
    if isinstance(Y, pd.DataFrame):
        columns = [Y.iloc[:, k].to_numpy() for k in range(Y.shape[1])]
    else:
        array = np.asarray(keep_nan(Y))
        if array.ndim != 2:
            return _of_two_classes(array, None if classes is None else classes[0])
        columns = list(array.T)
    if classes is None:
        classes = [None] * len(columns)
    if len(classes) != len(columns):
        raise ValueError(f"Y has {len(columns)} columns, and the estimator was fitted on {len(classes)}.")
    return np.stack([_of_two_classes(column, two) for column, two in zip(columns, classes, strict=True)], axis=1)


def _of_two_classes(column: np.ndarray, two: Any) -> np.ndarray:
    known = ~pd.isna(column)
    try:
        found = np.unique(column[known])
    except TypeError as error:
        raise ValueError(f"The labels in Y must be of one type ({error}).") from None
    if two is None:
        two = (0, 1) if np.isin(found, (0, 1)).all() else _the_two(found)
    if len(two) != 2:
        raise ValueError(f"A target must have two classes. Those of the estimator are {_listed(two)}.")
    strange = found[~np.isin(found, two)]
    if len(strange):
        raise ValueError(
            f"The labels in Y must be of the two classes of fit, {_listed(two)}, or NaN where one is missing. "
            f"Got {shown(strange[0])}."
        )
    labels = np.full(column.shape, np.nan)
    labels[known] = column[known] == two[1]
    return labels


def _the_two(found: np.ndarray) -> np.ndarray:
    """The labels that were found, if they are two."""
    if len(found) == 1:
        raise ValueError(
            f"All labels in Y are {shown(found[0])}, which may be the positive or the negative class. Use 0 and 1, and "
            "NaN where a label is missing."
        )
    if len(found) > 2:
        raise ValueError(
            "A column of labels in Y must have two classes, such as 0 and 1, and NaN where a label is missing. "
            f"Got {len(found)} classes: {_listed(found)}. Leave out columns that hold values, such as a watch time."
        )
    warn_of_guess("A column of labels in Y", *found.tolist())
    return found


def _listed(labels: Sequence[Any] | np.ndarray, most: int = 3) -> str:
    return ", ".join([*map(shown, labels[:most]), *(["…"] if len(labels) > most else [])])


def _positive(p: Any) -> np.ndarray:
    p = np.asarray(p)
    if p.shape[1] != 2:
        raise ValueError(f"P must have the probabilities of two classes for each task. Got the shape {p.shape}.")
    return p[:, 1]


def undefined(what: str) -> float:
    """NaN, with a warning that says why."""
    warn(what, UndefinedMetricWarning)
    return float("nan")
