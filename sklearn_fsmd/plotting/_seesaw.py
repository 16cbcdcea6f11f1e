"""What several models gain on two tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sklearn_fsmd.compose import ask, fitted_model
from sklearn_fsmd.encoding import as_pandas, index_of_target, warn_of_order
from sklearn_fsmd.metrics import auc_per_task, by_classes, multi_task_gain
from sklearn_fsmd.plotting._axes import axes_of, deviation, keep_apart, label_of

MARKERS = "osD^v"
"""The next one for every ten models: then the colours begin anew."""


class SeesawDisplay:
    """Each model's gain on one task against its gain on another, over a baseline (the paper's Fig. 10).

    Upper right of the lines a model is better in both, lower left worse; in the other quarters it pays for one task
    with the other.

    Parameters
    ----------
    gains : dict of array-like of shape (2,) or (n_seeds, 2)
        For each model the gains on the two tasks.
    baseline : str, the model that the gains are over.
    task_names : sequence of two str

    Attributes
    ----------
    ax_, figure_ : the axes and the figure, after `plot`.

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
        """From the scores of each model.

        Parameters
        ----------
        scores : dict of array-like of shape (2,) or (n_seeds, 2)
            For each model its AUCs of the two tasks, seed by seed in the same order.
        baseline : str, one of the names.
        task_names : sequence of two str
        **kw : passed to `plot`.

        Returns
        -------
        display : SeesawDisplay
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
        """From fitted estimators, or Pipelines of them, whose AUCs are measured on `X` and `Y`.

        Parameters
        ----------
        estimators : dict of str to fitted estimators, or Pipelines of them.
        X, Y : rows that they were not trained on, and their targets.
            All are scored on the same rows: a label that follows from the step before in one of the models, such as no
            conversion after no click, counts for all.
        baseline : str, one of the names.
        tasks : tuple of two int or str, default=(0, 1)
            Two binary targets, by their indices or names.
        **kw : passed to `plot`.

        Returns
        -------
        display : SeesawDisplay
        """
        if baseline not in estimators:
            raise ValueError(f"The baseline {baseline!r} is none of the models: {list(estimators)}.")
        warn_of_order(X, Y)
        names = {name: fitted_model(estimator).task_names_ for name, estimator in estimators.items()}[baseline]
        both = [index_of_target(task, names, "binary target") for task in tasks]
        labels = _known_to_any([by_classes(Y, e) for e in estimators.values()])
        scores = {name: auc_per_task(labels, ask(e, "predict_marginals", X))[both] for name, e in estimators.items()}
        return cls.from_scores(scores, baseline=baseline, task_names=[names[k] for k in both], **kw)

    def plot(self, ax: Any = None, *, color: Any = None) -> SeesawDisplay:
        """Draw a point per model, with bars of one standard deviation over the seeds.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        color : colour of matplotlib, default=None
            That of all points; None gives each model its own.

        Returns
        -------
        display : SeesawDisplay
        """
        self.ax_, self.figure_ = axes_of(self, ax)
        for line in (self.ax_.axhline, self.ax_.axvline):
            line(0, color="0.6", linewidth=0.8, zorder=0)
        labels = []
        for i, (name, gains) in enumerate(self.gains.items()):
            x, y = gains.mean(axis=0)
            dx, dy = deviation(gains)
            point = self.ax_.errorbar(
                x, y, xerr=dx, yerr=dy, fmt=MARKERS[i // 10 % len(MARKERS)], color=color, capsize=2, elinewidth=0.8
            )
            labels.append(self.ax_.text(x, y, label_of(name), color=point[0].get_color()))
        self.ax_.margins(0.2)  # room for the names
        self.ax_.set_xlabel(f"{label_of(self.task_names[0])}:\ngain in AUC over {label_of(self.baseline)}")
        self.ax_.set_ylabel(f"{label_of(self.task_names[1])}:\ngain in AUC over {label_of(self.baseline)}")
        keep_apart(labels, self.ax_)
        return self


def _known_to_any(labels: Sequence[Any]) -> np.ndarray:
    """The labels ``(n, K)``, NaN where no model knows one, of what each model makes of Y."""
    first, *others = (np.asarray(as_pandas(own), dtype=float) for own in labels)
    together = first.copy()
    for own in others:
        together = np.where(np.isnan(together), own, together)
    return together
