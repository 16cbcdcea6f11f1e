"""Metrics of each task, and their means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from sklearn_fsmd.encoding.table import as_pandas
from sklearn_fsmd.encoding.targets import DEFAULT_NAMES, names_of
from sklearn_fsmd.metrics._bins import distance_in_bins
from sklearn_fsmd.metrics._inputs import check_count, labels_and_scores, undefined


def auc_per_task(Y: Any, P: Any, *, sample_weight: Any = None) -> np.ndarray:
    """Compute the ROC AUC of each task.

    Parameters
    ----------
    Y, P : labels and marginals, see :mod:`sklearn_fsmd.metrics`.
    sample_weight : array-like of shape (n,) or (n, K), default=None
        Rows with weight 0 do not count.

    Returns
    -------
    auc : ndarray of shape (K,); NaN, with a warning, for a task whose labels are of one class.

    Raises
    ------
    ValueError
        If a task has more than two classes, a score is not finite, or the shapes differ.

    Examples
    --------
    >>> from sklearn_fsmd.metrics import auc_per_task
    >>> Y = [[0, 0], [1, 0], [1, 1], [0, 0]]
    >>> P = [[0.2, 0.1], [0.3, 0.2], [0.9, 0.4], [0.4, 0.1]]
    >>> auc_per_task(Y, P)
    array([0.75, 1.  ])
    """
    auc = task_aucs(*labels_and_scores(Y, P, sample_weight))
    if np.isnan(auc).any():
        undefined(f"Only one class in Y for {_named(Y, np.isnan(auc))}, or no label: its AUC is not defined.")
    return auc


def _named(Y: Any, which: np.ndarray) -> str:
    """Describe some of the tasks in a message, by the names of the columns of Y, or by number if there are none."""
    numbers = np.flatnonzero(which).tolist()
    Y = as_pandas(Y)
    is_named = isinstance(Y, (pd.DataFrame, pd.Series))
    return f"task {[names_of(Y)[k] for k in numbers] if is_named else numbers}"


def task_aucs(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    """ROC AUC of each column of (n, K) arrays, without checks and warnings; NaN where it is not defined."""
    weights = np.ones(labels.shape) if weights is None else weights
    return np.array([auc_of(y, p, w) for y, p, w in zip(labels.T, scores.T, weights.T, strict=True)])


def step_aucs(
    labels: np.ndarray, scores: np.ndarray, weights: np.ndarray | None, parents: Sequence[int | None]
) -> np.ndarray:
    """As :func:`task_aucs`, on the rows in which the parent of each task has happened; NaN for a task without one.

    `scores` ``(n, K)`` rise with the probability of the task given its parent.
    """
    weights = np.ones(labels.shape) if weights is None else weights
    auc = np.full(len(parents), np.nan)
    for k, parent in enumerate(parents):
        if parent is not None:
            rows = (labels[:, parent] == 1) & (weights[:, parent] > 0)
            auc[k] = auc_of(labels[rows, k], scores[rows, k], weights[rows, k])
    return auc


def auc_of(y: np.ndarray, p: np.ndarray, weights: np.ndarray) -> float:
    """ROC AUC of one task; NaN if the observed rows with a weight above 0 have one class only."""
    counted = ~np.isnan(y) & (weights > 0)
    y, p, weights = y[counted], p[counted], weights[counted]
    if y.size == 0 or y.min() == y.max():
        return float("nan")
    return float(roc_auc_score(y, p, sample_weight=weights))


def mean_auc(Y: Any, P: Any, *, sample_weight: Any = None) -> float:
    """Compute the mean ROC AUC over the tasks for which it is defined.

    Parameters
    ----------
    Y, P, sample_weight : as in :func:`auc_per_task`.

    Returns
    -------
    auc : float; NaN, with a warning, if it is not defined for any task.

    Examples
    --------
    >>> from sklearn_fsmd.metrics import mean_auc
    >>> Y = [[0, 0], [1, 0], [1, 1], [0, 0]]
    >>> P = [[0.2, 0.1], [0.3, 0.2], [0.9, 0.4], [0.4, 0.1]]
    >>> mean_auc(Y, P)
    0.875
    """
    auc = auc_per_task(Y, P, sample_weight=sample_weight)
    return float(np.nanmean(auc)) if not np.isnan(auc).all() else float("nan")


def cvr_auc(Y: Any, P: Any, *, columns: Sequence[str | int] | None = None, sample_weight: Any = None) -> float:
    """Compute the ROC AUC of pCVR on the clicked rows: pCTCVR / pCTR as the score, and conversions as labels.

    Quotients that differ by no more than the rounding of `P` tie.

    Parameters
    ----------
    Y, P : labels and marginals of two tasks or more
    columns : two str or int, default=None
        Names or positions of the columns of Y that are click and conversion, or any two steps of a chain, the earlier
        one first. None means `click` and `conversion` if Y is a table that has both, else the first two columns.
    sample_weight : array-like of shape (n,) or (n, K), default=None
        If it has K columns, the weights of the conversions count, on rows where the weight of the click is above 0.

    Returns
    -------
    auc : float; NaN, with a warning, if the clicked rows have one class.

    Raises
    ------
    ValueError
        If there is only one task, or `columns` are not two different columns of Y.

    Examples
    --------
    >>> from sklearn_fsmd.metrics import cvr_auc
    >>> Y = [[0, 0], [1, 0], [1, 1], [1, 0]]
    >>> P = [[0.2, 0.1], [0.8, 0.4], [0.4, 0.3], [0.5, 0.1]]
    >>> cvr_auc(Y, P)  # pCVR of the clicked rows: 0.5, 0.75, 0.2
    1.0
    """
    labels, scores, weights = labels_and_scores(Y, P, sample_weight)
    if labels.shape[1] < 2:
        raise ValueError(
            f"The AUC of the conversion rate needs two tasks, click and conversion. Got {labels.shape[1]}."
        )
    names = names_of(as_pandas(Y))
    click, conversion = _two_steps(columns, names)
    clicked = (labels[:, click] == 1) & (weights[:, click] > 0)
    pcvr = scores[clicked, conversion] / np.maximum(scores[clicked, click], np.finfo(np.float32).tiny)
    pcvr = _with_ties(pcvr, np.asarray(as_pandas(P)).dtype)
    auc = auc_of(labels[clicked, conversion], pcvr, weights[clicked, conversion])
    if np.isnan(auc):
        where = f"of {names[conversion]!r}, or no label, where {names[click]!r} is 1"
        return undefined(f"Only one class {where}: the AUC is not defined.")
    return auc


def _with_ties(quotients: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    """Make quotients of numbers of this dtype equal where they differ by rounding errors only.

    Sorted quotients without a larger gap are a group. In a group that spans more than rounding errors, the quotients
    are many different ones, and stay as they are.
    """
    eps = np.finfo(dtype if dtype.kind == "f" else np.float64).eps
    order = np.argsort(quotients)
    values = quotients[order]
    starts = np.flatnonzero(np.diff(values, prepend=-1.0) > 2 * eps * values)
    ends = np.append(starts, len(values))[1:]
    smallest, largest = (np.repeat(values[i], ends - starts) for i in (starts, ends - 1))
    tied = np.empty_like(values)
    tied[order] = np.where(largest - smallest <= 4 * eps * smallest, smallest, values)
    return tied


def _two_steps(columns: Sequence[str | int] | None, names: list[str]) -> tuple[int, int]:
    """Positions of click and conversion among the columns of Y, which have these names."""
    if columns is None:
        columns = DEFAULT_NAMES if set(DEFAULT_NAMES) <= set(names) else (0, 1)
    positions: dict[str | int, int] = {k: k for k in range(len(names))}
    positions |= {name: k for k, name in enumerate(names)}
    chosen = [positions[column] for column in columns if column in positions]
    if len(columns) != 2 or len(set(chosen)) != 2:
        raise ValueError(f"`columns` must be two columns of Y, by name or position. Got {columns!r}; Y has {names}.")
    return chosen[0], chosen[1]


def mean_log_loss(Y: Any, P: Any, *, sample_weight: Any = None) -> float:
    """Compute the mean binary cross-entropy over the tasks.

    The ``log_loss`` of scikit-learn treats two columns of Y as two classes of one target, so a model that predicts 1
    everywhere seems perfect. This function treats them as two targets.

    Parameters
    ----------
    Y, P : labels and marginals, see :mod:`sklearn_fsmd.metrics`.
    sample_weight : array-like of shape (n,) or (n, K), default=None

    Returns
    -------
    loss : float, in nats
        The mean over the targets with an observed label. If there is none, it is NaN, with an
        `UndefinedMetricWarning`.

    Raises
    ------
    ValueError
        If `P` holds anything but probabilities.

    Examples
    --------
    >>> from sklearn_fsmd.metrics import mean_log_loss
    >>> round(mean_log_loss([[1, 0], [0, 0]], [[0.5, 0.5], [0.5, 0.5]]), 4)
    0.6931
    """
    labels, p, weights = labels_and_scores(Y, P, sample_weight, are_probabilities=True)
    losses = log_losses(labels, p, np.asarray(as_pandas(P)).dtype)
    weights = np.where(np.isnan(labels), 0.0, weights)
    total = weights.sum(axis=0)
    if not total.all():
        undefined(f"No observed label in Y for {_named(Y, total == 0)}: its log loss is not defined.")
    is_observed = total > 0
    if not is_observed.any():
        return float("nan")
    return float(np.mean((losses * weights).sum(axis=0)[is_observed] / total[is_observed]))


def log_losses(labels: np.ndarray, p: np.ndarray, dtype: Any = np.float32) -> np.ndarray:
    """Binary cross-entropy of each label; as in scikit-learn, `p` is clipped to eps and 1 − eps of its dtype."""
    eps = np.finfo(dtype if np.dtype(dtype).kind == "f" else np.float64).eps
    p = np.clip(p, eps, 1 - eps)
    return -np.where(labels == 1, np.log(p), np.log1p(-p))


def expected_calibration_error(y: Any, p: Any, *, n_bins: int = 20, sample_weight: Any = None) -> float:
    """Compute the mean distance between predicted and observed rates, over bins of equally many rows.

    Parameters
    ----------
    y, p : array-like of shape (n,), labels and probabilities of one task.
    n_bins : int, default=20
        Number of quantile bins: bins of equal width do not fit, since the rates of clicks and conversions crowd near
        0. Rows with equal predictions all count with their mean label.
    sample_weight : array-like of shape (n,), default=None
        Weights of the rows, within a bin and in the mean over the bins.

    Returns
    -------
    error : float in [0, 1]
        NaN, with an `UndefinedMetricWarning`, if no label is observed.

    Raises
    ------
    ValueError
        If there are several tasks, or `n_bins` is less than 1.

    Examples
    --------
    >>> from sklearn_fsmd.metrics import expected_calibration_error
    >>> round(expected_calibration_error([0, 1, 1, 1], [0.1, 0.5, 0.5, 0.9], n_bins=2), 4)
    0.25
    """
    labels, scores, weights = labels_and_scores(y, p, sample_weight, are_probabilities=True)
    if labels.shape[1] != 1:
        raise ValueError(f"The calibration error takes one task at a time. Got {labels.shape[1]}.")
    check_count("n_bins", n_bins)
    known = ~np.isnan(labels[:, 0]) & (weights[:, 0] > 0)
    if not known.any():
        return undefined("No observed label in y: the calibration error is not defined.")
    return distance_in_bins(labels[known, 0], scores[known, 0], weights[known, 0], n_bins)


def multi_task_gain(auc: Sequence[float] | np.ndarray, single_task_auc: Sequence[float] | np.ndarray) -> np.ndarray:
    """Compute the gain of each task over a single-task model: the difference of the AUCs.

    If one gain is positive and another one negative, this is the seesaw phenomenon.

    Parameters
    ----------
    auc : array-like of shape (K,)
        The AUCs of one model for all tasks.
    single_task_auc : array-like of shape (K,)
        The AUCs of one model per task.

    Returns
    -------
    gain : ndarray of shape (K,)

    Raises
    ------
    ValueError
        If the two arrays have different shapes.

    Examples
    --------
    >>> from sklearn_fsmd.metrics import multi_task_gain
    >>> multi_task_gain([0.74, 0.73], [0.73, 0.74]).round(2)
    array([ 0.01, -0.01])
    """
    together, alone = np.asarray(auc, dtype=float), np.asarray(single_task_auc, dtype=float)
    if together.shape != alone.shape:
        raise ValueError(f"There must be one AUC per task on both sides. Got {together.shape} and {alone.shape}.")
    return together - alone
