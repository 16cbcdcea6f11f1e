"""Metrics of each task, and their means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from sklearn_fsmd.encoding import DEFAULT_NAMES, as_pandas, names_of
from sklearn_fsmd.metrics._bins import distance_in_bins
from sklearn_fsmd.metrics._inputs import check_count, labels_and_scores, undefined


def auc_per_task(Y: Any, P: Any, *, sample_weight: Any = None) -> np.ndarray:
    """ROC AUC of each task.

    Parameters
    ----------
    Y, P : labels and marginals, see the module.
    sample_weight : array-like of shape (n,) or (n, K), default=None
        Rows of weight 0 do not count.

    Returns
    -------
    auc : ndarray of shape (K,); NaN, with a warning, for a task whose labels are of one class.

    Raises
    ------
    ValueError
        If labels are of more than two classes, a score is not finite, or the shapes do not go together.

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
    """Some of the tasks: by the columns of Y, if these have names, and by number otherwise."""
    numbers = np.flatnonzero(which).tolist()
    Y = as_pandas(Y)
    is_named = isinstance(Y, (pd.DataFrame, pd.Series))
    return f"task {[names_of(Y)[k] for k in numbers] if is_named else numbers}"


def task_aucs(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    """ROC AUC of each column of (n, K) arrays, without checks and without warnings: NaN where there is none."""
    weights = np.ones(labels.shape) if weights is None else weights
    return np.array([auc_of(y, p, w) for y, p, w in zip(labels.T, scores.T, weights.T, strict=True)])


def auc_of(y: np.ndarray, p: np.ndarray, weights: np.ndarray) -> float:
    """ROC AUC of one task; NaN if the rows that count are of one class."""
    counted = ~np.isnan(y) & (weights > 0)
    y, p, weights = y[counted], p[counted], weights[counted]
    if y.size == 0 or y.min() == y.max():
        return float("nan")
    return float(roc_auc_score(y, p, sample_weight=weights))


def mean_auc(Y: Any, P: Any, *, sample_weight: Any = None) -> float:
    """Mean ROC AUC of the tasks for which it is defined.

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
    """ROC AUC of the conversion rate: of pCTCVR / pCTR against the conversions, on clicked rows alone.

    The quotient is rounded to what its factors know exactly, so that equal rates tie.

    Parameters
    ----------
    Y, P : labels and marginals of two tasks or more
    columns : two str or int, default=None
        Which columns of Y are click and conversion, or any two steps of a chain, the earlier one first: names, or
        positions. None takes `click` and `conversion` where Y is a table that has both, else the first two.
    sample_weight : array-like of shape (n,) or (n, K), default=None
        Of the latter the weights of conversions count, on rows where the weight of the click is not 0.

    Returns
    -------
    auc : float; NaN, with a warning, if the clicked rows have one class.

    Raises
    ------
    ValueError
        If there is one task only, or `columns` are not two of Y.

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
            f"The AUC of the conversion rate takes two tasks, click and conversion. Got {labels.shape[1]}."
        )
    click, conversion = _two_steps(columns, names_of(as_pandas(Y)))
    clicked = (labels[:, click] == 1) & (weights[:, click] > 0)
    pcvr = scores[clicked, conversion] / np.maximum(scores[clicked, click], np.finfo(np.float32).tiny)
    pcvr = _rounded(pcvr, np.asarray(as_pandas(P)).dtype)
    auc = auc_of(labels[clicked, conversion], pcvr, weights[clicked, conversion])
    return (
        undefined("Only one class in the conversions of clicked rows: the AUC is not defined.")
        if np.isnan(auc)
        else auc
    )


def _rounded(quotients: np.ndarray, kind: np.dtype[Any]) -> np.ndarray:
    """Quotients of numbers of a `kind`, without the seven bits in which their rounding errors are."""
    digits = np.finfo(kind if kind.kind == "f" else np.float64).nmant - 7
    mantissas, exponents = np.frexp(quotients)
    return np.ldexp(np.round(np.ldexp(mantissas, digits)), exponents - digits)


def _two_steps(columns: Sequence[str | int] | None, names: list[str]) -> tuple[int, int]:
    """Where click and conversion are among the columns of Y, which have these names."""
    if columns is None:
        columns = DEFAULT_NAMES if set(DEFAULT_NAMES) <= set(names) else (0, 1)
    positions: dict[str | int, int] = {k: k for k in range(len(names))}
    positions |= {name: k for k, name in enumerate(names)}
    found = [positions[column] for column in columns if column in positions]
    if len(columns) != 2 or len(set(found)) != 2:
        raise ValueError(f"`columns` must be two columns of Y, by name or position. Got {columns!r}; Y has {names}.")
    return found[0], found[1]


def mean_log_loss(Y: Any, P: Any, *, sample_weight: Any = None) -> float:
    """Mean over the tasks of the binary cross-entropy.

    Scikit-learn's ``log_loss`` takes the columns of a two-column Y for two classes of one target, and finds a model
    perfect that predicts 1 everywhere; this takes them for two targets.

    Parameters
    ----------
    Y, P : labels and marginals, see the module.
    sample_weight : array-like of shape (n,) or (n, K), default=None

    Returns
    -------
    loss : float, in nats
        The mean over the targets with an observed label. Without any it is NaN, with an `UndefinedMetricWarning`.

    Raises
    ------
    ValueError
        If `P` holds what is no probability.

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
    some = total > 0
    return float(np.mean((losses * weights).sum(axis=0)[some] / total[some])) if some.any() else float("nan")


def log_losses(labels: np.ndarray, p: np.ndarray, kind: Any = np.float32) -> np.ndarray:
    """The binary cross-entropy of each label; as in scikit-learn, `p` of a `kind` keeps its eps away from 0 and 1."""
    eps = np.finfo(kind if np.dtype(kind).kind == "f" else np.float64).eps
    p = np.clip(p, eps, 1 - eps)
    return -np.where(labels == 1, np.log(p), np.log1p(-p))


def expected_calibration_error(y: Any, p: Any, *, n_bins: int = 20, sample_weight: Any = None) -> float:
    """Mean distance between predicted and observed rates, over bins of equally many rows.

    Parameters
    ----------
    y, p : array-like of shape (n,), labels and probabilities of one task.
    n_bins : int, default=20
        Quantile bins, since the rates of clicks and conversions crowd near 0. Rows of equal predictions share their
        mean label.
    sample_weight : array-like of shape (n,), default=None
        What each row counts within its bin and for the mean over the bins.

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
    """How much each task gains over a model of its own: the difference of the AUCs.

    Where one is positive and another negative, that is the seesaw.

    Parameters
    ----------
    auc : array-like of shape (K,)
        The AUCs of a model of all tasks.
    single_task_auc : array-like of shape (K,)
        Those of a model per task.

    Returns
    -------
    gain : ndarray of shape (K,)

    Raises
    ------
    ValueError
        If the two have different shapes.

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
