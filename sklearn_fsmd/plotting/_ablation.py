"""Scores against the values of a parameter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sklearn_fsmd.encoding.columns import shown
from sklearn_fsmd.plotting._axes import figure_of, label_of, pyplot_for, standard_deviations

MAX_HORIZONTAL_LETTERS = 36
"""Tick labels with more letters in total are slanted."""
MAX_SLANTED_LABELS = 11
"""If there are more labels, they are vertical, since slanted ones would not be legible."""
VERTICAL_LABEL_WIDTH = 0.16
"""Inches."""


class AblationDisplay:
    """Plot of scores against the values of one parameter (the paper's Figs. 11 to 13).

    Parameters
    ----------
    values : sequence of length n_values
        Values of the parameter, in the order in which they are drawn.
    scores : dict of str to ndarray of shape (n_values, n_runs)
        Scores by name. Each is a curve.
    parameter : str
        Name of the parameter, the label of the x axis.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        One axes per score; set by `plot`.
    ax_ : matplotlib Axes
        First of `axes_`.
    figure_ : matplotlib Figure
        Figure that contains the axes; set by `plot`.

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
        """Create and draw the display from the `cv_results_` of a GridSearchCV.

        Candidates that have the same value and differ in other parameters, such as `random_state`, are runs of that
        value. Candidates that do not set the parameter, in a search over a list of grids, are left out.

        Parameters
        ----------
        cv_results : dict or DataFrame
            Attribute `cv_results_` of the fitted search.
        parameter : str
            Name of the parameter that was varied.
        scores : sequence of str, default=None
            Names of the scores to draw; None means all.
        labels : sequence of str, default=None
            Labels of the values, in the order in which the values first appear; None means the values themselves.
        **kw : dict
            Arguments of `plot`.

        Returns
        -------
        display : AblationDisplay
            Display that has been drawn.

        Raises
        ------
        ValueError
            If the parameter was not varied, a score is not in the results, the number of labels is not that of the
            values, or the values have different numbers of runs.
        """
        column = f"param_{parameter}"
        if column not in cv_results:
            varied = [name.removeprefix("param_") for name in cv_results if name.startswith("param_")]
            raise ValueError(f"The grid search did not vary {parameter!r}; it has {varied}.")
        available = [name.removeprefix("mean_test_") for name in cv_results if name.startswith("mean_test_")]
        if not available:
            raise ValueError(f"`cv_results` has no scores: no column 'mean_test_…' is among {list(cv_results)}.")
        chosen = available if scores is None else list(scores)
        if not chosen:
            raise ValueError("`scores` names no score.")
        unknown = [name for name in chosen if name not in available]
        if unknown:
            raise ValueError(f"There is no score {unknown[0]!r} in the results; there are {available}.")
        candidates = _candidates_by_label(*_values_of(cv_results, parameter))
        values, sizes = list(candidates), [len(runs) for runs in candidates.values()]
        if labels is not None and len(labels) != len(values):
            raise ValueError(f"There are {len(values)} values of {parameter!r}, {values}, and {len(labels)} labels.")
        if len(set(sizes)) > 1:
            raise ValueError(f"The values of {parameter!r} must have equally many runs. Got {sizes}.")
        curves = {}
        for name in chosen:
            mean_scores = np.asarray(cv_results[f"mean_test_{name}"], dtype=float)
            curves[name] = np.stack([mean_scores[runs] for runs in candidates.values()])
        return cls(values if labels is None else labels, curves, parameter=parameter).plot(**kw)

    def plot(self, ax: Any = None) -> AblationDisplay:
        """Draw a curve per score, each in its own axes: the mean over the runs, with bars of one standard deviation.

        Parameters
        ----------
        ax : matplotlib Axes, or array-like of one per score, default=None
            Axes to draw on; None creates a figure.

        Returns
        -------
        display : AblationDisplay
            The display itself.
        """
        plt = pyplot_for(self)
        if ax is None:
            width = max(4, 0.8 + VERTICAL_LABEL_WIDTH * len(self.values)) * len(self.scores)
            _, ax = plt.subplots(1, len(self.scores), figsize=(width, 3.2), layout="constrained", squeeze=False)
        self.axes_ = np.ravel(np.asarray(ax, dtype=object))
        if len(self.axes_) != len(self.scores):
            raise ValueError(f"There are {len(self.scores)} scores to draw, and {len(self.axes_)} axes.")
        self.ax_, self.figure_ = self.axes_[0], figure_of(self.axes_[0])
        for ax, (name, runs) in zip(self.axes_, self.scores.items(), strict=True):
            spread = np.array([standard_deviations(row[:, None])[0] for row in runs])
            ax.errorbar(np.arange(len(runs)), runs.mean(axis=1), yerr=spread, fmt="o-", capsize=3)
            labels = [label_of(value) for value in self.values]
            angle = 0 if sum(len(label) + 1 for label in labels) <= MAX_HORIZONTAL_LETTERS else 30
            angle = 90 if angle and len(labels) > MAX_SLANTED_LABELS else angle
            ax.set_xticks(np.arange(len(runs)), labels, rotation=angle, ha="right" if angle == 30 else "center")
            ax.set(title=label_of(name), xlabel=label_of(self.parameter))
        return self


def _values_of(cv_results: Any, parameter: str) -> tuple[list[Any], Sequence[bool]]:
    """The value of each candidate, and whether the candidate does not set the parameter."""
    candidates = list(cv_results["params"]) if "params" in cv_results else []
    if candidates and all(isinstance(params, Mapping) for params in candidates):
        return [params.get(parameter) for params in candidates], [parameter not in params for params in candidates]
    column = cv_results[f"param_{parameter}"]  # the results may have been read from a file
    if isinstance(column, np.ma.MaskedArray):
        return list(column.data), np.ma.getmaskarray(column).tolist()
    # A DataFrame has NaN for masked entries of `cv_results_`, and for None among strings.
    return list(column), [isinstance(value, float) and value != value for value in column]


def _candidates_by_label(values: Sequence[Any], is_unset: Sequence[bool]) -> dict[str, list[int]]:
    """The indices of the candidates with each value, by the label of the value."""
    candidates: dict[str, list[int]] = {}
    for i, value in enumerate(values):
        if not is_unset[i]:
            candidates.setdefault(shown(value), []).append(i)
    distinct = [values[indices[0]] for indices in candidates.values()]
    labels = [f"{value:g}" if isinstance(value, float) else str(value) for value in distinct]
    if len(set(labels)) < len(labels):  # floats that are equal in six digits
        labels = [str(value) for value in distinct]
    if len(set(labels)) < len(labels):  # such as 0.1 and "0.1"
        return candidates
    return dict(zip(labels, candidates.values(), strict=True))
