"""GateWeightsDisplay: the weights of the experts in the gates of the tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sklearn_fsmd.compose import ask, fitted_model
from sklearn_fsmd.plotting._axes import LETTER_WIDTH, figure_of, label_of, pyplot_for


class GateWeightsDisplay:
    """Heat map of the weight that the gate of each task gives to each expert, on average over rows.

    Parameters
    ----------
    weights : ndarray of shape (n_levels, n_tasks + n_values, n_experts)
        Mean weights.
    task_names : sequence of str
        Names of the tasks, those of values last.
    expert_names : sequence of str, default=None
        Names of the experts; None numbers them.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        One axes per level; set by `plot`.
    ax_ : matplotlib Axes
        First of `axes_`.
    figure_ : matplotlib Figure
        Figure that contains the axes; set by `plot`.

    Examples
    --------
    >>> from sklearn_fsmd import FSMDClassifier
    >>> from sklearn_fsmd.datasets import make_funnel
    >>> from sklearn_fsmd.plotting import GateWeightsDisplay
    >>> X, Y = make_funnel(500, random_state=0, return_X_y=True)
    >>> model = FSMDClassifier(max_epochs=1, random_state=0).fit(X[:400], Y[:400])
    >>> display = GateWeightsDisplay.from_estimator(model, X[400:])
    >>> display.weights.shape  # one level, two tasks, two experts of each and two shared ones
    (1, 2, 6)
    """

    def __init__(
        self, weights: np.ndarray, *, task_names: Sequence[str], expert_names: Sequence[str] | None = None
    ) -> None:
        self.weights = weights
        self.task_names = list(task_names)
        self.expert_names = list(expert_names or (str(e) for e in range(weights.shape[2])))

    @classmethod
    def from_estimator(cls, estimator: Any, X: Any, **kw: Any) -> GateWeightsDisplay:
        """Compute the gate weights of a model with gates, and draw them.

        Parameters
        ----------
        estimator : MultiTaskClassifier, or a Pipeline or search that ends in one
            Fitted model whose extractor has gates, such as PLE or MMoE.
        X : table of shape (n_samples, n_features)
            Rows over which the weights are averaged.
        **kw : dict
            Arguments of `plot`.

        Returns
        -------
        display : GateWeightsDisplay
            Display that has been drawn.
        """
        model = fitted_model(estimator)
        weights = ask(estimator, "gate_weights", X).mean(axis=0)
        tasks = [*model.task_names_, *model.value_names_]
        owners = [*tasks, "shared"]  # the experts of PLE belong to a task or are shared
        names = [owners[group] for group in getattr(model.module_.extractor, "groups", [])]
        expert_names = [f"{name} {names[:e].count(name) + 1}" for e, name in enumerate(names)]
        return cls(weights, task_names=tasks, expert_names=expert_names or None).plot(**kw)

    def plot(self, ax: Any = None, *, cmap: str = "Blues") -> GateWeightsDisplay:
        """Draw a heat map of tasks and experts for each level.

        Parameters
        ----------
        ax : matplotlib Axes, or array-like of one per level, default=None
            Axes to draw on; None creates a figure.
        cmap : str, default="Blues"
            Colormap of matplotlib, from weight 0 to the largest weight.

        Returns
        -------
        display : GateWeightsDisplay
            The display itself.
        """
        plt = pyplot_for(self)
        n_levels, n_tasks, n_experts = self.weights.shape
        longest, largest = max(len(label_of(name, 20)) for name in self.expert_names), self.weights.max()
        task_label_width = LETTER_WIDTH * max(len(label_of(name)) for name in self.task_names)
        size = (0.7 + task_label_width + max(0.7, 0.1 * longest) * n_experts, (0.8 + 0.5 * n_tasks) * n_levels)
        if ax is None:
            _, ax = plt.subplots(n_levels, 1, figsize=size, layout="constrained", squeeze=False)
        self.axes_ = np.ravel(np.asarray(ax, dtype=object))
        if len(self.axes_) != n_levels:
            raise ValueError(f"There are {n_levels} levels to draw, and {len(self.axes_)} axes.")
        self.ax_, self.figure_ = self.axes_[0], figure_of(self.axes_[0])
        for j, (ax, level) in enumerate(zip(self.axes_, self.weights, strict=True)):
            ax.imshow(level, cmap=cmap, vmin=0, vmax=largest, aspect="auto")
            for (k, e), weight in np.ndenumerate(level):
                ax.text(
                    e,
                    k,
                    f"{weight:.2f}",
                    ha="center",
                    va="center",
                    color="white" if weight > 0.5 * largest else "black",
                )
            ax.set_xticks(np.arange(n_experts), [label_of(name, 20) for name in self.expert_names])
            ax.set_yticks(np.arange(n_tasks), [label_of(name) for name in self.task_names])
            ax.set(xlabel="expert", title=f"level {j + 1}")
        return self
