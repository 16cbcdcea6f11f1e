"""What a single prediction is made of."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sklearn_fsmd.compose import model_of
from sklearn_fsmd.encoding import as_pandas
from sklearn_fsmd.inspection import attributions
from sklearn_fsmd.metrics import check_count
from sklearn_fsmd.plotting._axes import axes_of, label_of

HEIGHT, ROW = 1.3, 0.32
"""Inches of a new figure: what title and axis need, and each bar."""
LARGE = 1e15
"""From here on numbers have more digits than a float64."""
UNITS = {"log_odds": "log-odds", "probability": "probability", "value": "expected value"}


class AttributionsDisplay:
    """What each column adds to the prediction of one row, the largest first.

    The bars add up from the prediction of a row of which nothing is known to that of the row.

    Parameters
    ----------
    attributions : Series of the attributions, by column.
    baseline, prediction : float, where they begin and end.
    target : str, the target that was predicted.
    scale : {"log_odds", "probability", "value"}, their unit.
    values : Series, default=None
        What the row has in these columns, for the labels. Columns that are not in it have labels without a value.
    n_features : int, default=10
        How many columns have bars of their own; one more bar is the sum of the others.

    Attributes
    ----------
    ax_, figure_ : the axes and the figure, after `plot`.

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
        """From a fitted estimator, or a Pipeline of one, and a single row.

        Parameters
        ----------
        estimator : MultiTaskClassifier, or a Pipeline or search that ends in one.
        X : table of shape (1, n_features)
        n_features : int, default=10
            How many columns have a bar of their own.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        **options : those of :func:`~sklearn_fsmd.inspection.attributions`, such as `target`.

        Returns
        -------
        display : AttributionsDisplay
        """
        if len(X) != 1:
            raise ValueError(f"One row is drawn at a time, X[i : i + 1] for instance. Got {len(X)} rows.")
        check_count("n_features", n_features)
        found = attributions(estimator, X, **options)
        names = list(found.frame.columns)
        data = as_pandas(found.data)
        if isinstance(data, pd.DataFrame):
            known = {str(name): value for name, value in data.iloc[0].items()}
        else:
            row = np.asarray(data, dtype=object)[0]
            is_bias = model_of(estimator)._encoder.is_bias
            of_row = names if len(row) == len(names) else [names[j] for j in np.flatnonzero(~is_bias)]
            known = dict(zip(of_row, row, strict=True)) if len(row) == len(of_row) else {}
        return cls(
            found.frame.iloc[0],
            baseline=found.baseline,
            prediction=float(found.predictions[0]),
            target=found.target,
            scale=found.scale,
            values=pd.Series({name: known[name] for name in names if name in known}, dtype=object),
            n_features=n_features,
        ).plot(ax)

    def plot(self, ax: Any = None) -> AttributionsDisplay:
        """Draw a bar per column.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : AttributionsDisplay
        """
        order = self.attributions.abs().sort_values(ascending=False, kind="stable").index
        # One bar for a single further column would be no shorter than its own.
        first = order[: self.n_features] if len(order) > self.n_features + 1 else order
        bars = self.attributions[first]
        labels = [self._label(name) for name in first]
        if len(first) < len(order):
            rest = self.attributions.drop(first)
            bars = pd.concat([bars, pd.Series({"": rest.sum()})])
            labels.append(f"{len(rest)} other columns")
        self.ax_, self.figure_ = axes_of(self, ax, figsize=(6.4, HEIGHT + ROW * len(bars)))
        places = np.arange(len(bars))
        colors = ["C0" if share >= 0 else "C3" for share in bars]
        drawn = self.ax_.barh(places, bars.to_numpy(), color=colors, height=0.7)
        self.ax_.bar_label(drawn, [f"{share:+.2g}" for share in bars], padding=3, fontsize="small")
        self.ax_.axvline(0, color="0.4", linewidth=0.8)
        self.ax_.set_yticks(places, labels)
        self.ax_.set_ylim(len(bars) - 0.4, -0.6)
        self.ax_.margins(x=0.18)  # room for the figures
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
        return f"{label_of(name, 24)} = {label_of(_written(value), 16)}"


def _written(value: Any) -> str:
    """A value of a row: ids that became floats as ids, and large numbers with their digits."""
    if not isinstance(value, (float, np.floating)):
        return str(value)
    value = float(value)
    if abs(value) < LARGE and value == int(value):
        return str(int(value))
    return f"{value:,.2f}" if 1000 <= abs(value) < LARGE else f"{value:.4g}"
