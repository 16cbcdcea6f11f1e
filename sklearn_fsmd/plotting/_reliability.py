"""ReliabilityDisplay: the calibration of each target, overall or by segment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from sklearn_fsmd.encoding.warnings import warn_of_orders
from sklearn_fsmd.metrics import (
    Outcome,
    check_count,
    column_named,
    outcomes,
    outcomes_of,
    refuse_unobserved,
    reliability_curve,
)
from sklearn_fsmd.plotting._axes import LETTER_WIDTH, MARKER_WIDTH, choose_ticks, label_of, legend_below
from sklearn_fsmd.plotting._segments import grid_of_axes, segments_of


class ReliabilityDisplay:
    """Plot of the observed rate against the mean prediction in bins of equally many rows, one axes per target.

    On the diagonal, predictions are right on average; for a point above it they are too low. The bars are 95 %
    intervals of the observed rate: a point whose bar crosses the diagonal is no evidence against the model. Segments
    with few rows have fewer points.

    Parameters
    ----------
    curves : dict of str to dict of str to DataFrame
        Result of :func:`~sklearn_fsmd.metrics.reliability_curve` for each segment of each target.
    values : sequence of str, default=()
        Names of the targets that are values: observations are means instead of rates.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        One axes per target; set by `plot`.
    ax_ : matplotlib Axes
        First of `axes_`.
    figure_ : matplotlib Figure
        Figure that contains the axes; set by `plot`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_fsmd.plotting import ReliabilityDisplay
    >>> p = np.random.default_rng(0).uniform(size=500)
    >>> y = (np.random.default_rng(1).uniform(size=500) < p).astype(int)
    >>> display = ReliabilityDisplay.from_predictions(y, p, task_names=["click"], n_bins=5)
    >>> list(display.curves)
    ['click']
    """

    def __init__(self, curves: Mapping[str, Mapping[str, pd.DataFrame]], *, values: Sequence[str] = ()) -> None:
        self.curves = {target: dict(segments) for target, segments in curves.items()}
        self.values = list(values)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        Y: Any,
        *,
        by: Any = None,
        targets: Sequence[str] | str | None = None,
        conditional: bool = False,
        as_shown: bool = False,
        n_bins: int | None = None,
        min_bin_rows: int = 50,
        max_segments: int = 4,
        sample_weight: Any = None,
        **kw: Any,
    ) -> ReliabilityDisplay:
        """Compute the reliability curves of a model, and draw them.

        Parameters
        ----------
        estimator : MultiTaskClassifier, or a Pipeline or search that ends in one
            Fitted model.
        X, Y : table and targets of n rows
            Test data, on which the model was not trained, in the form that `score` of the model takes.
        by : str, or array-like of shape (n,), default=None
            The segment of each row, or the column of X that holds it. Each segment has a curve.
        targets : sequence of str, or str, default=None
            Names of the targets to draw; None means all, including values.
        conditional : bool, default=False
            Whether to draw conditional predictions over the rows in which the step before has happened: pCVR over
            clicked rows, named "conversion | click", and values given their step. Targets that the link does not
            connect are treated as a chain, as in `predict_conditionals`.
        as_shown : bool, default=False
            Whether predictions use the `bias_features` of each row, as it was shown in the log. Otherwise they are
            predictions for rows in a good position, which are above the rates of the log.
        n_bins : int, default=None
            Number of bins; None means 10 for one curve and 5 for several.
        min_bin_rows : int, default=50
            Minimum number of rows in a bin, unless a segment has fewer rows.
        max_segments : int, default=4
            Number of segments with a curve of their own: the largest ones with at least 100 rows. All other segments
            share one curve.
        sample_weight : array-like of shape (n,) or (n, n_tasks + n_values), default=None
            Weights of the rows, or of the labels.
        **kw : dict
            Arguments of `plot`.

        Returns
        -------
        display : ReliabilityDisplay
            Display that has been drawn.

        Raises
        ------
        ValueError
            If `by` names no column of X, `targets` names no target, a target that is drawn has no observed row, or a
            number is less than 1.
        """
        names = [targets] if isinstance(targets, str) else targets
        results = outcomes(estimator, X, Y, sample_weight, conditional=conditional, as_shown=as_shown, targets=names)
        options: dict[str, Any] = {"n_bins": n_bins, "min_bin_rows": min_bin_rows, "max_segments": max_segments}
        return cls._from_outcomes(_selected(results, names), column_named(X, by, "by"), len(X), **options).plot(**kw)

    @classmethod
    def from_predictions(
        cls,
        Y: Any,
        P: Any,
        *,
        task_names: Sequence[str] | None = None,
        by: Any = None,
        n_bins: int | None = None,
        min_bin_rows: int = 50,
        max_segments: int = 4,
        sample_weight: Any = None,
        **kw: Any,
    ) -> ReliabilityDisplay:
        """Compute the reliability curves of the predictions of any model, and draw them.

        Parameters
        ----------
        Y : array-like of shape (n,) or (n, K)
            Labels.
        P : array-like of shape (n,) or (n, K)
            Predicted marginal probabilities.
        task_names : sequence of str, default=None
            Names of the targets; None means the column names of Y.
        by : array-like of shape (n,), default=None
            The segment of each row. Each segment has a curve.
        n_bins : int, default=None
            Number of bins; None means 10 for one curve and 5 for several.
        min_bin_rows : int, default=50
            Minimum number of rows in a bin, unless a segment has fewer rows.
        max_segments : int, default=4
            Number of segments with a curve of their own: the largest ones with at least 100 rows. All other segments
            share one curve.
        sample_weight : array-like of shape (n,) or (n, K), default=None
            Weights of the rows, or of the labels.
        **kw : dict
            Arguments of `plot`.

        Returns
        -------
        display : ReliabilityDisplay
            Display that has been drawn.
        """
        if isinstance(by, str):
            raise ValueError(f"`by` must be the segment of each row. Got {by!r}, and there is no X with such a column.")
        warn_of_orders(Y=Y, by=by)
        results = outcomes_of(Y, P, task_names, sample_weight)
        options: dict[str, Any] = {"n_bins": n_bins, "min_bin_rows": min_bin_rows, "max_segments": max_segments}
        return cls._from_outcomes(results, by, len(Y), **options).plot(**kw)

    @classmethod
    def _from_outcomes(
        cls, results: Sequence[Outcome], by: Any, n: int, *, n_bins: int | None, min_bin_rows: int, max_segments: int
    ) -> ReliabilityDisplay:
        """Compute a curve for each target and segment that has rows."""
        check_count("min_bin_rows", min_bin_rows)
        refuse_unobserved((outcome.name, len(outcome.rows)) for outcome in results)
        segments = segments_of(by, n, max_segments)
        n_bins = (10 if len(segments) == 1 else 5) if n_bins is None else n_bins
        curves: dict[str, dict[str, pd.DataFrame]] = {}
        for outcome in results:
            curves[outcome.name] = {}
            for segment, rows in segments.items():
                in_segment = np.isin(outcome.rows, rows)
                if in_segment.any():
                    bins = max(1, min(n_bins, int(in_segment.sum()) // min_bin_rows)) if n_bins >= 1 else n_bins
                    curves[outcome.name][segment] = reliability_curve(
                        outcome.observed[in_segment],
                        outcome.predicted[in_segment],
                        n_bins=bins,
                        min_bin_rows=min_bin_rows,
                        sample_weight=outcome.weights[in_segment],
                    )
        return cls(curves, values=[outcome.name for outcome in results if outcome.is_value])

    def plot(self, ax: Any = None) -> ReliabilityDisplay:
        """Draw a curve per segment, in one axes per target.

        Parameters
        ----------
        ax : matplotlib Axes, or array-like of one per target, default=None
            Axes to draw on; None creates a figure.

        Returns
        -------
        display : ReliabilityDisplay
            The display itself.
        """
        self.figure_, self.axes_ = grid_of_axes(self, len(self.curves), ax)
        self.ax_ = self.axes_[0]
        row_counts: dict[str, set[int]] = {}
        for segments in self.curves.values():
            for segment, curve in segments.items():
                row_counts.setdefault(segment, set()).add(int(curve["n"].sum()))
        colors = {segment: f"C{i}" for i, segment in enumerate(row_counts)}
        shortened = [label_of(segment, 24) for segment in row_counts]
        labels = {  # no row count if targets are observed in different numbers of rows
            segment: (short if shortened.count(short) == 1 else label_of(segment, len(segment)))
            + (f" ({min(counts):,} rows)" if len(counts) == 1 else "")
            for (segment, counts), short in zip(row_counts.items(), shortened, strict=True)
        }
        for target_ax, (target, segments) in zip(self.axes_, self.curves.items(), strict=True):
            top = highest = 0.0
            for segment, curve in segments.items():
                bars = (curve["observed"] - curve["low"], curve["high"] - curve["observed"])
                target_ax.errorbar(
                    curve["predicted"],
                    curve["observed"],
                    yerr=np.maximum(bars, 0),
                    fmt="o-",
                    markersize=4,
                    linewidth=1,
                    elinewidth=0.8,
                    capsize=2,
                    color=colors[segment],
                    label=labels[segment],
                )
                top = max(top, curve["predicted"].max(), curve["observed"].max())
                highest = max(highest, curve["high"].max())
            self._finish(target_ax, target, max(1.15 * top, min(1.03 * highest, 2 * top)))
        if ax is None:
            pairs = [target_ax.get_legend_handles_labels() for target_ax in self.axes_]
            handles = {label: handle for pair in pairs for handle, label in zip(*pair, strict=True)}
            n_fitting = int(self.figure_.get_figwidth() / (MARKER_WIDTH + LETTER_WIDTH * max(map(len, handles))))
            n_columns = max(1, min(len(handles), 1 + len(self.axes_), 3, n_fitting))
            self.figure_.legend(
                handles.values(), handles.keys(), loc="outside lower center", ncols=n_columns, frameon=False
            )
        else:
            for target_ax in self.axes_:
                legend_below(target_ax)
        return self

    def _finish(self, ax: Any, target: str, end: float) -> None:
        """Draw the diagonal and labels, and set a square frame that ends at `end`, where longer bars are cut off."""
        is_value = target in self.values
        points = np.concatenate([curve[["predicted", "observed"]] for curve in self.curves[target].values()])
        end = end if is_value else min(1.02, end)
        end = end if end > 0 else 1.0
        lowest = 1.15 * min(0.0, points.min())
        if "log" in (ax.get_xscale(), ax.get_yscale()):
            lowest = points[points > 0].min(initial=end) / 1.5
        line = np.linspace(lowest, end, 100)  # many points, since it is curved if x and y have different scales
        ax.plot(line, line, color="0.6", linewidth=0.8, linestyle="--", zorder=0)
        x_name, y_name = ("expected value", "mean value") if is_value else ("predicted probability", "observed rate")
        ax.set(xlabel=f"{x_name}, mean of the bin", ylabel=y_name, title=label_of(target, 40))
        ax.set(xlim=(lowest, end), ylim=(lowest, end))
        if ax.get_xscale() == ax.get_yscale():
            ax.set_aspect("equal")
        choose_ticks(ax.xaxis, nbins=6)
        choose_ticks(ax.yaxis, nbins=6)


def _selected(results: list[Outcome], targets: Sequence[str] | None) -> list[Outcome]:
    """The outcomes of the named targets; all if `targets` is None."""
    names = [outcome.name for outcome in results]
    if targets is not None and not len(targets):
        raise ValueError(f"`targets` must name some of {names}, or be None. Got none.")
    for name in targets or ():
        if name not in names:
            raise ValueError(f"There is no target {name!r}; the targets are {names}.")
    return [outcome for outcome in results if targets is None or outcome.name in targets]
