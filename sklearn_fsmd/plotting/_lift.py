"""What the rows that are ranked highest are worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from sklearn_fsmd.compose import ask, fitted_model
from sklearn_fsmd.metrics import Outcome, has_lift, lift_curve, outcomes, outcomes_of
from sklearn_fsmd.plotting._axes import axes_of, label_of, legend_below
from sklearn_fsmd.ranking import listed

ROW = 0.2
"""Inches that a line of the legend adds to a new figure, after the first four."""


class LiftDisplay:
    """The lift of each tenth of the rows, the best ranked first, for each target.

    A lift of 3 in the first decile says: the tenth of the rows that is ranked highest has three times the mean rate. A
    good ranking falls from left to right. The bars are 95 % intervals; those of rare targets are long, since a decile
    has few positives.

    Parameters
    ----------
    curves : dict of target to DataFrame, as :func:`~sklearn_fsmd.metrics.lift_curve` gives them.
    ranked_by : str, default="the target's own prediction"
    n_bins : int, default=None
        Into how many bins the rows were cut; None takes the largest number of a bin.

    Attributes
    ----------
    ax_, figure_ : the axes and the figure, after `plot`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_fsmd.plotting import LiftDisplay
    >>> p = np.linspace(0.05, 0.95, 200)
    >>> y = (np.arange(200) >= 100).astype(int)
    >>> display = LiftDisplay.from_predictions(y, p, task_names=["click"], n_bins=4)
    >>> list(display.curves)
    ['click']
    """

    def __init__(
        self,
        curves: Mapping[str, pd.DataFrame],
        *,
        ranked_by: str = "the target's own prediction",
        n_bins: int | None = None,
    ) -> None:
        self.curves = dict(curves)
        self.ranked_by = ranked_by
        self.n_bins = n_bins

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        Y: Any,
        *,
        rank_weights: Sequence[float] | Mapping[str, float] | np.ndarray | None = None,
        n_bins: int = 10,
        sample_weight: Any = None,
        **kw: Any,
    ) -> LiftDisplay:
        """From a fitted estimator, or a Pipeline of one, and rows that it was not trained on.

        Targets with negative values, or without a positive label or value, have no lift, and are left out.

        Parameters
        ----------
        estimator : MultiTaskClassifier, or a Pipeline or search that ends in one.
        X, Y : as its `score` takes them.
        rank_weights : array-like of shape (n_tasks,) or (n_tasks + n_values,), or dict of names, default=None
            Rank the rows by one score for all targets, `rank_score` with these exponents. None ranks them for each
            target by its own prediction.
        n_bins : int, default=10
        sample_weight : array-like of shape (n,) or (n, n_tasks + n_values), default=None
        **kw : passed to `plot`.

        Returns
        -------
        display : LiftDisplay

        Raises
        ------
        ValueError
            If no target has a lift.
        """
        found = _with_lift(outcomes(estimator, X, Y, sample_weight))
        rank_weights = listed(rank_weights, fitted_model(estimator), "rank_weights")
        scores = None if rank_weights is None else ask(estimator, "rank_score", X, rank_weights)
        curves = {
            one.name: lift_curve(
                one.observed,
                one.predicted if scores is None else scores[one.rows],
                n_bins=n_bins,
                sample_weight=one.weights,
            )
            for one in found
        }
        if rank_weights is None:
            return cls(curves, n_bins=n_bins).plot(**kw)
        numbers = " : ".join(f"{weight:g}" for weight in rank_weights)
        return cls(curves, ranked_by=f"rank_score, weights {numbers}", n_bins=n_bins).plot(**kw)

    @classmethod
    def from_predictions(
        cls,
        Y: Any,
        P: Any,
        *,
        task_names: Sequence[str] | None = None,
        n_bins: int = 10,
        sample_weight: Any = None,
        **kw: Any,
    ) -> LiftDisplay:
        """From labels and marginals (n, K), as :mod:`sklearn_fsmd.metrics` takes them, of whatever model.

        Parameters
        ----------
        Y, P : array-like of shape (n,) or (n, K)
            Labels, and marginals.
        task_names : sequence of str, default=None
            None takes the columns of Y.
        n_bins, sample_weight : as in :meth:`from_estimator`.
        **kw : passed to `plot`.

        Returns
        -------
        display : LiftDisplay

        Raises
        ------
        ValueError
            If no target has a lift.
        """
        found = _with_lift(outcomes_of(Y, P, task_names, sample_weight))
        curves = {
            one.name: lift_curve(one.observed, one.predicted, n_bins=n_bins, sample_weight=one.weights) for one in found
        }
        return cls(curves, n_bins=n_bins).plot(**kw)

    def plot(self, ax: Any = None) -> LiftDisplay:
        """Draw a line per target.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : LiftDisplay
        """
        n = len(self.curves)
        self.ax_, self.figure_ = axes_of(self, ax, figsize=(6.4, 4.8 + ROW * max(0, n - 4)))
        top = 1.0
        for k, (target, curve) in enumerate(self.curves.items()):
            places = curve["bin"] + min(0.12, 0.6 / n) * (k - (n - 1) / 2)
            bars = np.maximum((curve["lift"] - curve["low"], curve["high"] - curve["lift"]), 0)
            label = f"{label_of(target)} (first: {curve['captured'].iloc[0]:.0%} of all)"
            self.ax_.errorbar(places, curve["lift"], yerr=bars, fmt="o-", markersize=4, capsize=2, label=label)
            top = max(top, float(np.nanmax(curve[["lift", "high"]])))
        n_bins = self.n_bins or max(int(curve["bin"].max()) for curve in self.curves.values())
        self.ax_.axhline(1, color="0.6", linewidth=0.8, linestyle="--", zorder=0)
        self.ax_.set_ylim(0, 1.05 * top)
        name = "decile" if n_bins == 10 else f"bin of {n_bins}"
        self.ax_.set(xlabel=f"{name}, the best first, by {self.ranked_by}", ylabel="lift over the mean")
        if n_bins <= 20:
            self.ax_.set_xticks(np.arange(1, n_bins + 1))
        legend_below(self.ax_)
        return self


def _with_lift(found: Sequence[Outcome]) -> list[Outcome]:
    """The targets that have a lift: a target without a positive label or value has none."""
    if with_lift := [one for one in found if has_lift(one.observed)]:
        return with_lift
    raise ValueError("No target of Y has a lift: none has a positive label or value, and no negative one.")
