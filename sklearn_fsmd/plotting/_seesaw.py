"""SeesawDisplay: the gains of several models on two tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sklearn_fsmd.compose import ask, fitted_model
from sklearn_fsmd.encoding.table import as_pandas
from sklearn_fsmd.encoding.targets import index_of_target
from sklearn_fsmd.encoding.warnings import warn_of_order
from sklearn_fsmd.metrics import auc_per_task, by_classes, multi_task_gain
from sklearn_fsmd.plotting._axes import axes_of, keep_apart, label_of, standard_deviations

MARKERS = "osD^v"
"""Markers of the first ten models, the next ten and so on, since matplotlib has ten colours."""


class SeesawDisplay:
    """Plot of the gains of models over a baseline, on one task against another (the paper's Fig. 10).

    A model in the upper right quadrant is better than the baseline on both tasks, a model in the lower left worse. In
    the other quadrants, a model improves one task at the expense of the other.

    Parameters
    ----------
    gains : dict of str to array-like of shape (2,) or (n_seeds, 2)
        Gains of each model on the two tasks.
    baseline : str
        Name of the model that the others are compared with.
    task_names : sequence of two str
        Names of the two tasks.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes of the plot; set by `plot`.
    figure_ : matplotlib Figure
        Figure that contains the axes; set by `plot`.

    Examples
    --------
    >>> from sklearn_fsmd.plotting import SeesawDisplay
    >>> auc = {"Single-Task": [0.73, 0.72], "MMoE": [0.74, 0.71], "FSMD": [0.74, 0.73]}
    >>> display = SeesawDisplay.from_scores(auc, baseline="Single-Task")
    >>> display.gains["MMoE"].round(2)
    array([[ 0.01, -0.01]])
    """

    def __init__(self, gains: Mapping[str, Any], *, baseline: str, task_names: Sequence[str]) -> None:
        self.gains = {name: np.atleast_2d(np.asarray(gain, dtype=float)) for name, gain in gains.items()}
        self.baseline = baseline
        self.task_names = list(task_names)

    @classmethod
    def from_scores(
        cls, scores: Mapping[str, Any], *, baseline: str, task_names: Sequence[str] = ("click", "conversion"), **kw: Any
    ) -> SeesawDisplay:
        """Compute the gains from the scores of each model, and draw them.

        Parameters
        ----------
        scores : dict of str to array-like of shape (2,) or (n_seeds, 2)
            AUCs of each model on the two tasks, with the seeds in the same order for all models.
        baseline : str
            Name of the model that the others are compared with.
        task_names : sequence of two str, default=("click", "conversion")
            Names of the two tasks.
        **kw : dict
            Arguments of `plot`.

        Returns
        -------
        display : SeesawDisplay
            Display that has been drawn.

        Raises
        ------
        ValueError
            If `baseline` is not a key of `scores`, or a model does not have two scores for each seed of the baseline.
        """
        if baseline not in scores:
            raise ValueError(f"The baseline {baseline!r} is none of the models: {list(scores)}.")
        rows = {name: np.atleast_2d(np.asarray(score, dtype=float)) for name, score in scores.items()}
        for name, row in rows.items():
            if row.shape != rows[baseline].shape or row.shape[1] != 2:
                raise ValueError(
                    f"Each model needs two scores, for as many seeds as the baseline ({len(rows[baseline])}). "
                    f"{name!r} has the shape {row.shape}."
                )
        gains = {name: multi_task_gain(row, rows[baseline]) for name, row in rows.items()}
        return cls(gains, baseline=baseline, task_names=task_names).plot(**kw)

    @classmethod
    def from_estimators(
        cls,
        estimators: Mapping[str, Any],
        X: Any,
        Y: Any,
        *,
        baseline: str,
        tasks: tuple[int | str, int | str] = (0, 1),
        **kw: Any,
    ) -> SeesawDisplay:
        """Compute the gains in AUC of fitted models on test data, and draw them.

        Parameters
        ----------
        estimators : dict of str to MultiTaskClassifier, or to Pipelines or searches that end in one
            Fitted models.
        X, Y : table and targets of n rows
            Test data, on which the models were not trained, in the form that `score` of the models takes. All models
            are evaluated on the same rows: a missing label that one of them infers from the step before, such as no
            conversion without a click, is used for all.
        baseline : str
            Name of the model that the others are compared with.
        tasks : tuple of two int or str, default=(0, 1)
            Two binary targets, by their indices or names.
        **kw : dict
            Arguments of `plot`.

        Returns
        -------
        display : SeesawDisplay
            Display that has been drawn.

        Raises
        ------
        ValueError
            If `baseline` is not a key of `estimators`, or `tasks` does not name binary targets.
        """
        if baseline not in estimators:
            raise ValueError(f"The baseline {baseline!r} is none of the models: {list(estimators)}.")
        warn_of_order(X, Y)
        names = {name: fitted_model(estimator).task_names_ for name, estimator in estimators.items()}[baseline]
        both = [index_of_target(task, names, "binary target") for task in tasks]
        labels = _combined_labels([by_classes(Y, e) for e in estimators.values()])
        scores = {name: auc_per_task(labels, ask(e, "predict_marginals", X))[both] for name, e in estimators.items()}
        return cls.from_scores(scores, baseline=baseline, task_names=[names[k] for k in both], **kw)

    def plot(self, ax: Any = None, *, color: Any = None) -> SeesawDisplay:
        """Draw a point per model, with bars of one standard deviation over the seeds.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None creates a figure.
        color : matplotlib color, default=None
            Colour of all points; None gives each model its own.

        Returns
        -------
        display : SeesawDisplay
            The display itself.
        """
        self.ax_, self.figure_ = axes_of(self, ax)
        for line in (self.ax_.axhline, self.ax_.axvline):
            line(0, color="0.6", linewidth=0.8, zorder=0)
        labels = []
        for i, (name, gains) in enumerate(self.gains.items()):
            x, y = gains.mean(axis=0)
            dx, dy = standard_deviations(gains)
            point = self.ax_.errorbar(
                x, y, xerr=dx, yerr=dy, fmt=MARKERS[i // 10 % len(MARKERS)], color=color, capsize=2, elinewidth=0.8
            )
            labels.append(self.ax_.text(x, y, label_of(name), color=point[0].get_color()))
        self.ax_.margins(0.2)  # room for the names
        self.ax_.set_xlabel(f"{label_of(self.task_names[0])}:\ngain in AUC over {label_of(self.baseline)}")
        self.ax_.set_ylabel(f"{label_of(self.task_names[1])}:\ngain in AUC over {label_of(self.baseline)}")
        keep_apart(labels, self.ax_)
        return self


def _combined_labels(labels: Sequence[Any]) -> np.ndarray:
    """Combine the labels ``(n, K)`` as each model encodes them; NaN only where they are missing for all models."""
    combined, *others = (np.asarray(as_pandas(encoded), dtype=float) for encoded in labels)
    for encoded in others:
        combined = np.where(np.isnan(combined), encoded, combined)
    return combined
