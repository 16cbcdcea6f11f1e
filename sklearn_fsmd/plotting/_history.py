"""HistoryDisplay: the validation AUC during the fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sklearn_fsmd.compose import fitted_model
from sklearn_fsmd.parameters import OF_ALL_TASKS
from sklearn_fsmd.plotting._axes import axes_of, choose_ticks, label_of


class HistoryDisplay:
    """Plot of the validation AUC of each task after each epoch.

    Parameters
    ----------
    epochs : sequence of int
        Numbers of the epochs.
    auc : ndarray of shape (n_epochs, n_tasks)
        Validation AUC.
    task_names : sequence of str
        Names of the binary targets.
    best : int, default=None
        Epoch whose weights the model has. None if there is no such epoch: tasks that share nothing each keep their own
        best weights, and `partial_fit` trains the kept weights further.

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
    >>> from sklearn_fsmd.plotting import HistoryDisplay
    >>> X, Y = make_funnel(500, random_state=0, return_X_y=True)
    >>> model = FSMDClassifier(max_epochs=2, random_state=0).fit(
    ...     X[:400], Y[:400], X_val=X[400:], Y_val=Y[400:]
    ... )
    >>> display = HistoryDisplay.from_estimator(model)
    >>> display.auc.shape  # two epochs, two tasks
    (2, 2)
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
        """Create and draw the display from a model that was fitted with validation data.

        Parameters
        ----------
        estimator : MultiTaskClassifier, or a Pipeline or search that ends in one
            Fitted model.
        **kw : dict
            Arguments of `plot`.

        Returns
        -------
        display : HistoryDisplay
            Display that has been drawn.

        Raises
        ------
        TypeError
            If `estimator` is not a classifier of this library.
        ValueError
            If the fit had no validation data, which is the default with fewer than 1000 rows.
        """
        estimator = fitted_model(estimator)
        rows = [epoch for epoch in estimator.history_ if "valid_auc" in epoch]
        if not rows:
            raise ValueError("The fit had no validation data, so there is no AUC to draw; see `early_stopping`.")
        auc = np.array([[epoch[f"valid_auc_{name}"] for name in estimator.task_names_] for epoch in rows])
        best = max((epoch["epoch"] for epoch in rows if epoch["valid_best"]), default=None)
        has_best_per_task = estimator.module_.shares_nothing and estimator.validation_metric in OF_ALL_TASKS
        if has_best_per_task or rows[-1] is not estimator.history_[-1]:
            best = None  # each task has kept its own best weights, or the weights have been trained further
        return cls([epoch["epoch"] for epoch in rows], auc, task_names=estimator.task_names_, best=best).plot(**kw)

    def plot(self, ax: Any = None) -> HistoryDisplay:
        """Draw a curve per task, and a line at the epoch whose weights were kept.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None creates a figure.

        Returns
        -------
        display : HistoryDisplay
            The display itself.
        """
        self.ax_, self.figure_ = axes_of(self, ax)
        for name, auc in zip(self.task_names, self.auc.T, strict=True):
            self.ax_.plot(self.epochs, auc, "o-", label=label_of(name))
        if self.best is not None:
            self.ax_.axvline(self.best, color="grey", linestyle=":", label="kept")
        self.ax_.set(xlabel="epoch", ylabel="validation AUC")
        choose_ticks(self.ax_.xaxis, integer=True, min_n_ticks=1)
        self.ax_.legend()
        return self
