"""Metrics of a model for each target and segment, with bootstrap intervals."""

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
    refuse_unobserved,
    segments_by_name,
    sizes_of,
)

ALL = "all rows"
LEVEL = 0.95
FEWEST_GROUPS = 20
"""With fewer groups, or fewer with an event or without one, a bootstrap interval would be too narrow."""
MOST_ROWS = 10_000_000
"""Maximum number of rows of a concordance, which repeats rows by their weights."""


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
    n_bootstrap: int = 200,
    random_state: Any = None,
) -> pd.DataFrame:
    """Compute metrics of each target, over all rows and in each segment, with 95 % bootstrap intervals.

    The bootstrap draws groups of rows with replacement, since the rows of one user are not independent. So the
    intervals show how the metrics vary with the users. They do not show how the metrics vary with the seed of training.
    Without `groups`, each row is a group.

    Parameters
    ----------
    model : fitted MultiTaskClassifier, or a Pipeline or search that ends in one.
    X, Y : as for the `score` of the model; rows that it was not trained on.
    by : str, array-like of shape (n,), sequence of str, or dict of name to str or array-like, default=None
        The segment of each row, or the column of X that holds it. Several columns, or a dict, define several cuts,
        whose segments are named "<name> = <value>". None means all rows only. For a single cut, no segment may have
        the name "all rows".
    groups : str, or array-like of shape (n,), default=None
        The group of each row that the bootstrap draws, such as its user, or the column of X that holds it.
    sample_weight : array-like of shape (n,), or with a column per column of Y, default=None
    conditional : bool, default=False
        Whether to evaluate a step, or a value that follows one, by its conditional probability or value, on the rows in
        which its parent has happened. Its name is then for instance "conversion | click".
    as_shown : bool, default=False
        Whether to predict each row for the position in its `bias_features`, as in the log. By default each row is
        predicted for a good position, so the level of the predictions is above that of the log.
    n_bootstrap : int, default=200
        Number of bootstrap samples.
    random_state : int, RandomState instance or None, default=None

    Returns
    -------
    table : DataFrame indexed by target and segment
        ``n``: the number of rows with an observed label.

        ``positives``: the number of these rows with the label 1, or with a value above 0.

        ``observed``: the weighted mean of labels or values.

        ``ranking``: the AUC, or the concordance for values.

        ``error``: the log loss, or the root mean squared error for values.

        ``level``: the mean prediction divided by the mean label or value; 1 is ideal.

        The last three have columns ``…_low`` and ``…_high`` with the ends of their intervals. The ends are NaN with
        fewer than 20 groups with an event, or fewer than 20 without one: the intervals would be too narrow. A metric
        that is not defined is NaN. A concordance needs weights that are equal, or
        integers whose sum, divided by their greatest common divisor, is at most ten million.

    Raises
    ------
    ValueError
        If a target has no observed row, a row has no group, two segments have the same name, X has no column of a
        name, or `n_bootstrap` is not above 0.

    Examples
    --------
    >>> from sklearn_fsmd import FSMDClassifier
    >>> from sklearn_fsmd.datasets import make_funnel
    >>> from sklearn_fsmd.inspection import metric_table
    >>> X, Y = make_funnel(600, random_state=0, return_X_y=True)
    >>> model = FSMDClassifier(max_epochs=1, random_state=0).fit(X[:400], Y[:400])
    >>> table = metric_table(model, X[400:], Y[400:], groups="user_id", n_bootstrap=20, random_state=0)
    >>> table.loc[("click", "all rows"), "n"]
    np.float64(200.0)
    """
    check_count("n_bootstrap", n_bootstrap)
    by_target = outcomes(model, X, Y, sample_weight, conditional=conditional, as_shown=as_shown)
    refuse_unobserved((outcome.name, len(outcome.rows)) for outcome in by_target)
    n = len(X)
    group = np.arange(n) if groups is None else _group_numbers(column_named(X, groups, "groups"), n)
    by_target, segments = [_sorted_by_prediction(target) for target in by_target], _segments(by, X)
    parts = {
        (target.name, segment): Outcome(
            target.name, target.is_value, *(values[members[target.rows]] for values in target[2:])
        )
        for target in by_target
        for segment, members in segments.items()
        if members[target.rows].any()
    }
    samples: dict[tuple[str, str], list[dict[str, float]]] = {key: [] for key in parts}
    random, n_groups = check_random_state(random_state), int(group.max()) + 1
    has_interval = {key: _has_enough_groups(part, group) for key, part in parts.items()}
    for _ in range(n_bootstrap):
        times = np.bincount(random.randint(n_groups, size=n_groups), minlength=n_groups)[group]
        for key, part in parts.items():
            if has_interval[key]:
                samples[key].append(_metrics(part, part.weights * times[part.rows]))
    rows = {key: _table_row(part, samples[key]) for key, part in parts.items()}
    table = pd.DataFrame.from_dict(rows, orient="index")
    return table.set_axis(pd.MultiIndex.from_tuples(list(rows), names=["target", "segment"]))


