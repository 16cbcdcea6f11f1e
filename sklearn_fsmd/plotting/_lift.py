"""LiftDisplay: the lift of the rows by their rank."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from sklearn_fsmd.compose import ask, fitted_model
from sklearn_fsmd.metrics import Outcome, has_lift, lift_curve, outcomes, outcomes_of
from sklearn_fsmd.plotting._axes import axes_of, label_of, legend_below
from sklearn_fsmd.ranking import listed

LEGEND_ROW_HEIGHT = 0.2
"""Height in inches that an entry of the legend adds to a new figure, after the first four."""


class LiftDisplay:
    """Plot of the lift of each tenth of the rows for each target, the tenth that is ranked highest first.

    A lift of 3 in the first decile means that the tenth of the rows that is ranked highest has three times the mean
    rate. With a good ranking, the lift falls from left to right. The bars are 95 % intervals. They are long for rare
    targets, since a decile has few positive labels.

    Parameters
    ----------
    curves : dict of str to DataFrame
        Result of :func:`~sklearn_fsmd.metrics.lift_curve` for each target.
    ranked_by : str, default="the target's own prediction"
        Score by which the rows were ranked, for the label of the x axis.
    n_bins : int, default=None
        Number of bins into which the rows were cut; None means the largest bin number in `curves`.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes of the plot; set by `plot`.
    figure_ : matplotlib Figure
        Figure that contains the axes; set by `plot`.

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
        as_shown: bool = False,
        **kw: Any,
    ) -> LiftDisplay:
        """Compute the lift of the predictions of a model, and draw it.

        Targets with negative values, or without a positive label or value, have no lift and are left out.

        Parameters
        ----------
        estimator : MultiTaskClassifier, or a Pipeline or search that ends in one
            Fitted model.
        X, Y : table and targets of n rows
            Test data, on which the model was not trained, in the form that `score` of the model takes.
        rank_weights : array-like of shape (n_tasks,) or (n_tasks + n_values,), or dict of names, default=None
            Exponents of `rank_score`, by which the rows are then ranked for all targets. None ranks the rows for each
            target by its own prediction.
        n_bins : int, default=10
            Number of bins with equally many rows.
        sample_weight : array-like of shape (n,) or (n, n_tasks + n_values), default=None
            Weights of the rows, or of the labels.
        as_shown : bool, default=False
            Whether to predict each row for the position in its `bias_features`, as in the log.
        **kw : dict
            Arguments of `plot`.

        Returns
        -------
        display : LiftDisplay
            Display that has been drawn.

        Raises
        ------
        ValueError
            If no target has a lift.
        """
        results = _with_lift(outcomes(estimator, X, Y, sample_weight, as_shown=as_shown))
        rank_weights = listed(rank_weights, fitted_model(estimator), "rank_weights")
        scores = None if rank_weights is None else ask(estimator, "rank_score", X, rank_weights, as_shown=as_shown)
        curves = {
            outcome.name: lift_curve(
                outcome.observed,
                outcome.predicted if scores is None else scores[outcome.rows],
                n_bins=n_bins,
                sample_weight=outcome.weights,
            )
            for outcome in results
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
        """Compute the lift of the predictions of any model, and draw it.

        Parameters
        ----------
        Y : array-like of shape (n,) or (n, K)
            Labels.
        P : array-like of shape (n,) or (n, K)
            Predicted marginal probabilities.
        task_names : sequence of str, default=None
            Names of the targets; None means the column names of Y.
        n_bins : int, default=10
            Number of bins with equally many rows.
        sample_weight : array-like of shape (n,) or (n, K), default=None
            Weights of the rows, or of the labels.
        **kw : dict
            Arguments of `plot`.

        Returns
        -------
        display : LiftDisplay
            Display that has been drawn.

        Raises
        ------
        ValueError
            If no target has a lift.
        """
        results = _with_lift(outcomes_of(Y, P, task_names, sample_weight))
        curves = {
            outcome.name: lift_curve(outcome.observed, outcome.predicted, n_bins=n_bins, sample_weight=outcome.weights)
            for outcome in results
        }
        return cls(curves, n_bins=n_bins).plot(**kw)

    def plot(self, ax: Any = None) -> LiftDisplay:
        """Draw a line per target.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None creates a figure.

        Returns
        -------
        display : LiftDisplay
            The display itself.
        """
        n = len(self.curves)
        self.ax_, self.figure_ = axes_of(self, ax, figsize=(6.4, 4.8 + LEGEND_ROW_HEIGHT * max(0, n - 4)))
        top = 1.0
        for k, (target, curve) in enumerate(self.curves.items()):
            positions = curve["bin"] + min(0.12, 0.6 / n) * (k - (n - 1) / 2)
            bars = np.maximum((curve["lift"] - curve["low"], curve["high"] - curve["lift"]), 0)
            label = f"{label_of(target)} (first: {curve['captured'].iloc[0]:.0%} of all)"
            self.ax_.errorbar(positions, curve["lift"], yerr=bars, fmt="o-", markersize=4, capsize=2, label=label)
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


def _with_lift(results: Sequence[Outcome]) -> list[Outcome]:
    """The outcomes of the targets that have a lift."""
    if with_lift := [outcome for outcome in results if has_lift(outcome.observed)]:
        return with_lift
    raise ValueError("No target of Y has a lift: none has a positive label or value, and no negative one.")
