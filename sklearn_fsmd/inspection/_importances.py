"""How much worse each target is predicted if a column tells nothing of its row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from sklearn.inspection import permutation_importance
from sklearn.utils import Bunch, check_random_state
from sklearn.utils.validation import check_consistent_length

from sklearn_fsmd.compose import fitted_model, taken_apart
from sklearn_fsmd.encoding import as_pandas, rows_of, warn_of_orders
from sklearn_fsmd.metrics import (
    concordance,
    get_scorer,
    keep_nan,
    predictions,
    refuse_unobserved,
    task_aucs,
    to_judge,
)


def feature_importances(
    model: Any,
    X: Any,
    Y: Any,
    *,
    groups: Mapping[str, Sequence[str | int]] | None = None,
    scoring: str | Callable[..., Any] | Mapping[str, Any] | Sequence[str] | None = None,
    sample_weight: Any = None,
    conditional: bool = False,
    n_repeats: int = 5,
    max_samples: int | float = 1.0,
    random_state: Any = None,
    n_jobs: int | None = None,
) -> Bunch:
    """Permutation importances of the columns, for each target.

    The values of a column are shuffled among the rows, and the drop in each score is its importance. The rows should
    be such as the model was not trained on. It is scikit-learn's
    :func:`~sklearn.inspection.permutation_importance`, which permutes row numbers here: so columns of any kind, lists
    and vectors included, and groups of columns are permuted alike, and all targets are scored by one prediction.

    Two columns that tell the same stand in for each other, and both look unimportant: put them in one group.

    Parameters
    ----------
    model : fitted MultiTaskClassifier, or a Pipeline or search that ends in one
        Of a Pipeline the columns are those that its first step reads.
    X : DataFrame or array-like of shape (n_samples, n_features)
    Y : array-like of shape (n_samples,) or (n_samples, n_tasks + n_values)
        NaN was not observed.
    groups : dict of name to columns, default=None
        Columns, by name or position, that are permuted together. All others stand alone.
    scoring : str, callable, sequence of str, or dict of name to scorer, default=None
        What falls: scorers, or their names for :func:`~sklearn_fsmd.metrics.get_scorer`; a scorer alone is called
        "score". None takes the AUC of each binary target and the concordance of each with values, by the targets'
        names.
    sample_weight : array-like of shape (n_samples,) or (n_samples, n_tasks + n_values), default=None
        Weights of AUCs. There is no concordance, and no `scoring`, with weights.
    conditional : bool, default=False
        Whether a step, and a value that follows one, is judged where the step before it has happened: what decides
        about conversions of clicked rows, or how much a purchase brings. Without it a value counts as 0 where its step
        has not happened, so what decides about the step comes first. Not with `scoring`.
    n_repeats : int, default=5
        How often each column is permuted.
    max_samples : int or float, default=1.0
        How many rows, or what share of them, are drawn once and scored, with and without each permutation; fewer are
        faster.
    random_state : int, RandomState instance or None, default=None
    n_jobs : int or None, default=None
        Processes of joblib, over the columns.

    Returns
    -------
    importances : Bunch
        ``frame``, a DataFrame with a row per column or group and for each score its ``mean`` and ``std`` over the
        repeats; ``importances`` (n_columns, n_scores, n_repeats); ``feature_names``; ``score_names``; ``scores``
        (n_scores,) of the rows as they are.

    Raises
    ------
    TypeError
        If the model is none of this library's classifiers.
    ValueError
        If a group names a column that does not exist or is in another group, or a score is not defined, as the AUC of
        labels of one class.

    Examples
    --------
    >>> from sklearn_fsmd import FSMDClassifier
    >>> from sklearn_fsmd.datasets import make_funnel
    >>> from sklearn_fsmd.inspection import feature_importances
    >>> X, Y = make_funnel(600, random_state=0, return_X_y=True)
    >>> model = FSMDClassifier(max_epochs=2, random_state=0).fit(X[:400], Y[:400])
    >>> found = feature_importances(model, X[400:], Y[400:], groups={"user": ["user_id", "segment"]}, random_state=0)
    >>> found.frame.shape, found.feature_names[0]
    ((8, 4), 'user')
    """
    own = fitted_model(model)
    warn_of_orders(X=X, Y=Y, sample_weight=sample_weight)
    given, X, Y = X, as_pandas(X), as_pandas(Y)
    if not isinstance(X, pd.DataFrame):
        given = X = _array(X)
    check_consistent_length(X, Y)
    columns = _grouped(X, groups)
    if scoring is not None and conditional:
        raise ValueError("`conditional` and `scoring` do not go together: a scorer says itself what it judges.")
    score = _by(scoring, Y, sample_weight) if scoring is not None else _of_targets(own, Y, sample_weight, conditional)
    random = check_random_state(random_state)
    drawn = _drawn(len(X), max_samples, random)
    rows = np.repeat(drawn[:, None], len(columns), axis=1)
    # Steps before the model are given tables of the kind that they know.
    permuted = _Permuted(given if taken_apart(model)[0] else X, list(columns.values()), score)
    found = permutation_importance(
        model, rows, drawn, scoring=permuted, n_repeats=n_repeats, n_jobs=n_jobs, random_state=random
    )
    names, importances = list(found), np.stack([one.importances for one in found.values()], axis=1)
    means, spreads = importances.mean(axis=2), importances.std(axis=2)
    parts = [pd.DataFrame(part, index=list(columns), columns=names) for part in (means, spreads)]
    frame = pd.concat(dict(zip(("mean", "std"), parts, strict=True)), axis=1).swaplevel(axis=1)
    frame = frame[[(name, part) for name in names for part in ("mean", "std")]]
    return Bunch(
        frame=frame,
        importances=importances,
        feature_names=list(columns),
        score_names=names,
        scores=np.array(list(permuted(model, rows, drawn).values())),
    )


def _drawn(n: int, max_samples: float, random: np.random.RandomState) -> np.ndarray:
    """Which rows are scored, before and after a column is permuted.

    scikit-learn would score all rows before, and some after: the luck of the draw would count for every column.
    """
    size = max_samples if isinstance(max_samples, Integral) else int(max_samples * n)
    if not 1 <= size <= n or isinstance(max_samples, bool):
        raise ValueError(f"`max_samples` must be a number of the {n} rows, or a share of them. Got {max_samples!r}.")
    return np.arange(n) if size == n else np.sort(random.choice(n, size, replace=False))


class _Permuted:
    """A scorer of scikit-learn's, whose X says for each group of columns which row's values a row has."""

    def __init__(self, X: Any, groups: Sequence[Sequence[int]], score: Any) -> None:
        self.X, self.groups, self.score = X, groups, score

    def __call__(self, model: Any, rows: np.ndarray, y: np.ndarray) -> dict[str, float]:
        X = rows_of(self.X, y)
        for g, positions in enumerate(self.groups):
            if not np.array_equal(rows[:, g], y):
                X = _with_columns(X, positions, self.X, rows[:, g])
        return self.score(model, X, y)


def _with_columns(X: Any, positions: Sequence[int], other: Any, rows: np.ndarray) -> Any:
    """A table with some of its columns as these rows of another of its kind have them."""
    if isinstance(X, np.ndarray):
        X = X.copy()
        X[:, positions] = other[np.ix_(rows, np.asarray(positions))]
    elif isinstance(X, pd.DataFrame):
        X = X.copy()
        for position in positions:
            X.isetitem(position, other.iloc[rows, position].set_axis(X.index))
    elif hasattr(X, "with_columns"):  # polars
        X = X.with_columns(other[:, list(positions)][rows])
    else:
        for position in positions:
            X = X.set_column(position, X.schema.field(position), other.column(position).take(rows))
    return X


class _OfTargets:
    """The AUC of each binary target, and the concordance of each with values."""

    def __init__(
        self, names: list[str], observed: np.ndarray, weights: np.ndarray, n_binary: int, conditional: bool
    ) -> None:
        self.names, self.observed, self.weights, self.n_binary = names, observed, weights, n_binary
        self.conditional = conditional

    def __call__(self, model: Any, X: Any, y: np.ndarray) -> dict[str, float]:
        P, k = predictions(model, X, conditional=self.conditional), self.n_binary
        observed, weights = self.observed[y], self.weights[y]
        scores = task_aucs(observed[:, :k], P[:, :k], weights[:, :k]).tolist()
        for v in range(k, P.shape[1]):
            scores.append(concordance(np.where(weights[:, v] > 0, observed[:, v], np.nan), P[:, v]))
        _refuse_undefined(dict(zip(self.names, scores, strict=True)))
        return dict(zip(self.names, scores, strict=True))


class _ByScorers:
    """What some scorers say."""

    def __init__(self, scorers: Mapping[str, Any], Y: Any) -> None:
        self.scorers, self.Y = scorers, Y

    def __call__(self, model: Any, X: Any, y: np.ndarray) -> dict[str, float]:
        Y = self.Y.iloc[y] if hasattr(self.Y, "iloc") else np.asarray(keep_nan(self.Y))[y]
        scores = {name: float(scorer(model, X, Y)) for name, scorer in self.scorers.items()}
        _refuse_undefined(scores)
        return scores


def _of_targets(own: Any, Y: Any, sample_weight: Any, conditional: bool) -> _OfTargets:
    if sample_weight is not None and own.value_names_:
        raise ValueError(
            f"The concordance of {own.value_names_[-1]!r} knows no weights. Leave `sample_weight` out, or the model's "
            "`value_targets`."
        )
    names, observed, weights = to_judge(own, Y, sample_weight, conditional=conditional)
    refuse_unobserved(names, weights)
    return _OfTargets(names, observed, weights, len(own.task_names_), conditional)


def _by(
    scoring: str | Callable[..., Any] | Mapping[str, Any] | Sequence[str], Y: Any, sample_weight: Any
) -> _ByScorers:
    if sample_weight is not None:
        raise ValueError("`sample_weight` is for the default scores, and `scoring` names others. Leave one out.")
    if callable(scoring):
        scoring = {"score": scoring}
    if isinstance(scoring, str):
        scoring = [scoring]
    named = scoring if isinstance(scoring, Mapping) else {name: name for name in scoring}
    if not named:
        raise ValueError("`scoring` names no score.")
    return _ByScorers({name: get_scorer(one) if isinstance(one, str) else one for name, one in named.items()}, Y)


def _refuse_undefined(scores: Mapping[str, float]) -> None:
    for name, score in scores.items():
        if not np.isfinite(score):
            raise ValueError(
                f"The score of {name!r} is not defined on these rows (one class, or all values alike), so nothing can "
                "fall. Take more rows, or name other scores in `scoring`."
            )


def _grouped(X: Any, groups: Mapping[str, Sequence[str | int]] | None) -> dict[str, list[int]]:
    """The positions of the columns of each group; columns that are in none are groups of one."""
    labels = list(X.columns) if isinstance(X, pd.DataFrame) else [f"x{j}" for j in range(X.shape[1])]
    names = [str(label) for label in labels]
    given: dict[str, list[int]] = {}
    owner: dict[int, str] = {}
    if groups is not None and not isinstance(groups, Mapping):
        raise ValueError(f"`groups` must be a dict of names to lists of columns. Got {groups!r}.")
    for group, columns in (groups or {}).items():
        if isinstance(columns, (str, int)) or not len(columns):
            raise ValueError(f"The group {group!r} in `groups` must be a list of columns. Got {columns!r}.")
        given[str(group)] = [_position(column, labels, group) for column in columns]
        for position in given[str(group)]:
            if position in owner:
                raise ValueError(f"Column {names[position]!r} is in two groups, {owner[position]!r} and {group!r}.")
            owner[position] = str(group)
    alone = {name: [position] for position, name in enumerate(names) if position not in owner}
    if twice := set(alone) & set(given):
        raise ValueError(f"The group {min(twice)!r} has the name of a column that is not in it. Give it another.")
    return {**given, **alone}


def _position(column: Any, labels: list[Any], group: str) -> int:
    """Where a column is, of which a name, its text or a position is given; what is a name and a position is a name."""
    if not isinstance(column, bool):
        for names in (labels, [str(label) for label in labels]):
            if column in names:
                return names.index(column)
        if isinstance(column, (int, np.integer)) and 0 <= column < len(labels):
            return int(column)
    raise ValueError(f"The group {group!r} has the column {column!r}, which X does not have. It has {labels}.")


def _array(X: Any) -> np.ndarray:
    """X as a 2-D array; one of strings can hold what other columns hold."""
    array = np.asarray(X)
    array = np.array(X, dtype=object) if array.dtype.kind in "US" else array
    if array.ndim != 2:
        raise ValueError(f"Expected 2D array, got {array.ndim}D array instead. X has the shape {array.shape}.")
    return array
