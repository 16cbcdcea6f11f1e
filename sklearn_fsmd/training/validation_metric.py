"""The score of a validation check: the AUC or the loss that the parameter `validation_metric` names."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch

from sklearn_fsmd.parameters import OF_ALL_TASKS
from sklearn_fsmd.training.batches import TensorData

FEW_LABELS, MANY_ROWS = 100, 1000
"""A target with fewer labels of one of its classes among at least so many validation rows is rare: its AUC on them
depends mostly on chance, and the loss is the more reliable score."""


class Check(NamedTuple):
    """What the validation rows say of some weights.

    Attributes
    ----------
    losses : ``(T,)``, of each task, multiplied by the task weights.
    auc : ``(T,)``, of the marginal of each task; NaN for a value.
    step_auc : ``(K,)``, of each step given its parent, on the rows in which that has happened; NaN without one.
    """

    losses: np.ndarray
    auc: np.ndarray
    step_auc: np.ndarray


class ValidationMetric:
    """Score checks; the larger a score is, the better.

    Parameters
    ----------
    name : "mean_auc", "loss", "<task>_auc", "<task>_given_<parent>_auc" or "<value>_loss"; "auto" is the mean AUC, or
        the loss if there is a bias tower, if a task is rare, or if no task has validation labels of both classes. A
        task that has a best check of its own is evaluated by its AUC, or, if it is rare, by its loss; by its loss, also
        with "mean_auc", if its validation labels have one class.
    task_names : the names of the binary targets.
    value_names : the names of the value targets, which have a loss and no AUC.
    parents : of each binary target, as in the link.

    Raises
    ------
    ValueError
        If there is no metric of this name, or if it means two.
    """

    def __init__(
        self, name: str, task_names: Sequence[str], value_names: Sequence[str], parents: Sequence[int | None]
    ) -> None:
        self.name, self.task_names, self.value_names = name, task_names, value_names
        self.steps = steps_of(task_names, parents)
        of_values = [f"{value}_loss" for value in value_names]
        single = [*(f"{name}_auc" for name in (*task_names, *self.steps.values())), *of_values]
        if name not in (names := [*OF_ALL_TASKS, *single]):
            raise ValueError(f"The 'validation_metric' parameter must be one of {names}. Got {name!r}.")
        if name in OF_ALL_TASKS and name in single:
            raise ValueError(
                f"validation_metric={name!r} means all tasks, and is the AUC of one of that name too. Call the column "
                "of Y something else."
            )
        self.is_of_all_tasks = name in OF_ALL_TASKS
        self.value = len(task_names) + of_values.index(name) if name in of_values else None
        self.n_targets = len(task_names) + len(value_names)

    def look_at(self, valid: TensorData | None, task_weights: np.ndarray, *, learns_level: bool) -> None:
        """Look at the validation labels and the weights ``(T,)`` of the tasks, on which the kind of score depends.

        `learns_level` means that there is a bias tower, which has to learn its level: AUC does not depend on it.

        Raises
        ------
        ValueError
            If a value is to be watched that is not known in the validation rows.
        """
        weights = None if valid is None else valid.weights
        self.has_labels = [True] * self.n_targets if weights is None else (weights > 0).any(dim=0).tolist()
        self.is_rare = [False] * self.n_targets if valid is None else rare_targets(valid)
        self.counts, self.learns_level = task_weights > 0, learns_level
        if self.value is not None and not (self.has_labels[self.value] and self.counts[self.value]):
            raise ValueError(
                f"validation_metric={self.name!r} needs validation rows in which that value is known, and a weight "
                "above 0 in `task_weights`. Use 'mean_auc', or other validation data."
            )

    def score(self, check: Check, group: Sequence[int]) -> float:
        """The score of the tasks `group`: all, or one whose network is separate.

        Raises
        ------
        ValueError
            If it is the AUC of labels of one class.
        """
        counted = [k for k in group if self.counts[k]]
        if not counted:
            return 0.0
        mean = mean_of_known(check.auc[counted])
        if self._is_loss(check, group, counted):
            return -float(check.losses[list(group)].sum())
        if self.value is not None:
            return -float(check.losses[self.value])
        of_steps = {name: float(check.step_auc[k]) for k, name in self.steps.items()}
        of_tasks = dict(zip(self.task_names, check.auc.tolist(), strict=False))
        score = mean if self.is_of_all_tasks else (of_steps | of_tasks)[self.name.removesuffix("_auc")]
        if math.isnan(score):
            raise ValueError(
                f"validation_metric={self.name!r} needs validation labels of both classes, and there are those of one. "
                "Use 'loss', or other validation data."
            )
        return score

    def _is_loss(self, check: Check, group: Sequence[int], counted: Sequence[int]) -> bool:
        """Whether the score of the tasks `group` is their loss; `counted` are those with a weight above 0."""
        if self.name == "loss" or group[0] >= len(self.task_names):  # a value, which has no AUC
            return True
        if self.name == "auto" and (self.learns_level or any(self.is_rare[k] for k in counted)):
            return True
        some_have_auc = not np.isnan(check.auc[self.counts]).all()
        falls_back = self.name == "auto" or (self.name == "mean_auc" and some_have_auc)
        return falls_back and math.isnan(mean_of_known(check.auc[counted]))


def rare_targets(valid: TensorData) -> list[bool]:
    """Whether each target is rare in the validation rows, see `FEW_LABELS`; not if it has a single class, or values."""
    labels = valid.labels[:, : valid.labels.shape[1] - valid.n_values]
    weights = torch.ones_like(labels) if valid.weights is None else valid.weights[:, : labels.shape[1]]
    of_rarer_class = torch.stack([((weights > 0) & (labels == label)).sum(dim=0) for label in (0, 1)]).amin(dim=0)
    is_rare = (of_rarer_class > 0) & (of_rarer_class < FEW_LABELS) & (len(labels) >= MANY_ROWS)
    return [*is_rare.tolist(), *[False] * valid.n_values]


def steps_of(task_names: Sequence[str], parents: Sequence[int | None]) -> Mapping[int, str]:
    """The position and the name of each task that has a parent, such as "conversion_given_click"."""
    return {
        k: f"{name}_given_{task_names[parent]}"
        for k, (name, parent) in enumerate(zip(task_names, parents, strict=True))
        if parent is not None
    }


def mean_of_known(auc: np.ndarray) -> float:
    """The mean without NaN."""
    return math.nan if np.isnan(auc).all() else float(np.nanmean(auc))
