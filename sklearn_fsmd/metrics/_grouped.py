"""Metrics within groups of rows, such as the list of each user."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_consistent_length

from sklearn_fsmd.encoding.columns import shown
from sklearn_fsmd.encoding.warnings import warn_of_orders
from sklearn_fsmd.metrics._inputs import (
    as_column,
    check_count,
    groups_of,
    numbers_of,
    undefined,
    zeros_and_ones,
)


def group_auc(y: Any, p: Any, groups: Any) -> float:
    """Compute the mean AUC within groups, weighted by impressions: how well the list of each user is sorted.

    Parameters
    ----------
    y, p : array-like of shape (n,), labels and scores of one task.
    groups : array-like of shape (n,)
        The group of each row, such as its user. A group with labels of one class has no AUC and is left out.

    Returns
    -------
    auc : float; NaN, with a warning, if no group has both classes.

    Raises
    ------
    ValueError
        If there are more than two classes, a score is not finite, or a row has no group.

    Examples
    --------
    >>> from sklearn_fsmd.metrics import group_auc
    >>> group_auc([0, 1, 1, 0], [0.1, 0.2, 0.8, 0.9], groups=["ann", "ann", "bob", "bob"])
    0.5
    """
    check_consistent_length(y, p, groups)
    warn_of_orders(y=y, p=p, groups=groups)
    columns = {"y": zeros_and_ones(as_column(y)), "p": numbers_of(p, "p"), "group": groups_of(groups)}
    frame = pd.DataFrame(columns).dropna(subset="y")
    by_group = frame.groupby("group", sort=False)
    n = by_group["y"].size()
    n_positive = by_group["y"].sum()
    ranks = by_group["p"].rank()  # tied rows get their mean rank, so that a tied pair counts one half
    rank_sum = (ranks * frame["y"]).groupby(frame["group"], sort=False).sum()
    both = (n_positive > 0) & (n_positive < n)
    n, n_positive, rank_sum = n[both], n_positive[both], rank_sum[both]
    auc = (rank_sum - n_positive * (n_positive + 1) / 2) / (n_positive * (n - n_positive))
    if not len(auc):
        return undefined("Only one class in each of the groups: the AUC is not defined.")
    return float(np.average(auc, weights=n))


def ndcg_at_k(gain: Any, score: Any, groups: Any, *, k: int = 10) -> float:
    """Compute the mean over groups, such as users, of the NDCG of the first `k` positions.

    Parameters
    ----------
    gain : array-like of shape (n,)
        Gain of each row, not negative: a label, or a sum such as click + 5 · conversion.
    score : array-like of shape (n,)
        Score that ranks the rows of a group. Tied rows all count with their mean gain.
    groups : array-like of shape (n,)
        The group of each row. A group in which all gains are 0 has no NDCG and is left out.
    k : int, default=10
        Number of positions that count.

    Returns
    -------
    ndcg : float in [0, 1]; NaN, with a warning, if no group has a gain.

    Raises
    ------
    ValueError
        If `k` is less than 1, a gain is missing or negative, or a score is not finite.

    Examples
    --------
    >>> from sklearn_fsmd.metrics import ndcg_at_k
    >>> users = ["ann", "ann", "bob", "bob"]
    >>> ndcg_at_k([5, 0, 0, 1], [0.9, 0.1, 0.2, 0.3], users, k=1)
    1.0
    """
    check_consistent_length(gain, score, groups)
    warn_of_orders(gain=gain, score=score, groups=groups)
    check_count("k", k)
    if pd.isna(as_column(gain)).any():
        raise ValueError("`gain` must have no missing values. Leave out rows whose label was not observed, or give 0.")
    frame = pd.DataFrame(
        {"gain": numbers_of(gain, "gain"), "score": numbers_of(score, "score"), "group": groups_of(groups)}
    )
    if (frame["gain"] < 0).any():
        raise ValueError(f"`gain` must not be negative. Got {shown(frame['gain'].min())}.")
    # Each of several tied rows gets their mean gain: this is the expectation over the orders of the ties.
    frame["expected"] = frame.groupby(["group", "score"], sort=False)["gain"].transform("mean")
    dcg, ideal = _dcg(frame, "expected", "score", k), _dcg(frame, "gain", "gain", k)
    has_gain = ideal > 0
    if not has_gain.any():
        return undefined("No group has a gain: the NDCG is not defined.")
    return float((dcg[has_gain] / ideal[has_gain]).mean())


def _dcg(frame: pd.DataFrame, gain: str, by: str, k: int) -> pd.Series:
    """Discounted cumulative gain of each group, whose rows are ranked by the column `by`."""
    position = frame.groupby("group", sort=False)[by].rank(method="first", ascending=False)
    discounted = (frame[gain] / np.log2(position + 1)).where(position <= k, 0.0)
    return discounted.groupby(frame["group"], sort=False).sum()
