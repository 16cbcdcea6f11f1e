"""What was seen of the validation data during the fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sklearn_fsmd.compose import fitted_model
from sklearn_fsmd.parameters import OF_ALL_TASKS
from sklearn_fsmd.plotting._axes import axes_of, choose_ticks, label_of


class HistoryDisplay:
    """The validation AUC of each task, epoch by epoch.

    Parameters
    ----------
    epochs : the numbers of the epochs.
    auc : ndarray of shape (n_epochs, n_tasks)
    task_names : sequence of str
    best : the epoch whose weights were kept. None if there is none: tasks that share nothing keep each its own best
        weights, and `partial_fit` goes on from those that were kept.

    Attributes
    ----------
    ax_, figure_ : the axes and the figure, after `plot`.

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
        """From a fitted estimator, or a Pipeline or search around one, that had validation data.

        Parameters
        ----------
        estimator : MultiTaskClassifier, or a Pipeline or search that ends in one.
        **kw : passed to `plot`.

        Returns
        -------
        display : HistoryDisplay

        Raises
        ------
        TypeError
            If it is none of this library's classifiers.
        ValueError
            If the fit had no validation data, as by default with fewer than 1000 rows.
        """
        estimator = fitted_model(estimator)
        rows = [epoch for epoch in estimator.history_ if "valid_auc" in epoch]
        if not rows:
            raise ValueError("The fit had no validation data, so there is no AUC to draw; see `early_stopping`.")
        auc = np.array([[epoch[f"valid_auc_{name}"] for name in estimator.task_names_] for epoch in rows])
        best = max((epoch["epoch"] for epoch in rows if epoch["valid_best"]), default=None)
        keep_their_own = estimator.module_.shares_nothing and estimator.validation_metric in OF_ALL_TASKS
        if keep_their_own or rows[-1] is not estimator.history_[-1]:
            best = None  # each task keeps its own best weights, or they have been trained further
        return cls([epoch["epoch"] for epoch in rows], auc, task_names=estimator.task_names_, best=best).plot(**kw)

    def plot(self, ax: Any = None) -> HistoryDisplay:
        """Draw a curve per task, and a line at the epoch whose weights were kept.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : HistoryDisplay
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