def _has_enough_groups(part: Outcome, group: np.ndarray) -> bool:
    """Whether there are enough groups of rows, with and without an event; a value needs groups in which it is not 0."""
    happened = part.observed != 0
    kinds = [happened] if part.is_value else [happened, ~happened]
    return min(len(np.unique(group[part.rows[rows]])) for rows in kinds) >= FEWEST_GROUPS


def _table_row(part: Outcome, samples: list[dict[str, float]]) -> dict[str, float]:
    """A row of the table; a metric that is not defined in half of the samples has no interval."""
    row = {
        "n": float(len(part.rows)),
        "positives": float(np.count_nonzero(part.observed > 0)),
        "observed": float(np.average(part.observed, weights=part.weights)),
    }
    for name, value in _metrics(part, part.weights).items():
        sampled = np.array([sample[name] for sample in samples])
        sampled = sampled[np.isfinite(sampled)]
        is_defined = len(sampled) > len(samples) / 2
        low, high = np.quantile(sampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]) if is_defined else (np.nan, np.nan)
        row |= {name: value, f"{name}_low": float(low), f"{name}_high": float(high)}
    return row


def _metrics(part: Outcome, weights: np.ndarray) -> dict[str, float]:
    """Ranking, error and level; NaN where they are not defined."""
    used = weights > 0
    y, p, w = part.observed[used], part.predicted[used], weights[used]
    if not len(y):
        return dict.fromkeys(("ranking", "error", "level"), np.nan)
    mean = np.average(y, weights=w)
    level = float(np.average(p, weights=w) / mean) if mean else np.nan
    if part.is_value:
        error = float(np.sqrt(np.average((y - p) ** 2, weights=w)))
        return {"ranking": _concordance(y, p, w), "error": error, "level": level}
    return {"ranking": _auc(y, p, w), "error": float(np.average(log_losses(y, p), weights=w)), "level": level}


def _sorted_by_prediction(target: Outcome) -> Outcome:
    """Sort the rows by prediction, once for all samples, and simplify the weights.

    Equal weights become 1, and integers are divided by their greatest common divisor, since :func:`_concordance`
    repeats rows by their weights.
    """
    order = np.argsort(target.predicted, kind="stable")
    if np.array_equal(integers := target.weights.astype(int), target.weights):
        target = target._replace(weights=target.weights / max(np.gcd.reduce(integers), 1))
    elif np.ptp(target.weights) == 0:
        target = target._replace(weights=np.ones(len(target.rows)))
    return Outcome(target.name, target.is_value, *(values[order] for values in target[2:]))


def _auc(y: np.ndarray, p: np.ndarray, weights: np.ndarray) -> float:
    """AUC of sorted predictions `p`; NaN if there is one class."""
    first = np.flatnonzero(np.diff(p, prepend=-1.0) > 0)  # the first row of each distinct prediction
    yes, no = np.add.reduceat(weights * y, first), np.add.reduceat(weights * (1 - y), first)
    pairs = yes.sum() * no.sum()
    return float(yes @ (np.cumsum(no) - no / 2) / pairs) if pairs else np.nan


def _concordance(y: np.ndarray, p: np.ndarray, weights: np.ndarray) -> float:
    """Concordance of rows that are repeated by their weights; NaN if these are no integers or the rows too many."""
    if len(np.unique(y)) < 2:
        return np.nan
    times = weights.astype(int)
    if not np.array_equal(times, weights) or times.sum() > MOST_ROWS:
        return np.nan
    return concordance(np.repeat(y, times), np.repeat(p, times))


def _segments(by: Any, X: Any) -> dict[str, np.ndarray]:
    """For each segment a mask of its rows, ``(n,)`` bool; the first segment has all rows."""
    n = len(X)
    segments = {ALL: np.ones(n, dtype=bool)}
    for cut, column in cuts_of(by, X).items():
        names = segments_by_name(column)
        check_consistent_length(names, np.empty(n))
        for name in sizes_of(names).index:
            segment = f"{cut} = {name}" if cut else str(name)
            if segment in segments:
                raise ValueError(f"The table would have two segments named {segment!r}. Rename the one in `by`.")
            segments[segment] = (names == name).to_numpy()
    return segments


def _group_numbers(groups: Any, n: int) -> np.ndarray:
    numbers = groups_of(groups)
    check_consistent_length(numbers, np.empty(n))
    return numbers
