"""Metrics of multi-task ranking, and scorers for cross-validation and grid search.

`Y` is (n, K) or (n,), 0 and 1, NaN where a label was not observed; `P` is (n, K) or (n,), the marginal P(Y_k = 1), or
what ``predict_proba`` returns. Rows whose label is missing are left out, task by task.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import make_scorer, roc_auc_score
from sklearn.utils.validation import check_consistent_length

from sklearn_fsmd.canonical import shown
from sklearn_fsmd.targets import DEFAULT_NAMES

__all__ = [
    "auc_per_task",
    "cvr_auc",
    "expected_calibration_error",
    "get_scorer",
    "get_scorer_names",
    "group_auc",
    "mean_auc",
    "mean_log_loss",
    "multi_task_gain",
    "ndcg_at_k",
]


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
    """
    labels, scores = _pair(Y, P)
    auc = task_aucs(labels, scores, sample_weight)
    if np.isnan(auc).any():
        places = np.flatnonzero(np.isnan(auc)).tolist()
        warnings.warn(f"Only one class in Y for task {places}: its AUC is not defined.", UndefinedMetricWarning, 2)
    return auc


def task_aucs(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    """ROC AUC of each column of (n, K) arrays, without checks and without warnings: NaN where there is none."""
    weights = _weights(weights, labels.shape)
    return np.array([_auc(y, p, w) for y, p, w in zip(labels.T, scores.T, weights.T, strict=True)])


def mean_auc(Y: Any, P: Any, *, sample_weight: Any = None) -> float:
    """Mean ROC AUC of the tasks for which it is defined; parameters as in :func:`auc_per_task`."""
    auc = auc_per_task(Y, P, sample_weight=sample_weight)
    return float(np.nanmean(auc)) if not np.isnan(auc).all() else float("nan")


def cvr_auc(Y: Any, P: Any, *, sample_weight: Any = None) -> float:
    """ROC AUC of the conversion rate: of pCTCVR / pCTR against the conversions, on clicked rows alone.

    Parameters
    ----------
    Y, P : labels and marginals of (at least) two tasks, click and then conversion.
    sample_weight : array-like of shape (n,), default=None

    Returns
    -------
    auc : float
    """
    labels, scores = _pair(Y, P)
    if labels.shape[1] < 2:
        raise ValueError(
            f"The AUC of the conversion rate takes two tasks, click and conversion. Got {labels.shape[1]}."
        )
    clicked = labels[:, 0] == 1
    pcvr = scores[clicked, 1] / np.maximum(scores[clicked, 0], np.finfo(np.float32).tiny)
    return _defined(
        _auc(labels[clicked, 1], pcvr, _weights(sample_weight, labels.shape)[clicked, 1]),
        "the conversions of clicked rows",
    )


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
    loss : float
    """
    labels, p = _pair(Y, P)
    _check_probabilities(p)
    p = np.clip(p, np.finfo(np.float32).tiny, 1 - np.finfo(np.float32).epsneg)
    losses = -np.where(labels == 1, np.log(p), np.log1p(-p))
    weights = np.where(np.isnan(labels), 0.0, _weights(sample_weight, labels.shape))
    return float(np.mean((losses * weights).sum(axis=0) / weights.sum(axis=0)))


def group_auc(y: Any, p: Any, groups: Any) -> float:
    """AUC within groups (users), weighted by impressions: how well each user's own list is sorted.

    Parameters
    ----------
    y, p : array-like of shape (n,), labels and scores of one task.
    groups : array-like of shape (n,)
        A group whose labels are of one class has no AUC and is left out.

    Returns
    -------
    auc : float; NaN, with a warning, if no group has both classes.
    """
    check_consistent_length(y, p, groups)
    if pd.isna(np.asarray(groups)).any():
        raise ValueError("`groups` has missing values; every row must belong to a group.")
    frame = pd.DataFrame({"y": np.asarray(y, dtype=float), "p": np.asarray(p), "group": np.asarray(groups)})
    frame = frame.dropna(subset="y")
    by_group = frame.groupby("group", sort=False)
    n = by_group["y"].size()
    n_positive = by_group["y"].sum()
    ranks = by_group["p"].rank()  # ties share their mean rank, and so count one half
    rank_sum = (ranks * frame["y"]).groupby(frame["group"], sort=False).sum()
    both = (n_positive > 0) & (n_positive < n)
    n, n_positive, rank_sum = n[both], n_positive[both], rank_sum[both]
    auc = (rank_sum - n_positive * (n_positive + 1) / 2) / (n_positive * (n - n_positive))
    return _defined(float(np.average(auc, weights=n)) if len(auc) else float("nan"), "the groups")


def ndcg_at_k(gain: Any, score: Any, groups: Any, *, k: int = 10) -> float:
    """Mean over the groups (users) of the NDCG of the first `k` places.

    Parameters
    ----------
    gain : array-like of shape (n,)
        What each row is worth, not negative: a label, or a sum such as click + 5 · conversion.
    score : array-like of shape (n,)
        Rows of a group are ranked by it; ties share the places that they take.
    groups : array-like of shape (n,)
        A group in which nothing has a gain has no NDCG and is left out.
    k : int, default=10

    Returns
    -------
    ndcg : float in [0, 1]; NaN, with a warning, if no group has a gain.
    """
    check_consistent_length(gain, score, groups)
    if k < 1:
        raise ValueError(f"`k` must be at least 1. Got {k!r}.")
    frame = pd.DataFrame(
        {"gain": np.asarray(gain, dtype=float), "score": np.asarray(score), "group": np.asarray(groups)}
    )
    if frame.isna().to_numpy().any():
        raise ValueError("`gain`, `score` and `groups` must have no missing values.")
    if (frame["gain"] < 0).any():
        raise ValueError(f"`gain` must not be negative. Got {shown(frame['gain'].min())}.")
    # Within ties the mean gain stands for each: the expectation over their orders.
    frame["expected"] = frame.groupby(["group", "score"], sort=False)["gain"].transform("mean")
    dcg, ideal = _dcg(frame, "expected", "score", k), _dcg(frame, "gain", "gain", k)
    some = ideal > 0
    if not some.any():
        warnings.warn("No group has a gain: the NDCG is not defined.", UndefinedMetricWarning, stacklevel=2)
        return float("nan")
    return float((dcg[some] / ideal[some]).mean())


def _dcg(frame: pd.DataFrame, gain: str, by: str, k: int) -> pd.Series:
    """The discounted gain of each group, whose rows are ranked by a column."""
    place = frame.groupby("group", sort=False)[by].rank(method="first", ascending=False)
    discounted = (frame[gain] / np.log2(place + 1)).where(place <= k, 0.0)
    return discounted.groupby(frame["group"], sort=False).sum()


def expected_calibration_error(y: Any, p: Any, *, n_bins: int = 20) -> float:
    """Mean distance between predicted and observed rates, over bins of equally many rows.

    Parameters
    ----------
    y, p : array-like of shape (n,), labels and probabilities of one task.
    n_bins : int, default=20
        Quantile bins, since the rates of clicks and conversions crowd near 0.

    Returns
    -------
    error : float, in [0, 1].
    """
    labels, scores = _pair(y, p)
    if labels.shape[1] != 1:
        raise ValueError(f"The calibration error takes one task at a time. Got {labels.shape[1]}.")
    _check_probabilities(scores)
    known = ~np.isnan(labels[:, 0])
    order = np.argsort(scores[known, 0], kind="stable")
    distance = (scores[known, 0] - labels[known, 0])[order]
    bins = np.array_split(distance, min(n_bins, len(distance)))
    return float(sum(abs(part.sum()) for part in bins) / len(distance))


def multi_task_gain(auc: Sequence[float], single_task_auc: Sequence[float]) -> np.ndarray:
    """How much each task gains over a model of its own: the difference of the AUCs.

    Where one is positive and another negative, that is the seesaw.

    Returns
    -------
    gain : ndarray of shape (K,)
    """
    together, alone = np.asarray(auc, dtype=float), np.asarray(single_task_auc, dtype=float)
    if together.shape != alone.shape:
        raise ValueError(f"There must be one AUC a task on both sides. Got {together.shape} and {alone.shape}.")
    return together - alone


def get_scorer(name: str) -> Any:
    """A scorer by name, for ``scoring=`` of scikit-learn's tools.

    Parameters
    ----------
    name : str
        One of :func:`get_scorer_names`, or "<task>_auc" with the name of a column of Y, or "task2_auc" with a place.

    Returns
    -------
    scorer : callable ``scorer(estimator, X, Y)``
    """
    if name in _SCORERS:
        return make_scorer(
            _SCORERS[name], response_method="predict_proba", greater_is_better=not name.startswith("neg_")
        )
    if isinstance(name, str) and name.endswith("_auc"):
        return make_scorer(_one_auc, response_method="predict_proba", task=name.removesuffix("_auc"))
    raise ValueError(f"There is no scorer {name!r}. Use one of {get_scorer_names()}, or '<task>_auc'.")


def get_scorer_names() -> list[str]:
    """The names that :func:`get_scorer` knows of itself."""
    return sorted([*_SCORERS, *(f"{task}_auc" for task in DEFAULT_NAMES)])


def _one_auc(Y: Any, P: Any, task: str, *, sample_weight: Any = None) -> float:
    names = list(Y.columns) if isinstance(Y, pd.DataFrame) else [Y.name] if isinstance(Y, pd.Series) else []
    labels, scores = _pair(Y, P)
    places = {f"task{k}": k for k in range(labels.shape[1])}
    if labels.shape[1] == 2 and not names:
        places |= {default: k for k, default in enumerate(DEFAULT_NAMES)}
    places |= {str(column): k for k, column in enumerate(names)}
    if task not in places:
        known = names or [name for name in places if name in DEFAULT_NAMES] or list(places)
        raise ValueError(f"There is no task {task!r} to score; the tasks are {known}.")
    k = places[task]
    return _defined(_auc(labels[:, k], scores[:, k], _weights(sample_weight, labels.shape)[:, k]), f"task {task!r}")


def _mean_calibration_error(Y: Any, P: Any) -> float:
    labels, scores = _pair(Y, P)
    return float(np.mean([expected_calibration_error(y, p) for y, p in zip(labels.T, scores.T, strict=True)]))


_SCORERS = {
    "mean_auc": mean_auc,
    "cvr_auc": cvr_auc,
    "neg_mean_log_loss": mean_log_loss,
    "neg_calibration_error": _mean_calibration_error,
}


def _pair(Y: Any, P: Any) -> tuple[np.ndarray, np.ndarray]:
    """Labels and scores as two (n, K) arrays of floats."""
    if isinstance(P, (list, tuple)) and np.ndim(P[0]) == 2:
        P = np.stack([np.asarray(p)[:, 1] for p in P], axis=1)
    labels, scores = _zeros_and_ones(Y), np.asarray(P, dtype=float)
    if labels.ndim == 1 and scores.ndim == 2 and scores.shape[1] == 2:
        scores = scores[:, 1]
    labels = labels if labels.ndim == 2 else labels[:, None]
    scores = scores if scores.ndim == 2 else scores[:, None]
    check_consistent_length(labels, scores)
    if labels.shape != scores.shape:
        raise ValueError(f"Y has {labels.shape[1]} tasks and P has {scores.shape[1]}.")
    return labels, scores


def _zeros_and_ones(Y: Any) -> np.ndarray:
    """Labels as floats; of two other classes, such as "no" and "yes", the greater one is 1."""
    if isinstance(Y, pd.DataFrame):
        return np.stack([_zeros_and_ones(Y.iloc[:, k]) for k in range(Y.shape[1])], axis=1)
    array = np.asarray(Y)
    if array.ndim == 2:
        return np.stack([_zeros_and_ones(column) for column in array.T], axis=1)
    known = ~pd.isna(array)
    classes = np.unique(array[known])
    labels = np.full(array.shape, np.nan)
    if np.isin(classes, (0, 1)).all():
        labels[known] = array[known]
    elif len(classes) == 2:
        labels[known] = array[known] == classes[1]
    else:
        raise ValueError(f"The labels in Y must be 0, 1 or NaN, or of two classes. Got {shown(classes[-1])}.")
    return labels


def _check_probabilities(p: np.ndarray) -> None:
    if p.size and not (p.min() >= 0 and p.max() <= 1):
        raise ValueError(f"P must hold probabilities in [0, 1]. Got {shown(p.min())} to {shown(p.max())}.")


def _weights(weights: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Weights None, (n,) or (n, K) as (n, K)."""
    array = np.ones(shape[0]) if weights is None else np.asarray(weights, dtype=float)
    return np.broadcast_to(array if array.ndim == 2 else array[:, None], shape)


def _auc(y: np.ndarray, p: np.ndarray, weights: np.ndarray) -> float:
    counted = ~np.isnan(y) & (weights > 0)
    y, p, weights = y[counted], p[counted], weights[counted]
    if y.size == 0 or y.min() == y.max():
        return float("nan")
    return float(roc_auc_score(y, p, sample_weight=weights))


def _defined(value: float, what: str) -> float:
    if np.isnan(value):
        warnings.warn(f"Only one class in {what}: the AUC is not defined.", UndefinedMetricWarning, stacklevel=3)
    return value
