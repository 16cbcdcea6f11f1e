"""ParetoDisplay: the trade-off between two objectives for different weights of a ranking."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_consistent_length

from sklearn_fsmd.compose import ask, fitted_model
from sklearn_fsmd.encoding.columns import evenly_spaced
from sklearn_fsmd.encoding.table import as_pandas, rows_of
from sklearn_fsmd.encoding.warnings import warn_of_order
from sklearn_fsmd.metrics import as_column, column_named, named_observations, ndcg_at_k, task_aucs
from sklearn_fsmd.plotting._axes import axes_of, keep_apart, label_of, legend_below
from sklearn_fsmd.ranking import EFFICIENT, efficient, is_weight, listed, pareto_front

Utility = Callable[[Any, np.ndarray], float]
MAX_TITLE_LETTERS = 40
"""In a title of the legend with more letters, each name has its own line."""
N_LABELS = 5
"""Most points of the front that get a label."""


class ParetoDisplay:
    """Plot of two objectives against each other, with a point for each choice of the exponents of `rank_score`.

    The line connects the efficient points: from such a point, you can improve one objective only at the expense of the
    other. All points below the line are worse choices. If the line is short, the objectives agree, and the choice
    matters little.

    Parameters
    ----------
    points : DataFrame
        Result of :func:`~sklearn_fsmd.ranking.pareto_front`.
    objectives : sequence of two str
        Columns of `points` to draw.
    factors : sequence of str, default=()
        Names of the targets that the weights belong to, for the title of the legend.
    current : tuple of (float, float, str), default=None
        Values of the two objectives for the exponents in use, and a label for this point.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes of the plot; set by `plot`.
    figure_ : matplotlib Figure
        Figure that contains the axes; set by `plot`.

    Examples
    --------
    >>> from sklearn_fsmd import FSMDClassifier
    >>> from sklearn_fsmd.datasets import make_funnel
    >>> from sklearn_fsmd.plotting import ParetoDisplay
    >>> X, Y = make_funnel(500, random_state=0, return_X_y=True)
    >>> model = FSMDClassifier(max_epochs=1, random_state=0).fit(X[:400], Y[:400])
    >>> display = ParetoDisplay.from_estimator(model, X[400:], Y[400:], n_steps=4)
    >>> display.objectives
    ['click: AUC', 'conversion: AUC']
    """

    def __init__(
        self,
        points: pd.DataFrame,
        *,
        objectives: Sequence[str],
        factors: Sequence[str] = (),
        current: tuple[float, float, str] | None = None,
    ) -> None:
        self.points = points
        self.objectives = list(objectives)
        self.factors = list(factors)
        self.current = current

    @classmethod
    def from_points(cls, points: pd.DataFrame, *, objectives: Sequence[str] | None = None, **kw: Any) -> ParetoDisplay:
        """Create and draw the display from a result of :func:`~sklearn_fsmd.ranking.pareto_front`.

        Parameters
        ----------
        points : DataFrame
            Result of :func:`~sklearn_fsmd.ranking.pareto_front`.
        objectives : sequence of two str, default=None
            Objectives to draw; None means the first two.
        **kw : dict
            Arguments of `plot`.

        Returns
        -------
        display : ParetoDisplay
            Display that has been drawn.

        Raises
        ------
        ValueError
            If `objectives` does not name two objectives of `points`.
        """
        available = [name for name in points.columns if name != EFFICIENT and not is_weight(name)]
        chosen = available[:2] if objectives is None else list(objectives)
        if len(chosen) != 2 or not set(chosen) <= set(available):
            raise ValueError(f"`objectives` must name two of {available}. Got {objectives!r}.")
        return cls(points, objectives=chosen).plot(**kw)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        Y: Any,
        *,
        utilities: Mapping[str, Utility] | None = None,
        groups: Any = None,
        k: int = 10,
        weights: Sequence[float] | Mapping[str, float] | np.ndarray | None = None,
        n_steps: int | None = None,
        **kw: Any,
    ) -> ParetoDisplay:
        """Evaluate rankings of a model with different exponents, and draw the objectives.

        Parameters
        ----------
        estimator : MultiTaskClassifier, or a Pipeline or search that ends in one
            Fitted model.
        X, Y : table and targets of n rows
            Test data, on which the model was not trained, in the form that `score` of the model takes. If `utilities`
            is None, rows in which one of the first two labels is missing are left out.
        utilities : dict of two str to callables, default=None
            Objectives, see :func:`~sklearn_fsmd.ranking.pareto_front`. None means one objective for each of the first
            two binary targets: NDCG if there are `groups`, AUC otherwise.
        groups : str, or array-like of shape (n,), default=None
            The user of each row, or the column of X that holds it. The rows of each user are ranked as one list.
        k : int, default=10
            Number of positions of each list that the NDCG takes into account.
        weights : array-like of shape (n_tasks,) or (n_tasks + n_values,), or dict of names, default=None
            Exponents whose point is marked, for instance those in use.
        n_steps : int, default=None
            Number of steps from 0 to 1 of each exponent, see :func:`~sklearn_fsmd.ranking.pareto_front`.
        **kw : dict
            Arguments of `plot`.

        Returns
        -------
        display : ParetoDisplay
            Display that has been drawn.

        Raises
        ------
        ValueError
            If there are fewer than two binary targets and no `utilities`, if `utilities` does not have two entries or
            is combined with `groups`, or if a target has fewer than two classes.
        """
        if utilities is None:
            warn_of_order(X, Y)
            X, Y, utilities = _utilities_of_targets(estimator, X, as_pandas(Y), groups, k)
        elif len(utilities) != 2 or groups is not None:
            raise ValueError(
                f"`utilities` must name two objectives, and look up groups themselves. Got {list(utilities)} and "
                f"{'no ' if groups is None else ''}`groups`."
            )
        points = pareto_front(estimator, X, Y, utilities, n_steps=n_steps)
        current, model = None, fitted_model(estimator)
        weights = listed(weights, model)
        if weights is not None:
            score = ask(estimator, "rank_score", X, weights)
            x, y = (float(utility(Y, score)) for utility in utilities.values())
            current = (x, y, " : ".join(f"{weight:.3g}" for weight in weights))
        factors = [*model.task_names_, *model.value_names_]
        return cls(points, objectives=list(utilities), factors=factors, current=current).plot(**kw)

    def plot(self, ax: Any = None) -> ParetoDisplay:
        """Draw all points and the front, and label some of its points with their weights.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None creates a figure.

        Returns
        -------
        display : ParetoDisplay
            The display itself.
        """
        self.ax_, self.figure_ = axes_of(self, ax)
        x, y = self.objectives
        both = self.points[[x, y]].to_numpy(dtype=float)
        front = self.points[efficient(both)].sort_values([x, y])
        self.ax_.plot(both[:, 0], both[:, 1], "o", color="0.75", markersize=4, label="other weights", zorder=1)
        self.ax_.plot(front[x], front[y], "o-", markersize=5, label="efficient", zorder=2)
        if self.current is not None:
            label = f"in use, {self.current[2]}"
            self.ax_.plot(*self.current[:2], "D", color="C3", markersize=8, label=label, zorder=3)
        self.ax_.margins(0.2)
        self.ax_.set(xlabel=label_of(x), ylabel=label_of(y))
        legend_below(self.ax_, self._title())
        markers = front[[x, y]].to_numpy(dtype=float)
        markers = markers if self.current is None else np.vstack((markers, self.current[:2]))
        keep_apart([self._label(front.iloc[i], x, y) for i in evenly_spaced(len(front), N_LABELS)], self.ax_, markers)
        return self

    def _title(self) -> str | None:
        """The names of the targets of the weights, one per line if they are long."""
        if not self.factors:
            return None
        names = [label_of(name) for name in self.factors]
        return "weights " + (" : " if sum(map(len, names)) <= MAX_TITLE_LETTERS else " :\n").join(names)

    def _label(self, point: pd.Series, x: str, y: str) -> Any:
        weights = [float(point[name]) for name in self.points.columns if is_weight(name)]
        return self.ax_.text(
            point[x], point[y], "  " + " : ".join(f"{weight:.2g}" for weight in weights), fontsize="small"
        )


def _utilities_of_targets(
    estimator: Any, X: Any, Y: Any, groups: Any, k: int
) -> tuple[Any, np.ndarray, dict[str, Utility]]:
    """The rows in which the first two binary targets are observed, their labels, and a utility for each target."""
    names = fitted_model(estimator).task_names_[:2]
    if len(names) < 2:
        raise ValueError(f"There is one binary target, {names[0]!r}. Name two objectives in `utilities`.")
    groups = column_named(X, groups, "groups")
    check_consistent_length(X, Y, groups)
    _, labels, weights = named_observations(fitted_model(estimator), Y, targets=names)
    rows = np.flatnonzero((weights[:, :2] > 0).all(axis=1))
    X, labels = rows_of(X, rows), labels[rows]
    for name, column in zip(names, labels.T, strict=False):
        if len(np.unique(column)) < 2:
            raise ValueError(f"The target {name!r} has fewer than two classes in the rows where both are observed.")
    if groups is None:
        return X, labels, {f"{name}: AUC": _auc_utility(i) for i, name in enumerate(names)}
    users = as_column(groups)[rows]
    return X, labels, {f"{name}: NDCG@{k}": _ndcg_utility(i, users, k) for i, name in enumerate(names)}


def _auc_utility(i: int) -> Utility:
    return lambda labels, score: float(task_aucs(labels[:, [i]], score[:, None], None)[0])


def _ndcg_utility(i: int, users: np.ndarray, k: int) -> Utility:
    return lambda labels, score: ndcg_at_k(labels[:, i], score, users, k=k)
