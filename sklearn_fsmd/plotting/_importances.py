"""Which columns each target needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sklearn_fsmd.inspection import feature_importances
from sklearn_fsmd.metrics import check_count
from sklearn_fsmd.plotting._axes import axes_of, label_of, legend_below

HEIGHT, ROW = 1.4, 0.24
"""Inches of a new figure: what axis and legend need, and each column or group."""


class ImportancesDisplay:
    """Permutation importances of the most important columns, for each score.

    A point is the mean drop in score over the repeats, and its bar one standard deviation to each side. A column
    whose bar reaches 0 has not been shown to matter: in few rows that is most of them.

    Parameters
    ----------
    importances : ndarray of shape (n_columns, n_scores, n_repeats)
    feature_names : sequence of str
    score_names : sequence of str
    n_features : int, default=15
        Of how many columns there are rows: those that are most important to any score, relative to its largest.

    Attributes
    ----------
    ax_, figure_ : the axes and the figure, after `plot`.

    Examples
    --------
    >>> from sklearn_fsmd import FSMDClassifier
    >>> from sklearn_fsmd.datasets import make_funnel
    >>> from sklearn_fsmd.plotting import ImportancesDisplay
    >>> X, Y = make_funnel(500, random_state=0, return_X_y=True)
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
        """From what :func:`~sklearn_fsmd.inspection.feature_importances` has returned.

        Parameters
        ----------
        importances : what :func:`~sklearn_fsmd.inspection.feature_importances` has returned.
        n_features : int, default=15
            How many columns are drawn.
        **kw : passed to `plot`.

        Returns
        -------
        display : ImportancesDisplay
        """
        check_count("n_features", n_features)
        names = {"feature_names": importances.feature_names, "score_names": importances.score_names}
        return cls(importances.importances, **names, n_features=n_features).plot(**kw)

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, Y: Any, *, n_features: int = 15, ax: Any = None, **options: Any
    ) -> ImportancesDisplay:
        """From a fitted estimator, or a Pipeline of one, and rows that it was not trained on.

        Parameters
        ----------
        estimator : MultiTaskClassifier, or a Pipeline or search that ends in one.
        X, Y : as its `score` takes them.
        n_features : int, default=15
            How many columns are drawn.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        **options : those of :func:`~sklearn_fsmd.inspection.feature_importances`, such as `groups`.

        Returns
        -------
        display : ImportancesDisplay
        """
        found = feature_importances(estimator, X, Y, **options)
        return cls.from_importances(found, n_features=n_features, ax=ax)

    def plot(self, ax: Any = None) -> ImportancesDisplay:
        """Draw a row per column, with a point per score.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : ImportancesDisplay
        """
        means, spreads = self.importances.mean(axis=2), self.importances.std(axis=2)
        largest = np.maximum(np.abs(means).max(axis=0), 1e-12)
        shown = np.argsort(-(means / largest).max(axis=1), kind="stable")[: self.n_features]
        self.ax_, self.figure_ = axes_of(self, ax, figsize=(6.4, HEIGHT + ROW * len(shown) * max(1, len(largest) / 2)))
        places, n_scores = np.arange(len(shown)), len(self.score_names)
        for k, name in enumerate(self.score_names):
            shift = 0.5 * ((k + 0.5) / n_scores - 0.5)
            self.ax_.errorbar(
                means[shown, k],
                places + shift,
                xerr=spreads[shown, k],
                fmt="o",
                markersize=4,
                capsize=2,
                label=label_of(name),
            )
        self.ax_.axvline(0, color="0.6", linewidth=0.8, zorder=0)
        self.ax_.set_yticks(places, [label_of(self.feature_names[j]) for j in shown])
        self.ax_.set_ylim(len(shown) - 0.5, -0.5)
        rest = len(self.feature_names) - len(shown)
        self.ax_.set_xlabel("drop in score" + (f" ({rest} further columns not shown)" if rest else ""))
        self.ax_.grid(axis="y", color="0.93", linewidth=0.8)
        self.ax_.set_axisbelow(True)
        legend_below(self.ax_)
        return self
