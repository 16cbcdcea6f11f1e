"""Displays in scikit-learn's manner: made ``from_…`` what there is, drawn by ``plot``, with the axes kept as `ax_`.

They need matplotlib and adjustText: ``pip install sklearn-fsmd[plot]``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.utils._optional_dependencies import check_matplotlib_support
from sklearn.utils.validation import check_is_fitted

from sklearn_fsmd.compose import ask
from sklearn_fsmd.metrics import auc_per_task, labels_of, model_of, multi_task_gain

__all__ = ["AblationDisplay", "GateWeightsDisplay", "HistoryDisplay", "SeesawDisplay"]


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
        gains = {name: multi_task_gain(row, rows[baseline]) for name, row in rows.items()}  # type: ignore[arg-type]
        return cls(gains, baseline=baseline, task_names=task_names).plot(**kw)

    @classmethod
    def from_estimators(
        cls, estimators: Mapping[str, Any], X: Any, Y: Any, *, baseline: str, tasks: tuple[int, int] = (0, 1), **kw: Any
    ) -> SeesawDisplay:
        """From fitted estimators, or Pipelines of them, whose AUCs are measured on `X` and `Y`.

        `tasks` are the indices of two binary targets.
        """
        scores = {
            name: auc_per_task(labels_of(e, Y), ask(e, "predict_marginals", X))[list(tasks)]
            for name, e in estimators.items()
        }
        names = model_of(next(iter(estimators.values()))).task_names_
        return cls.from_scores(scores, baseline=baseline, task_names=[names[k] for k in tasks], **kw)

    def plot(self, ax: Any = None, *, color: Any = None) -> SeesawDisplay:
        """Draw a point per model, with bars of one standard deviation over the seeds."""
        self.ax_, self.figure_ = _axes(self, ax)
        for gain in (self.ax_.axhline, self.ax_.axvline):
            gain(0, color="0.6", linewidth=0.8, zorder=0)
        labels = []
        for name, gains in self.gains.items():
            x, y = gains.mean(axis=0)
            dx, dy = _deviation(gains)
            point = self.ax_.errorbar(x, y, xerr=dx, yerr=dy, fmt="o", color=color, capsize=2, elinewidth=0.8)
            labels.append(self.ax_.text(x, y, name, color=point[0].get_color()))
        self.ax_.margins(0.2)  # room for the names
        self.ax_.set_xlabel(f"{self.task_names[0]}: gain in AUC over {self.baseline}")
        self.ax_.set_ylabel(f"{self.task_names[1]}: gain in AUC over {self.baseline}")
        _keep_apart(labels, self.ax_)
        return self


class AblationDisplay:
    """Scores against the values of one parameter (the paper's Figs. 11 to 13).

    Parameters
    ----------
    values : list of the values of the parameter, in the order in which they are drawn.
    scores : dict of ndarray of shape (n_values, n_runs), a curve each.
    parameter : str, the label of the axis.

    Attributes
    ----------
    axes_, figure_ : an axes a score, and the figure, after `plot`.
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

        Candidates that differ in other parameters, such as `random_state`, are runs of the same value.

        Parameters
        ----------
        cv_results : dict or DataFrame
        parameter : str, the parameter that was varied.
        scores : sequence of str, default=None
            Names of the scores; None takes all.
        labels : sequence of str, default=None
            What to call the values, in the order of their first appearance.
        **kw : passed to `plot`.
        """
        column = f"param_{parameter}"
        if column not in cv_results:
            known = [name.removeprefix("param_") for name in cv_results if name.startswith("param_")]
            raise ValueError(f"The grid search did not vary {parameter!r}; it has {known}.")
        found = [name.removeprefix("mean_test_") for name in cv_results if name.startswith("mean_test_")]
        unknown = [name for name in scores or () if name not in found]
        if unknown:
            raise ValueError(f"There is no score {unknown[0]!r} in the results; there are {found}.")
        given = [str(value) for value in cv_results[column]]
        values = list(dict.fromkeys(given))
        if labels is not None and len(labels) != len(values):
            raise ValueError(f"There are {len(values)} values of {parameter!r}, {values}, and {len(labels)} labels.")
        rows = [np.flatnonzero(np.array(given) == value) for value in values]
        if len({len(row) for row in rows}) > 1:
            raise ValueError(f"The values of {parameter!r} must have equally many runs. Got {[len(r) for r in rows]}.")
        curves = {}
        for name in scores or found:
            column_of_scores = np.asarray(cv_results[f"mean_test_{name}"], dtype=float)
            curves[name] = np.stack([column_of_scores[row] for row in rows])
        return cls(labels or values, curves, parameter=parameter).plot(**kw)

    def plot(self, axes: Any = None) -> AblationDisplay:
        """Draw a curve a score, each in axes of its own: the mean over the runs, with one standard deviation."""
        check_matplotlib_support("AblationDisplay.plot")
        import matplotlib.pyplot as plt

        if axes is None:
            width = 4 * len(self.scores)
            _, axes = plt.subplots(1, len(self.scores), figsize=(width, 3.2), layout="constrained", squeeze=False)
        self.axes_ = np.ravel(np.asarray(axes, dtype=object))
        if len(self.axes_) != len(self.scores):
            raise ValueError(f"There are {len(self.scores)} scores to draw, and {len(self.axes_)} axes.")
        self.figure_ = self.axes_[0].figure
        for ax, (name, runs) in zip(self.axes_, self.scores.items(), strict=True):
            deviation = np.array([_deviation(row[:, None])[0] for row in runs])
            ax.errorbar(np.arange(len(runs)), runs.mean(axis=1), yerr=deviation, fmt="o-", capsize=3)
            ax.set_xticks(np.arange(len(runs)), [str(value) for value in self.values])
            ax.set(title=name, xlabel=self.parameter)
        return self


class GateWeightsDisplay:
    """The weight that each task's gate gives to each expert, on average over rows.

    Parameters
    ----------
    weights : ndarray of shape (n_levels, n_tasks, n_experts)
    task_names : sequence of str
    expert_names : sequence of str, default=None
        By default they are numbered.

    Attributes
    ----------
    axes_, figure_ : an axes per level, and the figure, after `plot`.
    """

    def __init__(
        self, weights: np.ndarray, *, task_names: Sequence[str], expert_names: Sequence[str] | None = None
    ) -> None:
        self.weights = weights
        self.task_names = list(task_names)
        self.expert_names = list(expert_names or (str(e) for e in range(weights.shape[2])))

    @classmethod
    def from_estimator(cls, estimator: Any, X: Any, **kw: Any) -> GateWeightsDisplay:
        """From a fitted estimator with gates, or a Pipeline of one, and the rows to average over.

        `kw` is passed to `plot`.
        """
        weights, model = ask(estimator, "gate_weights", X).mean(axis=0), model_of(estimator)
        tasks = [*model.task_names_, *model.value_names_]
        owners = [*tasks, "shared"]  # PLE knows whose each expert is
        names = [owners[group] for group in getattr(model.module_.extractor, "groups", [])]
        numbered = [f"{name} {names[:e].count(name) + 1}" for e, name in enumerate(names)]
        return cls(weights, task_names=tasks, expert_names=numbered or None).plot(**kw)

    def plot(self, *, cmap: str = "Blues") -> GateWeightsDisplay:
        """Draw a map of tasks and experts for each level."""
        check_matplotlib_support("GateWeightsDisplay.plot")
        import matplotlib.pyplot as plt

        n_levels, n_tasks, n_experts = self.weights.shape
        longest = max(map(len, self.expert_names))
        size = (1.2 + max(0.7, 0.1 * longest) * n_experts, (0.8 + 0.5 * n_tasks) * n_levels)
        self.figure_, axes = plt.subplots(n_levels, 1, figsize=size, layout="constrained", squeeze=False)
        self.axes_ = axes[:, 0]
        for j, (ax, level) in enumerate(zip(self.axes_, self.weights, strict=True)):
            ax.imshow(level, cmap=cmap, vmin=0, vmax=1, aspect="auto")
            for (k, e), weight in np.ndenumerate(level):
                ax.text(e, k, f"{weight:.2f}", ha="center", va="center", color="white" if weight > 0.5 else "black")
            ax.set_xticks(np.arange(n_experts), self.expert_names)
            ax.set_yticks(np.arange(n_tasks), self.task_names)
            ax.set(xlabel="expert", title=f"level {j + 1}")
        return self


class HistoryDisplay:
    """The validation AUC of each task, epoch by epoch.

    Parameters
    ----------
    epochs : the numbers of the epochs.
    auc : ndarray of shape (n_epochs, n_tasks)
    task_names : sequence of str
    best : the epoch whose weights were kept; None if it is not known.

    Attributes
    ----------
    ax_, figure_ : the axes and the figure, after `plot`.
    """

    def __init__(
        self, epochs: Sequence[int], auc: np.ndarray, *, task_names: Sequence[str], best: int | None = None
    ) -> None:
        self.epochs = list(epochs)
        self.auc = auc
        self.task_names = list(task_names)
        self.best = best

    @classmethod
    def from_estimator(cls, estimator: Any, **kw: Any) -> HistoryDisplay:
        """From a fitted estimator, or a Pipeline or search around one, that had validation data.

        `kw` is passed to `plot`.
        """
        check_is_fitted(estimator)
        estimator = model_of(estimator)
        rows = [epoch for epoch in estimator.history_ if "valid_auc" in epoch]
        if not rows:
            raise ValueError("The fit had no validation data, so there is no AUC to draw; see `early_stopping`.")
        auc = np.array([[epoch[f"valid_auc_{name}"] for name in estimator.task_names_] for epoch in rows])
        best = max((epoch["epoch"] for epoch in rows if epoch["valid_best"]), default=None)
        return cls([epoch["epoch"] for epoch in rows], auc, task_names=estimator.task_names_, best=best).plot(**kw)

    def plot(self, ax: Any = None) -> HistoryDisplay:
        """Draw a curve per task, and a line at the epoch whose weights were kept."""
        self.ax_, self.figure_ = _axes(self, ax)
        for name, auc in zip(self.task_names, self.auc.T, strict=True):
            self.ax_.plot(self.epochs, auc, "o-", label=name)
        if self.best is not None:
            self.ax_.axvline(self.best, color="grey", linestyle=":", label="kept")
        self.ax_.set(xlabel="epoch", ylabel="validation AUC")
        self.ax_.xaxis.get_major_locator().set_params(integer=True)
        self.ax_.legend()
        return self


def _axes(display: Any, ax: Any) -> tuple[Any, Any]:
    """The axes to draw on, new ones if none are given, and their figure."""
    check_matplotlib_support(f"{type(display).__name__}.plot")
    import matplotlib.pyplot as plt

    if ax is None:
        _, ax = plt.subplots(layout="constrained")
    return ax, ax.figure


def _keep_apart(labels: list[Any], ax: Any) -> None:
    """Move labels until they overlap neither each other nor the points, inside the frame."""
    from adjustText import adjust_text

    points = np.array([label.get_position() for label in labels])
    adjust_text(labels, *points.T, ax=ax, arrowprops={"arrowstyle": "-", "color": "0.6", "linewidth": 0.6})


def _deviation(runs: np.ndarray) -> np.ndarray:
    """The standard deviation of each column over the runs; 0 where there is one."""
    return runs.std(axis=0, ddof=1) if len(runs) > 1 else np.zeros(runs.shape[1])
