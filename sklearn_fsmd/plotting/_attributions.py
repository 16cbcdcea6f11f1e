"""AttributionsDisplay: the contributions of the columns to a single prediction."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sklearn_fsmd.compose import model_of
from sklearn_fsmd.encoding.table import as_pandas
from sklearn_fsmd.inspection import attributions
from sklearn_fsmd.metrics import check_count
from sklearn_fsmd.plotting._axes import axes_of, label_of

BASE_HEIGHT, BAR_HEIGHT = 1.3, 0.32
"""Height of a new figure in inches: of title and axis, and of each bar."""
LARGE = 1e15
"""Larger numbers have more digits than a float64 can hold."""
UNITS = {"log_odds": "log-odds", "probability": "probability", "value": "expected value"}


class AttributionsDisplay:
    """Bar plot of the contribution of each column to the prediction for one row, the largest first.

    The bars add up to the difference between the prediction for the row and the prediction for a row of which nothing
    is known.

    Parameters
    ----------
    attributions : Series
        Contribution of each column, by its name.
    baseline : float
        Prediction for a row of which nothing is known.
    prediction : float
        Prediction for the row.
    target : str
        Target that was predicted.
    scale : {"log_odds", "probability", "value"}
        Unit of the attributions, `baseline` and `prediction`.
    values : Series, default=None
        Values of the row by column, for the labels. Columns that it lacks have labels without a value.
    n_features : int, default=10
        Number of columns with a bar of their own. Another bar is the sum of all other columns.

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
    >>> from sklearn_fsmd.plotting import AttributionsDisplay
    >>> X, Y = make_funnel(500, random_state=0, return_X_y=True)
    >>> model = FSMDClassifier(max_epochs=1, random_state=0).fit(X[:400], Y[:400])
    >>> display = AttributionsDisplay.from_estimator(model, X[:1], target="click")
    >>> display.target
    'click'
    """

    def __init__(
        self,
        attributions: pd.Series,
        *,
        baseline: float,
        prediction: float,
        target: str,
        scale: str,
        values: pd.Series | None = None,
        n_features: int = 10,
    ) -> None:
        self.attributions = attributions
        self.baseline = baseline
        self.prediction = prediction
        self.target = target
        self.scale = scale
        self.values = values
        self.n_features = n_features

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, *, n_features: int = 10, ax: Any = None, **options: Any
    ) -> AttributionsDisplay:
        """Compute the attributions for a single row, and draw them.

        Parameters
        ----------
        estimator : MultiTaskClassifier, or a Pipeline or search that ends in one
            Fitted model.
        X : table of shape (1, n_features)
            Row whose prediction is explained.
        n_features : int, default=10
            Number of columns with a bar of their own.
        ax : matplotlib Axes, default=None
            Axes to draw on; None creates a figure.
        **options : dict
            Arguments of :func:`~sklearn_fsmd.inspection.attributions`, such as `target`.

        Returns
        -------
        display : AttributionsDisplay
            Display that has been drawn.

        Raises
        ------
        ValueError
            If `X` has more or less than one row, or `n_features` is less than 1.
        """
        if len(X) != 1:
            raise ValueError(f"One row is drawn at a time, X[i : i + 1] for instance. Got {len(X)} rows.")
        check_count("n_features", n_features)
        result = attributions(estimator, X, **options)
        names = list(result.frame.columns)
        data = as_pandas(result.data)
        if isinstance(data, pd.DataFrame):
            values = {str(name): value for name, value in data.iloc[0].items()}
        else:
            row = np.asarray(data, dtype=object)[0]
            is_bias = model_of(estimator)._encoder.is_bias
            row_names = names if len(row) == len(names) else [names[j] for j in np.flatnonzero(~is_bias)]
            values = dict(zip(row_names, row, strict=True)) if len(row) == len(row_names) else {}
        return cls(
            result.frame.iloc[0],
            baseline=result.baseline,
            prediction=float(result.predictions[0]),
            target=result.target,
            scale=result.scale,
            values=pd.Series({name: values[name] for name in names if name in values}, dtype=object),
            n_features=n_features,
        ).plot(ax)

    def plot(self, ax: Any = None) -> AttributionsDisplay:
        """Draw a bar per column.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None creates a figure.

        Returns
        -------
        display : AttributionsDisplay
            The display itself.
        """
        order = self.attributions.abs().sort_values(ascending=False, kind="stable").index
        # A single remaining column gets its own bar, since a bar for "other columns" would take the same space.
        shown = order[: self.n_features] if len(order) > self.n_features + 1 else order
        bars = self.attributions[shown]
        labels = [self._label(name) for name in shown]
        if len(shown) < len(order):
            others = self.attributions.drop(shown)
            bars = pd.concat([bars, pd.Series({"": others.sum()})])
            labels.append(f"{len(others)} other columns")
        self.ax_, self.figure_ = axes_of(self, ax, figsize=(6.4, BASE_HEIGHT + BAR_HEIGHT * len(bars)))
        positions = np.arange(len(bars))
        colors = ["C0" if contribution >= 0 else "C3" for contribution in bars]
        drawn = self.ax_.barh(positions, bars.to_numpy(), color=colors, height=0.7)
        self.ax_.bar_label(drawn, [f"{contribution:+.2g}" for contribution in bars], padding=3, fontsize="small")
        self.ax_.axvline(0, color="0.4", linewidth=0.8)
        self.ax_.set_yticks(positions, labels)
        self.ax_.set_ylim(len(bars) - 0.4, -0.6)
        self.ax_.margins(x=0.18)  # room for the numbers
        unit = UNITS[self.scale]
        self.ax_.set_xlabel(f"{unit}: from {self.baseline:.3g}, nothing known,\nto {self.prediction:.3g}")
        self.ax_.set_title(label_of(self.target))
        return self

    def _label(self, name: str) -> str:
        if self.values is None or name not in self.values.index:
            return label_of(name)
        value = self.values[name]
        if isinstance(value, (np.ndarray, list, tuple)):
            return label_of(f"{name} ({len(value)})")
        if pd.isna(value):
            return f"{label_of(name, 24)} missing"
        return f"{label_of(name, 24)} = {label_of(_formatted(value), 16)}"


def _formatted(value: Any) -> str:
    """Format a value of a row: whole floats, such as ids, without decimals, and large numbers with all their digits."""
    if not isinstance(value, (float, np.floating)):
        return str(value)
    value = float(value)
    if abs(value) < LARGE and value == int(value):
        return str(int(value))
    return f"{value:,.2f}" if 1000 <= abs(value) < LARGE else f"{value:.4g}"
