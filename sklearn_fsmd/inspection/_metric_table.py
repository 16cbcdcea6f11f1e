"""How good a model is for each target and segment, with what chance alone would change."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_consistent_length

from sklearn_fsmd.metrics import (
    Outcome,
    check_count,
    column_named,
    concordance,
    cuts_of,
    groups_of,
    log_losses,
    outcomes,
    segments_by_name,
    sizes_of,
)

ALL = "all rows"
LEVEL = 0.95
FEWEST_GROUPS = 20
"""Fewer groups say too little of each other for an interval."""
MOST_ROWS = 10_000_000
"""A concordance repeats rows by their weights, up to so many."""


def metric_table(
    model: Any,
    X: Any,
    Y: Any,
    *,
    by: Any = None,
    groups: Any = None,
    sample_weight: Any = None,
    conditional: bool = False,
    as_shown: bool = False,
    n_samples: int = 200,
    random_state: Any = None,
) -> pd.DataFrame:
    """Metrics of each target, over all rows and in each segment, with 95 % bootstrap intervals.

    Groups of rows are drawn with replacement, so that the intervals say what other users would change: the rows of one
    user are not independent. Without `groups` each row is one. What other training seeds would change is not in them.

    Parameters
    ----------
    model : fitted MultiTaskClassifier, or a Pipeline or search that ends in one.
    X, Y : as its `score` takes them, that it was not trained on.
    by : str, array-like of shape (n,), sequence of str, or dict of name to str or array-like, default=None
        The segment of each row, or the column of X that says it. Several columns, or a dict, are several cuts, whose
        segments are named "<name> = <value>". None takes all rows alone. Of a single cut no segment can be named "all
        rows".
    groups : str, or array-like of shape (n,), default=None
        The user of each row, or whatever is drawn, or the column of X that says it.
    sample_weight : array-like of shape (n,), or with a column per column of Y, default=None
    conditional : bool, default=False
        Whether a step, and a value that follows one, is judged where its parent has happened, by its conditional
        probability or value. It is called "conversion | click" then.
    as_shown : bool, default=False
        Whether to judge predictions of each row as its `bias_features` say that it was shown, as in the log. Else they
        are those of rows that are shown well, whose level is above that of the log.
    n_samples : int, default=200
        How many samples are drawn.
    random_state : int, RandomState instance or None, default=None

    Returns
    -------
    table : DataFrame indexed by target and segment
        ``n`` rows with an observed label, how many of them are ``positives`` (have the label 1, or a value above 0),
        and ``observed``, their weighted mean; then for ``ranking`` (the AUC, or the concordance of values), ``error``
        (log loss, or root mean squared error) and ``level`` (mean prediction over mean label: 1 is right) each the
        figure and the ends ``…_low`` and ``…_high`` of its interval. A figure that is not defined is NaN. A concordance
        needs weights that are equal, or whole numbers whose sum, divided by their greatest common divisor, is at most
        ten million. With fewer than 20 groups the ends are NaN.

    Raises
    ------
    ValueError
        If nothing was observed of a target, a row has no group, two segments have one name, X has no column of a name,
        or `n_samples` is not above 0.

    Examples
    --------
    >>> from sklearn_fsmd import FSMDClassifier
    >>> from sklearn_fsmd.datasets import make_funnel
    >>> from sklearn_fsmd.inspection import metric_table
    >>> X, Y = make_funnel(600, random_state=0, return_X_y=True)
    >>> model = FSMDClassifier(max_epochs=1, random_state=0).fit(X[:400], Y[:400])
    >>> table = metric_table(model, X[400:], Y[400:], groups="user_id", n_samples=20, random_state=0)
    >>> table.loc[("click", "all rows"), "n"]
    np.float64(200.0)
    """
    check_count("n_samples", n_samples)
    found = outcomes(model, X, Y, sample_weight, conditional=conditional, as_shown=as_shown)
    n = len(X)
    group = np.arange(n) if groups is None else _numbers(column_named(X, groups, "groups"), n)
    found, segments = [_sorted(one) for one in found], _segments(by, X)
    parts = {
        (one.name, segment): Outcome(one.name, one.is_value, *(values[members[one.rows]] for values in one[2:]))
        for one in found
        for segment, members in segments.items()
        if members[one.rows].any()
    }
    drawn: dict[tuple[str, str], list[dict[str, float]]] = {key: [] for key in parts}
    random, n_groups = check_random_state(random_state), int(group.max()) + 1
    enough = {key: len(np.unique(group[part.rows])) >= FEWEST_GROUPS for key, part in parts.items()}
    for _ in range(n_samples):
        times = np.bincount(random.randint(n_groups, size=n_groups), minlength=n_groups)[group]
        for key, part in parts.items():
            if enough[key]:
                drawn[key].append(_figures(part, part.weights * times[part.rows]))
    rows = {key: _described(part, drawn[key]) for key, part in parts.items()}
    table = pd.DataFrame.from_dict(rows, orient="index")
    return table.set_axis(pd.MultiIndex.from_tuples(list(rows), names=["target", "segment"]))


def _described(one: Outcome, drawn: list[dict[str, float]]) -> dict[str, float]:
    """A row of the table; a figure that half of the samples do not have has no interval."""
    row = {
        "n": float(len(one.rows)),
        "positives": float(np.count_nonzero(one.observed > 0)),
        "observed": float(np.average(one.observed, weights=one.weights)),
    }
    for name, figure in _figures(one, one.weights).items():
        values = np.array([sample[name] for sample in drawn])
        values = values[np.isfinite(values)]
        known = len(values) > len(drawn) / 2
        low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]) if known else (np.nan, np.nan)
        row |= {name: figure, f"{name}_low": float(low), f"{name}_high": float(high)}
    return row


def _figures(one: Outcome, weights: np.ndarray) -> dict[str, float]:
    """Ranking, error and level; NaN where they are not defined."""
    used = weights > 0
    y, p, w = one.observed[used], one.predicted[used], weights[used]
    if not len(y):
        return dict.fromkeys(("ranking", "error", "level"), np.nan)
    mean = np.average(y, weights=w)
    level = float(np.average(p, weights=w) / mean) if mean else np.nan
    if one.is_value:
        error = float(np.sqrt(np.average((y - p) ** 2, weights=w)))
        return {"ranking": _concordance(y, p, w), "error": error, "level": level}
    return {"ranking": _auc(y, p, w), "error": float(np.average(log_losses(y, p), weights=w)), "level": level}


def _sorted(one: Outcome) -> Outcome:
    """The rows by their predictions: so they are sorted once, and not in each sample.

    Equal weights are none, and whole ones are divided by what divides all, since rows are repeated by them.
    """
    order = np.argsort(one.predicted, kind="stable")
    if np.array_equal(whole := one.weights.astype(int), one.weights):
        one = one._replace(weights=one.weights / max(np.gcd.reduce(whole), 1))
    elif np.ptp(one.weights) == 0:
        one = one._replace(weights=np.ones(len(one.rows)))
    return Outcome(one.name, one.is_value, *(values[order] for values in one[2:]))


def _auc(y: np.ndarray, p: np.ndarray, weights: np.ndarray) -> float:
    """The AUC of sorted predictions `p`; NaN if there is one class."""
    first = np.flatnonzero(np.diff(p, prepend=-1.0) > 0)  # of the rows of each prediction
    yes, no = np.add.reduceat(weights * y, first), np.add.reduceat(weights * (1 - y), first)
    pairs = yes.sum() * no.sum()
    return float(yes @ (np.cumsum(no) - no / 2) / pairs) if pairs else np.nan


def _concordance(y: np.ndarray, p: np.ndarray, weights: np.ndarray) -> float:
    """The concordance of rows that are there as often as they were drawn; with other weights there is none."""
    if len(np.unique(y)) < 2:
        return np.nan
    times = weights.astype(int)
    if not np.array_equal(times, weights) or times.sum() > MOST_ROWS:
        return np.nan
    return concordance(np.repeat(y, times), np.repeat(p, times))


def _segments(by: Any, X: Any) -> dict[str, np.ndarray]:
    """For each segment which rows it has, ``(n,)`` bool; the first has all."""
    n = len(X)
    found = {ALL: np.ones(n, dtype=bool)}
    for cut, column in cuts_of(by, X).items():
        names = segments_by_name(column)
        check_consistent_length(names, np.empty(n))
        for name in sizes_of(names).index:
            segment = f"{cut} = {name}" if cut else str(name)
            if segment in found:
                raise ValueError(f"The table would have two segments named {segment!r}. Rename the one in `by`.")
            found[segment] = (names == name).to_numpy()
    return found


def _numbers(groups: Any, n: int) -> np.ndarray:
    numbers = groups_of(groups)
    check_consistent_length(numbers, np.empty(n))
    return numbers
