"""Permutation importances of columns, for each target."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from sklearn.inspection import permutation_importance
from sklearn.utils import Bunch, check_random_state
from sklearn.utils.validation import check_consistent_length

from sklearn_fsmd.compose import fitted_model, split_pipeline
from sklearn_fsmd.encoding.table import as_pandas, rows_of
from sklearn_fsmd.encoding.warnings import warn_of_orders
from sklearn_fsmd.metrics import (
    concordance,
    get_scorer,
    keep_nan,
    named_observations,
    predictions,
    refuse_unobserved,
    task_aucs,
)
from sklearn_fsmd.parameters import warn

FEW_EVENTS = 10
"""With fewer labels of one class an AUC has a standard error of about 0.09 or more. `calibrate` warns below it too."""


def feature_importances(
    model: Any,
    X: Any,
    Y: Any,
    *,
    column_groups: Mapping[str, Sequence[str | int]] | None = None,
    scoring: str | Callable[..., Any] | Mapping[str, Any] | Sequence[str] | None = None,
    sample_weight: Any = None,
    conditional: bool = False,
    n_repeats: int = 5,
    max_samples: int | float = 1.0,
    random_state: Any = None,
    n_jobs: int | None = None,
) -> Bunch:
    """Compute permutation importances of the columns, for each target.

    The values of a column are shuffled among the rows, and the drop of each score is the importance of the column. Use
    rows that the model was not trained on. This function calls
    :func:`~sklearn.inspection.permutation_importance` of scikit-learn with row numbers as data. So it permutes columns
    of any kind, such as lists and vectors, and groups of columns, and scores all targets by one prediction.

    If two columns contain the same information, each replaces the other, and both look unimportant: put them in one
    group.

    Parameters
    ----------
    model : fitted MultiTaskClassifier, or a Pipeline or search that ends in one
        For a Pipeline, the columns are those of its first step.
    X : DataFrame or array-like of shape (n_samples, n_features)
    Y : array-like of shape (n_samples,) or (n_samples, n_tasks + n_values)
        NaN means not observed.
    column_groups : dict of name to columns, default=None
        Columns, by name or position, that are permuted together. Each of the other columns is permuted alone.
    scoring : str, callable, sequence of str, or dict of name to scorer, default=None
        Scores whose drop is measured: scorers, or names for :func:`~sklearn_fsmd.metrics.get_scorer`. A single scorer
        gets the name "score". None means the AUC of each binary target and the concordance of each target with values,
        under the names of the targets.
    sample_weight : array-like of shape (n_samples,) or (n_samples, n_tasks + n_values), default=None
        Weights for AUCs. Concordances and `scoring` do not support weights.
    conditional : bool, default=False
        Whether to evaluate a step, or a value that follows one, only on rows in which the step before it has happened.
        This shows what determines conversions on clicked rows, or the revenue of a purchase. By default a value counts
        as 0 if its step has not happened, so its importances are mainly those of the step. Not with `scoring`.
    n_repeats : int, default=5
        Number of permutations of each column.
    max_samples : int or float, default=1.0
        Number or share of rows that are drawn once and scored, with and without each permutation; fewer are faster.
    random_state : int, RandomState instance or None, default=None
    n_jobs : int or None, default=None
        Number of joblib processes, which share the columns.

    Returns
    -------
    importances : Bunch
        ``frame``, a DataFrame with a row per column or group and, for each score, the ``mean`` and ``std`` of the
        importance over the repeats; ``importances`` (n_columns, n_scores, n_repeats); ``feature_names``;
        ``score_names``; and ``scores`` (n_scores,) of the rows without permutation.

    Raises
    ------
    TypeError
        If the model is no classifier of this package.
    ValueError
        If a group names a column that does not exist or is in another group, or if a score is not defined, such as the
        AUC of labels of one class.

    Warns
    -----
    UserWarning
        If an AUC rests on fewer than ten labels of one class: its standard error is then about 0.09 or more, and the
        repeats, which all use these labels, do not show it.

    Examples
    --------
    >>> from sklearn_fsmd import FSMDClassifier
    >>> from sklearn_fsmd.datasets import make_funnel
    >>> from sklearn_fsmd.inspection import feature_importances
    >>> X, Y = make_funnel(600, random_state=0, return_X_y=True)
    >>> model = FSMDClassifier(max_epochs=2, random_state=0).fit(X[:400], Y[:400])
    >>> user = {"user": ["user_id", "segment"]}
    >>> result = feature_importances(model, X[400:], Y[400:], column_groups=user, random_state=0)
    >>> result.frame.shape, result.feature_names[0]
    ((8, 4), 'user')
    """
    last = fitted_model(model)
    warn_of_orders(X=X, Y=Y, sample_weight=sample_weight)
    X_original, X, Y = X, as_pandas(X), as_pandas(Y)
    if not isinstance(X, pd.DataFrame):
        X_original = X = _array(X)
    check_consistent_length(X, Y)
    columns = _positions_by_group(X, column_groups)
    if scoring is not None and conditional:
        raise ValueError("`conditional` and `scoring` do not go together: a scorer itself defines what it evaluates.")
    score: _Scorers | _DefaultScores
    if scoring is not None:
        score = _scorers_of(scoring, Y, sample_weight)
    else:
        score = _default_scores(last, Y, sample_weight, conditional)
    random = check_random_state(random_state)
    drawn = _draw_rows(len(X), max_samples, random)
    if isinstance(score, _DefaultScores):
        score.warn_of_few_events(drawn)
    rows = np.repeat(drawn[:, None], len(columns), axis=1)
    # Steps before the model get a table of the original type, such as polars.
    scorer = _PermutedScorer(X_original if split_pipeline(model)[0] else X, list(columns.values()), score)
    by_score = permutation_importance(
        model, rows, drawn, scoring=scorer, n_repeats=n_repeats, n_jobs=n_jobs, random_state=random
    )
    names, importances = list(by_score), np.stack([result.importances for result in by_score.values()], axis=1)
    means, deviations = importances.mean(axis=2), importances.std(axis=2)
    frames = [pd.DataFrame(values, index=list(columns), columns=names) for values in (means, deviations)]
    frame = pd.concat(dict(zip(("mean", "std"), frames, strict=True)), axis=1).swaplevel(axis=1)
    frame = frame[[(name, statistic) for name in names for statistic in ("mean", "std")]]
    return Bunch(
        frame=frame,
        importances=importances,
        feature_names=list(columns),
        score_names=names,
        scores=np.array(list(scorer(model, rows, drawn).values())),
    )


def _draw_rows(n: int, max_samples: float, random: np.random.RandomState) -> np.ndarray:
    """Draw the rows that are scored both before and after a column is permuted.

    scikit-learn would score all rows before the permutation and some of them after it, so the chance of the draw would
    add to the importance of each column.
    """
    size = max_samples if isinstance(max_samples, Integral) else int(max_samples * n)
    if not 1 <= size <= n or isinstance(max_samples, bool):
        raise ValueError(f"`max_samples` must be a number of the {n} rows, or a share of them. Got {max_samples!r}.")
    return np.arange(n) if size == n else np.sort(random.choice(n, size, replace=False))


class _PermutedScorer:
    """A scorer for scikit-learn whose X holds row numbers: the row from which a group of columns takes its values."""

    def __init__(self, X: Any, groups: Sequence[Sequence[int]], score: Any) -> None:
        self.X, self.groups, self.score = X, groups, score

    def __call__(self, model: Any, rows: np.ndarray, y: np.ndarray) -> dict[str, float]:
        X = rows_of(self.X, y)
        for g, positions in enumerate(self.groups):
            if not np.array_equal(rows[:, g], y):
                X = _with_columns(X, positions, self.X, rows[:, g])
        return self.score(model, X, y)


def _with_columns(X: Any, positions: Sequence[int], other: Any, rows: np.ndarray) -> Any:
    """Replace some columns of a table by those of these rows of another table of the same type."""
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


class _DefaultScores:
    """The AUC of each binary target, and the concordance of each target with values."""

    def __init__(
        self, names: list[str], observed: np.ndarray, weights: np.ndarray, n_binary: int, conditional: bool
    ) -> None:
        self.names, self.observed, self.weights, self.n_binary = names, observed, weights, n_binary
        self.conditional = conditional

    def warn_of_few_events(self, rows: np.ndarray) -> None:
        """Warn of AUCs that rest on few of these rows."""
        for k, name in enumerate(self.names[: self.n_binary]):
            labels = self.observed[rows, k][self.weights[rows, k] > 0]
            n_rarer = int(min((labels == 1).sum(), (labels == 0).sum()))
            if 0 < n_rarer < FEW_EVENTS:
                warn(
                    f"The importances for {name!r} rest on {n_rarer} of {len(labels)} rows, those of the rarer class. "
                    "Their order is mostly chance; their `std` shows the chance of the permutations alone."
                )

    def __call__(self, model: Any, X: Any, y: np.ndarray) -> dict[str, float]:
        P, k = predictions(model, X, conditional=self.conditional), self.n_binary
        observed, weights = self.observed[y], self.weights[y]
        scores = task_aucs(observed[:, :k], P[:, :k], weights[:, :k]).tolist()
        for v in range(k, P.shape[1]):
            scores.append(concordance(np.where(weights[:, v] > 0, observed[:, v], np.nan), P[:, v]))
        _refuse_undefined(dict(zip(self.names, scores, strict=True)))
        return dict(zip(self.names, scores, strict=True))


class _Scorers:
    """The scores of several scorers, by name."""

    def __init__(self, scorers: Mapping[str, Any], Y: Any) -> None:
        self.scorers, self.Y = scorers, Y

    def __call__(self, model: Any, X: Any, y: np.ndarray) -> dict[str, float]:
        Y = self.Y.iloc[y] if hasattr(self.Y, "iloc") else np.asarray(keep_nan(self.Y))[y]
        scores = {name: float(scorer(model, X, Y)) for name, scorer in self.scorers.items()}
        _refuse_undefined(scores)
        return scores


def _default_scores(model: Any, Y: Any, sample_weight: Any, conditional: bool) -> _DefaultScores:
    if sample_weight is not None and model.value_names_:
        raise ValueError(
            f"The concordance of {model.value_names_[-1]!r} does not support weights. Leave `sample_weight` out, or "
            "the model's `value_targets`."
        )
    names, observed, weights = named_observations(model, Y, sample_weight, conditional=conditional)
    refuse_unobserved(zip(names, (weights > 0).sum(axis=0), strict=True))
    return _DefaultScores(names, observed, weights, len(model.task_names_), conditional)


def _scorers_of(
    scoring: str | Callable[..., Any] | Mapping[str, Any] | Sequence[str], Y: Any, sample_weight: Any
) -> _Scorers:
    if sample_weight is not None:
        raise ValueError("`sample_weight` is for the default scores, and `scoring` names others. Leave one out.")
    if callable(scoring):
        scoring = {"score": scoring}
    if isinstance(scoring, str):
        scoring = [scoring]
    by_name = scoring if isinstance(scoring, Mapping) else {name: name for name in scoring}
    if not by_name:
        raise ValueError("`scoring` names no score.")
    scorers = {name: get_scorer(scorer) if isinstance(scorer, str) else scorer for name, scorer in by_name.items()}
    return _Scorers(scorers, Y)


def _refuse_undefined(scores: Mapping[str, float]) -> None:
    for name, score in scores.items():
        if not np.isfinite(score):
            raise ValueError(
                f"The score of {name!r} is not defined on these rows (one class, or all values equal), so its drop is "
                "not defined either. Take more rows, or name other scores in `scoring`."
            )


def _positions_by_group(X: Any, groups: Mapping[str, Sequence[str | int]] | None) -> dict[str, list[int]]:
    """Positions of the columns of each group; each column that is in no group is a group of its own."""
    labels = list(X.columns) if isinstance(X, pd.DataFrame) else [f"x{j}" for j in range(X.shape[1])]
    names = [str(label) for label in labels]
    grouped: dict[str, list[int]] = {}
    group_of: dict[int, str] = {}
    if groups is not None and not isinstance(groups, Mapping):
        raise ValueError(f"`column_groups` must be a dict of names to lists of columns. Got {groups!r}.")
    for group, columns in (groups or {}).items():
        if isinstance(columns, (str, int)) or not len(columns):
            raise ValueError(f"The group {group!r} in `column_groups` must be a list of columns. Got {columns!r}.")
        grouped[str(group)] = [_position(column, labels, group) for column in columns]
        for position in grouped[str(group)]:
            if position in group_of:
                raise ValueError(f"Column {names[position]!r} is in two groups, {group_of[position]!r} and {group!r}.")
            group_of[position] = str(group)
    alone = {name: [position] for position, name in enumerate(names) if position not in group_of}
    if twice := set(alone) & set(grouped):
        raise ValueError(f"The group {min(twice)!r} has the name of a column that is not in it. Give it another.")
    return {**grouped, **alone}


def _position(column: Any, labels: list[Any], group: str) -> int:
    """Position of a column by its name, its name as text, or its position; a name takes precedence."""
    if not isinstance(column, bool):
        for names in (labels, [str(label) for label in labels]):
            if column in names:
                return names.index(column)
        if isinstance(column, (int, np.integer)) and 0 <= column < len(labels):
            return int(column)
    raise ValueError(f"The group {group!r} has the column {column!r}, which X does not have. It has {labels}.")


def _array(X: Any) -> np.ndarray:
    """Convert X to a 2-D array; the dtype is object if it holds strings, so that other values are not converted."""
    array = np.asarray(X)
    array = np.array(X, dtype=object) if array.dtype.kind in "US" else array
    if array.ndim != 2:
        raise ValueError(f"Expected 2D array, got {array.ndim}D array instead. X has the shape {array.shape}.")
    return array
