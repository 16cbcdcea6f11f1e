"""What two objectives reach as the weights of a ranking move."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_consistent_length

from sklearn_fsmd.compose import ask, fitted_model
from sklearn_fsmd.encoding import as_pandas, rows_of, warn_of_order
from sklearn_fsmd.metrics import as_column, column_named, ndcg_at_k, task_aucs, to_judge
from sklearn_fsmd.plotting._axes import axes_of, keep_apart, label_of, legend_below
from sklearn_fsmd.ranking import EFFICIENT, efficient, is_weight, listed, pareto_front

Utility = Callable[[Any, np.ndarray], float]
WIDTH = 40
"""So many letters stand side by side above the legend."""


class ParetoDisplay:
    """Two objectives against each other, a point for each choice of the exponents of `rank_score`.

    The line joins the efficient points: who wants more of one objective than there must give up some of the other. All
    points below it are worse choices. If the line is short, the objectives agree, and there is little to choose.

    Parameters
    ----------
    points : DataFrame, as :func:`~sklearn_fsmd.ranking.pareto_front` gives it.
    objectives : sequence of two str, the columns of `points` to draw.
    factors : sequence of str, default=()
        Whose weights these are, for the legend.
    current : tuple of two floats and a str, default=None
        What the exponents in use reach, and their name.

    Attributes
    ----------
    ax_, figure_ : the axes and the figure, after `plot`.

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
        """From what :func:`~sklearn_fsmd.ranking.pareto_front` has returned.

        Parameters
        ----------
        points : DataFrame
        objectives : sequence of two str, default=None
            Which objectives are drawn; None takes the first two.
        **kw : passed to `plot`.

        Returns
        -------
        display : ParetoDisplay
        """
        known = [name for name in points.columns if name != EFFICIENT and not is_weight(name)]
        chosen = known[:2] if objectives is None else list(objectives)
        if len(chosen) != 2 or not set(chosen) <= set(known):
            raise ValueError(f"`objectives` must name two of {known}. Got {objectives!r}.")
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
        """From a fitted estimator, or a Pipeline of one, and rows that it was not trained on.

        Parameters
        ----------
        estimator : MultiTaskClassifier, or a Pipeline or search that ends in one.
        X, Y : as its `score` takes them. Rows with a missing label among the first two are left out.
        utilities : dict of two names to callables, default=None
            The objectives, see :func:`~sklearn_fsmd.ranking.pareto_front`. None takes the first two binary targets:
            with `groups` the NDCG of each, else its AUC.
        groups : str, or array-like of shape (n,), default=None
            The user of each row, whose list is ranked, or the column of X that says it.
        k : int, default=10
            How many positions of each list the NDCG looks at.
        weights : array-like or dict of names, default=None
            Exponents whose point is marked, for instance those in use.
        n_steps : int, default=None
            As in :func:`~sklearn_fsmd.ranking.pareto_front`.
        **kw : passed to `plot`.

        Returns
        -------
        display : ParetoDisplay
        """
        if utilities is None:
            warn_of_order(X, Y)
            X, Y, utilities = _of_targets(estimator, X, as_pandas(Y), groups, k)
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
        """Draw all points and the front, with the weights of some of its points.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : ParetoDisplay
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
        marks = front[[x, y]].to_numpy(dtype=float)
        marks = marks if self.current is None else np.vstack((marks, self.current[:2]))
        keep_apart([self._label(front.iloc[i], x, y) for i in _spread(len(front))], self.ax_, marks)
        return self

    def _title(self) -> str | None:
        """Whose weights they are; long names stand below each other."""
        if not self.factors:
            return None
        names = [label_of(name) for name in self.factors]
        return "weights " + (" : " if sum(map(len, names)) <= WIDTH else " :\n").join(names)

    def _label(self, point: pd.Series, x: str, y: str) -> Any:
        weights = [float(point[name]) for name in self.points.columns if is_weight(name)]
        return self.ax_.text(
            point[x], point[y], "  " + " : ".join(f"{weight:.2g}" for weight in weights), fontsize="small"
        )


def _spread(n: int, most: int = 5) -> list[int]:
    """At most so many of n numbers, evenly spaced, the first and the last among them."""
    return sorted({round(i) for i in np.linspace(0, n - 1, min(n, most))})


def _of_targets(estimator: Any, X: Any, Y: Any, groups: Any, k: int) -> tuple[Any, np.ndarray, dict[str, Utility]]:
    """The rows whose first two binary targets were observed, these, and what each makes of a ranking."""
    names = fitted_model(estimator).task_names_[:2]
    if len(names) < 2:
        raise ValueError(f"There is one binary target, {names[0]!r}. Name two objectives in `utilities`.")
    groups = column_named(X, groups, "groups")
    check_consistent_length(X, Y, groups)
    _, labels, weights = to_judge(fitted_model(estimator), Y, targets=names)
    rows = np.flatnonzero((weights[:, :2] > 0).all(axis=1))
    X, labels = rows_of(X, rows), labels[rows]
    for name, column in zip(names, labels.T, strict=False):
        if len(np.unique(column)) < 2:
            raise ValueError(f"The target {name!r} has fewer than two classes in the rows where both are observed.")
    if groups is None:
        return X, labels, {f"{name}: AUC": _auc_of(i) for i, name in enumerate(names)}
    users = as_column(groups)[rows]
    return X, labels, {f"{name}: NDCG@{k}": _ndcg_of(i, users, k) for i, name in enumerate(names)}


def _auc_of(i: int) -> Utility:
    return lambda labels, score: float(task_aucs(labels[:, [i]], score[:, None], None)[0])


def _ndcg_of(i: int, users: np.ndarray, k: int) -> Utility:
    return lambda labels, score: ndcg_at_k(labels[:, i], score, users, k=k)
