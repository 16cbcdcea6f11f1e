"""How true the predictions of each target are, segment by segment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from sklearn_fsmd.encoding import warn_of_orders
from sklearn_fsmd.metrics import (
    Outcome,
    check_count,
    column_named,
    outcomes,
    outcomes_of,
    reliability_curve,
)
from sklearn_fsmd.plotting._axes import LETTER, MARK, choose_ticks, label_of, legend_below
from sklearn_fsmd.plotting._segments import grid_of_axes, segments_of


class ReliabilityDisplay:
    """The observed rate against the mean prediction, over bins of equally many rows: an axes per target.

    On the diagonal predictions are true on average. A point above it was predicted too low. The bars are 95 %
    intervals of what was observed: a point whose bar meets the diagonal is no evidence against the model. Segments with
    few rows have fewer points.

    Parameters
    ----------
    curves : dict of target to dict of segment to DataFrame
        As :func:`~sklearn_fsmd.metrics.reliability_curve` gives them.
    values : sequence of str, default=()
        The targets that hold values: they are means, not rates.

    Attributes
    ----------
    ax_, axes_, figure_ : the first axes, an axes per target, and the figure, after `plot`.

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
        """From a fitted estimator, or a Pipeline of one, and rows that it was not trained on.

        Parameters
        ----------
        estimator : MultiTaskClassifier, or a Pipeline or search that ends in one.
        X, Y : as its `score` takes them.
        by : str, or array-like of shape (n,), default=None
            The segment of each row, or the column of X that says it. Each segment has a curve.
        targets : sequence of str, or str, default=None
            Names of targets; None takes all, those with values too.
        conditional : bool, default=False
            Whether a step is drawn by its conditional probability, over the rows where the step before it has
            happened: pCVR over clicked rows, as the target "conversion | click"; a value by that given its step.
            Targets that the link does not connect are read as a chain, as `predict_conditionals` does.
        as_shown : bool, default=False
            Whether to judge predictions of each row as its `bias_features` say that it was shown, as in the log. Else
            they are those of rows that are shown well, whose level is above that of the log.
        n_bins : int, default=None
            None takes 10 for one curve, and 5 for several.
        min_bin_rows : int, default=50
            How many rows a bin has at least, unless a segment has fewer.
        max_segments : int, default=4
            How many segments have a curve of their own: the largest, if they have at least 100 rows. The rows of all
            other segments have one curve together.
        sample_weight : array-like of shape (n,) or (n, n_tasks + n_values), default=None
        **kw : passed to `plot`.

        Returns
        -------
        display : ReliabilityDisplay
        """
        named = [targets] if isinstance(targets, str) else targets
        found = outcomes(estimator, X, Y, sample_weight, conditional=conditional, as_shown=as_shown, targets=named)
        options: dict[str, Any] = {"n_bins": n_bins, "min_bin_rows": min_bin_rows, "max_segments": max_segments}
        return cls._of(_chosen(found, named), column_named(X, by, "by"), len(X), **options).plot(**kw)

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
        """From labels and marginals (n, K), as :mod:`sklearn_fsmd.metrics` takes them, of whatever model.

        Parameters
        ----------
        Y, P : array-like of shape (n,) or (n, K)
            Labels, and marginals.
        task_names : sequence of str, default=None
            None takes the columns of Y.
        by : array-like of shape (n,), default=None
            The segment of each row.
        n_bins, min_bin_rows, max_segments, sample_weight : as in :meth:`from_estimator`.
        **kw : passed to `plot`.

        Returns
        -------
        display : ReliabilityDisplay
        """
        if isinstance(by, str):
            raise ValueError(f"`by` must be the segment of each row. Got {by!r}, and there is no X with such a column.")
        warn_of_orders(Y=Y, by=by)
        found = outcomes_of(Y, P, task_names, sample_weight)
        options: dict[str, Any] = {"n_bins": n_bins, "min_bin_rows": min_bin_rows, "max_segments": max_segments}
        return cls._of(found, by, len(Y), **options).plot(**kw)

    @classmethod
    def _of(
        cls, found: Sequence[Outcome], by: Any, n: int, *, n_bins: int | None, min_bin_rows: int, max_segments: int
    ) -> ReliabilityDisplay:
        check_count("min_bin_rows", min_bin_rows)
        segments = segments_of(by, n, max_segments)
        n_bins = (10 if len(segments) == 1 else 5) if n_bins is None else n_bins
        curves: dict[str, dict[str, pd.DataFrame]] = {}
        for one in found:
            curves[one.name] = {}
            for segment, rows in segments.items():
                own = np.isin(one.rows, rows)
                if own.any():
                    bins = max(1, min(n_bins, int(own.sum()) // min_bin_rows)) if n_bins >= 1 else n_bins
                    curves[one.name][segment] = reliability_curve(
                        one.observed[own],
                        one.predicted[own],
                        n_bins=bins,
                        min_bin_rows=min_bin_rows,
                        sample_weight=one.weights[own],
                    )
        return cls(curves, values=[one.name for one in found if one.is_value])

    def plot(self, ax: Any = None) -> ReliabilityDisplay:
        """Draw a curve per segment, in an axes per target.

        Parameters
        ----------
        ax : matplotlib Axes, or an array of one per target, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : ReliabilityDisplay
        """
        self.figure_, self.axes_ = grid_of_axes(self, len(self.curves), ax)
        self.ax_ = self.axes_[0]
        rows: dict[str, set[int]] = {}
        for segments in self.curves.values():
            for segment, curve in segments.items():
                rows.setdefault(segment, set()).add(int(curve["n"].sum()))
        colors = {segment: f"C{i}" for i, segment in enumerate(rows)}
        shortened = [label_of(segment, 24) for segment in rows]
        labels = {  # targets that are not known in the same rows have no number in common
            segment: (short if shortened.count(short) == 1 else label_of(segment, len(segment)))
            + (f" ({min(n):,} rows)" if len(n) == 1 else "")
            for (segment, n), short in zip(rows.items(), shortened, strict=True)
        }
        for own, (target, segments) in zip(self.axes_, self.curves.items(), strict=True):
            top = highest = 0.0
            for segment, curve in segments.items():
                bars = (curve["observed"] - curve["low"], curve["high"] - curve["observed"])
                own.errorbar(
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
            self._finish(own, target, max(1.15 * top, min(1.03 * highest, 2 * top)))
        if ax is None:
            found = [own.get_legend_handles_labels() for own in self.axes_]
            marks = {label: mark for pair in found for mark, label in zip(*pair, strict=True)}
            fit = int(self.figure_.get_figwidth() / (MARK + LETTER * max(map(len, marks))))
            n_columns = max(1, min(len(marks), 1 + len(self.axes_), 3, fit))
            self.figure_.legend(
                marks.values(), marks.keys(), loc="outside lower center", ncols=n_columns, frameon=False
            )
        else:
            for own in self.axes_:
                legend_below(own)
        return self

    def _finish(self, ax: Any, target: str, end: float) -> None:
        """The diagonal, labels, and a square frame that ends at `end`, where bars that go further are cut off."""
        of_values = target in self.values
        figures = np.concatenate([curve[["predicted", "observed"]] for curve in self.curves[target].values()])
        end = end if of_values else min(1.02, end)
        end = end if end > 0 else 1.0
        lowest = 1.15 * min(0.0, figures.min())
        if "log" in (ax.get_xscale(), ax.get_yscale()):
            lowest = figures[figures > 0].min(initial=end) / 1.5
        line = np.linspace(lowest, end, 100)  # it is bent if one of the axes has a scale of its own
        ax.plot(line, line, color="0.6", linewidth=0.8, linestyle="--", zorder=0)
        what = ("expected value", "mean value") if of_values else ("predicted probability", "observed rate")
        ax.set(xlabel=f"{what[0]}, mean of the bin", ylabel=what[1], title=label_of(target, 40))
        ax.set(xlim=(lowest, end), ylim=(lowest, end))
        if ax.get_xscale() == ax.get_yscale():
            ax.set_aspect("equal")
        choose_ticks(ax.xaxis, nbins=6)
        choose_ticks(ax.yaxis, nbins=6)


def _chosen(found: list[Outcome], targets: Sequence[str] | None) -> list[Outcome]:
    """The outcomes of the named targets."""
    names = [one.name for one in found]
    if targets is not None and not len(targets):
        raise ValueError(f"`targets` must name some of {names}, or be None. Got none.")
    for name in targets or ():
        if name not in names:
            raise ValueError(f"There is no target {name!r}; the targets are {names}.")
    return [one for one in found if targets is None or one.name in targets]
