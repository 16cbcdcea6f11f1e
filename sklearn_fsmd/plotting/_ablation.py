"""Scores against the values of a parameter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sklearn_fsmd.encoding import shown
from sklearn_fsmd.plotting._axes import deviation, figure_of, label_of, pyplot_for

MOST_LETTERS = 36
"""As many stand side by side under the axes of one score."""
MOST_SLANTED, UPRIGHT = 11, 0.16
"""As many labels are legible when slanted; the inches that one needs when upright."""


class AblationDisplay:
    """Scores against the values of one parameter (the paper's Figs. 11 to 13).

    Parameters
    ----------
    values : list of the values of the parameter, in the order in which they are drawn.
    scores : dict of ndarray of shape (n_values, n_runs), a curve each.
    parameter : str, the label of the axis.

    Attributes
    ----------
    axes_, figure_ : an axes a score, and the figure, after `plot`; `ax_` is the first axes.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_fsmd.plotting import AblationDisplay
    >>> scores = {"mean_auc": np.array([[0.71, 0.72], [0.73, 0.74]])}  # of two values of a parameter, two runs each
    >>> display = AblationDisplay([0.0, 0.3], scores, parameter="dropout").plot()
    >>> display.axes_[0].get_xlabel()
    'dropout'
    """

    def __init__(self, values: Sequence[Any], scores: Mapping[str, np.ndarray], *, parameter: str) -> None:
        self.values = list(values)
        self.scores = dict(scores)
        self.parameter = parameter

    @classmethod
    def from_cv_results(
        cls,
        cv_results: Mapping[str, Any],
        parameter: str,
        *,
        scores: Sequence[str] | None = None,
        labels: Sequence[str] | None = None,
        **kw: Any,
    ) -> AblationDisplay:
        """From the `cv_results_` of a GridSearchCV.

        Candidates that differ in other parameters, such as `random_state`, are runs of the same value. Those of a list
        of grids that do not set the parameter are left out.

        Parameters
        ----------
        cv_results : dict or DataFrame
        parameter : str, the parameter that was varied.
        scores : sequence of str, default=None
            Names of the scores; None takes all.
        labels : sequence of str, default=None
            What to call the values, in the order of their first appearance.
        **kw : passed to `plot`.

        Returns
        -------
        display : AblationDisplay
        """
        column = f"param_{parameter}"
        if column not in cv_results:
            known = [name.removeprefix("param_") for name in cv_results if name.startswith("param_")]
            raise ValueError(f"The grid search did not vary {parameter!r}; it has {known}.")
        found = [name.removeprefix("mean_test_") for name in cv_results if name.startswith("mean_test_")]
        if not found:
            raise ValueError(f"`cv_results` has no scores: no column 'mean_test_…' is among {list(cv_results)}.")
        chosen = found if scores is None else list(scores)
        if not chosen:
            raise ValueError("`scores` names no score.")
        unknown = [name for name in chosen if name not in found]
        if unknown:
            raise ValueError(f"There is no score {unknown[0]!r} in the results; there are {found}.")
        rows = _rows_by_value(*_values_of(cv_results, parameter))
        values, sizes = list(rows), [len(own) for own in rows.values()]
        if labels is not None and len(labels) != len(values):
            raise ValueError(f"There are {len(values)} values of {parameter!r}, {values}, and {len(labels)} labels.")
        if len(set(sizes)) > 1:
            raise ValueError(f"The values of {parameter!r} must have equally many runs. Got {sizes}.")
        curves = {}
        for name in chosen:
            column_of_scores = np.asarray(cv_results[f"mean_test_{name}"], dtype=float)
            curves[name] = np.stack([column_of_scores[own] for own in rows.values()])
        return cls(values if labels is None else labels, curves, parameter=parameter).plot(**kw)

    def plot(self, ax: Any = None) -> AblationDisplay:
        """Draw a curve a score, each in axes of its own: the mean over the runs, with one standard deviation.

        Parameters
        ----------
        ax : matplotlib Axes, or an array of one per score, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : AblationDisplay
        """
        plt = pyplot_for(self)
        if ax is None:
            width = max(4, 0.8 + UPRIGHT * len(self.values)) * len(self.scores)
            _, ax = plt.subplots(1, len(self.scores), figsize=(width, 3.2), layout="constrained", squeeze=False)
        self.axes_ = np.ravel(np.asarray(ax, dtype=object))
        if len(self.axes_) != len(self.scores):
            raise ValueError(f"There are {len(self.scores)} scores to draw, and {len(self.axes_)} axes.")
        self.ax_, self.figure_ = self.axes_[0], figure_of(self.axes_[0])
        for ax, (name, runs) in zip(self.axes_, self.scores.items(), strict=True):
            spread = np.array([deviation(row[:, None])[0] for row in runs])
            ax.errorbar(np.arange(len(runs)), runs.mean(axis=1), yerr=spread, fmt="o-", capsize=3)
            labels = [label_of(value) for value in self.values]
            turned = 0 if sum(len(label) + 1 for label in labels) <= MOST_LETTERS else 30
            turned = 90 if turned and len(labels) > MOST_SLANTED else turned
            ax.set_xticks(np.arange(len(runs)), labels, rotation=turned, ha="right" if turned == 30 else "center")
            ax.set(title=label_of(name), xlabel=label_of(self.parameter))
        return self


def _values_of(cv_results: Any, parameter: str) -> tuple[list[Any], Sequence[bool]]:
    """The value of each candidate, and which of them do not set the parameter."""
    candidates = list(cv_results["params"]) if "params" in cv_results else []
    if candidates and all(isinstance(own, Mapping) for own in candidates):
        return [own.get(parameter) for own in candidates], [parameter not in own for own in candidates]
    column = cv_results[f"param_{parameter}"]  # such as of a table that was read from a file
    if isinstance(column, np.ma.MaskedArray):
        return list(column.data), np.ma.getmaskarray(column).tolist()
    # A DataFrame has NaN where `cv_results_` is masked, and of None beside strings.
    return list(column), [isinstance(one, float) and one != one for one in column]


def _rows_by_value(values: Sequence[Any], unset: Sequence[bool]) -> dict[str, list[int]]:
    """The candidates that have each value, by its label; those that do not set the parameter have none."""
    rows: dict[str, list[int]] = {}
    for i, value in enumerate(values):
        if not unset[i]:
            rows.setdefault(shown(value), []).append(i)
    firsts = [values[own[0]] for own in rows.values()]
    labels = [f"{value:g}" if isinstance(value, float) else str(value) for value in firsts]
    if len(set(labels)) < len(labels):  # floats that six digits do not tell apart
        labels = [str(value) for value in firsts]
    if len(set(labels)) < len(labels):  # such as 0.1 and "0.1"
        return rows
    return dict(zip(labels, rows.values(), strict=True))
