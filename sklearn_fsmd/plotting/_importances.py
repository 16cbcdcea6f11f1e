"""ImportancesDisplay: the importance of the columns for each score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sklearn_fsmd.inspection import feature_importances
from sklearn_fsmd.metrics import check_count
from sklearn_fsmd.plotting._axes import axes_of, label_of, legend_below

BASE_HEIGHT, ROW_HEIGHT = 1.4, 0.24
"""Height of a new figure in inches: of axis and legend, and of each column or group."""


class ImportancesDisplay:
    """Plot of the permutation importances of the most important columns, for each score.

    A point is the mean drop in score over the repeats, and its bar is one standard deviation to each side. If the bar
    reaches 0, the column has not been shown to matter. With few rows, this holds for most columns.

    Parameters
    ----------
    importances : ndarray of shape (n_columns, n_scores, n_repeats)
        Drop of each score in each repeat.
    feature_names : sequence of str
        Names of the columns, or of groups of columns.
    score_names : sequence of str
        Names of the scores.
    n_features : int, default=15
        Number of columns to draw: those with the largest importance for any score, relative to the largest importance
        for that score.

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
    >>> from sklearn_fsmd.plotting import ImportancesDisplay
    >>> X, Y = make_funnel(900, random_state=0, return_X_y=True)
    >>> model = FSMDClassifier(max_epochs=1, random_state=0).fit(X[:400], Y[:400])
    >>> display = ImportancesDisplay.from_estimator(model, X[400:], Y[400:], n_repeats=2, random_state=0, n_features=3)
    >>> display.ax_.get_ylabel()
    ''
    """

    def __init__(
        self, importances: np.ndarray, *, feature_names: Sequence[str], score_names: Sequence[str], n_features: int = 15
    ) -> None:
        self.importances = np.asarray(importances, dtype=float)
        self.feature_names = list(feature_names)
        self.score_names = list(score_names)
        self.n_features = n_features

    @classmethod
    def from_importances(cls, importances: Any, *, n_features: int = 15, **kw: Any) -> ImportancesDisplay:
        """Create and draw the display from a result of :func:`~sklearn_fsmd.inspection.feature_importances`.

        Parameters
        ----------
        importances : Bunch
            Result of :func:`~sklearn_fsmd.inspection.feature_importances`.
        n_features : int, default=15
            Number of columns to draw.
        **kw : dict
            Arguments of `plot`.

        Returns
        -------
        display : ImportancesDisplay
            Display that has been drawn.
        """
        check_count("n_features", n_features)
        names = {"feature_names": importances.feature_names, "score_names": importances.score_names}
        return cls(importances.importances, **names, n_features=n_features).plot(**kw)

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, Y: Any, *, n_features: int = 15, ax: Any = None, **options: Any
    ) -> ImportancesDisplay:
        """Compute the importances for a model, and draw them.

        Parameters
        ----------
        estimator : MultiTaskClassifier, or a Pipeline or search that ends in one
            Fitted model.
        X, Y : table and targets of n rows
            Test data, on which the model was not trained, in the form that `score` of the model takes.
        n_features : int, default=15
            Number of columns to draw.
        ax : matplotlib Axes, default=None
            Axes to draw on; None creates a figure.
        **options : dict
            Arguments of :func:`~sklearn_fsmd.inspection.feature_importances`, such as `column_groups`.

        Returns
        -------
        display : ImportancesDisplay
            Display that has been drawn.
        """
        importances = feature_importances(estimator, X, Y, **options)
        return cls.from_importances(importances, n_features=n_features, ax=ax)

    def plot(self, ax: Any = None) -> ImportancesDisplay:
        """Draw a row per column, with a point per score.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None creates a figure.

        Returns
        -------
        display : ImportancesDisplay
            The display itself.
        """
        means, spreads = self.importances.mean(axis=2), self.importances.std(axis=2)
        largest = np.maximum(np.abs(means).max(axis=0), 1e-12)
        shown = np.argsort(-(means / largest).max(axis=1), kind="stable")[: self.n_features]
        height = BASE_HEIGHT + ROW_HEIGHT * len(shown) * max(1, len(largest) / 2)
        self.ax_, self.figure_ = axes_of(self, ax, figsize=(6.4, height))
        positions, n_scores = np.arange(len(shown)), len(self.score_names)
        for k, name in enumerate(self.score_names):
            shift = 0.5 * ((k + 0.5) / n_scores - 0.5)
            self.ax_.errorbar(
                means[shown, k],
                positions + shift,
                xerr=spreads[shown, k],
                fmt="o",
                markersize=4,
                capsize=2,
                label=label_of(name),
            )
        self.ax_.axvline(0, color="0.6", linewidth=0.8, zorder=0)
        self.ax_.set_yticks(positions, [label_of(self.feature_names[j]) for j in shown])
        self.ax_.set_ylim(len(shown) - 0.5, -0.5)
        n_hidden = len(self.feature_names) - len(shown)
        self.ax_.set_xlabel("drop in score" + (f" ({n_hidden} further columns not shown)" if n_hidden else ""))
        self.ax_.grid(axis="y", color="0.93", linewidth=0.8)
        self.ax_.set_axisbelow(True)
        legend_below(self.ax_)
        return self
