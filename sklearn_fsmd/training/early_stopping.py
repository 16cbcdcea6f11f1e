"""Early stopping: which weights are kept, and when training ends."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from skorch.callbacks import Callback
from torch import Tensor

from sklearn_fsmd.parameters import OF_ALL_TASKS
from sklearn_fsmd.training.batches import TensorData

CHECKS_PER_EPOCH = 2
"""Validation checks per epoch: if ids are memorised, a model can be past its best before the first epoch ends."""


FEW_LABELS, MANY_ROWS = 100, 1000
"""A target with fewer labels of one of its classes among at least so many validation rows is rare: its AUC on them
depends mostly on chance, and the loss is the more reliable score."""


class EarlyStopping(Callback):
    """Watch the validation data, keep the best weights, and stop when they no longer change.

    There are two validation checks per epoch. The history has the scores of the best check of each epoch: `valid_loss`,
    `valid_auc` (the mean over the tasks with a weight above 0), `valid_auc_<task>`, `valid_auc_<task>_given_<parent>`,
    `valid_loss_<value>`, and `valid_best`, which is 1 if it is better than all checks before, and else 0.

    If the tasks' networks share nothing, each task has a best check of its own, unless `metric` names one of them. The
    weights of tasks without validation labels are kept at each check at which another task improves.

    Parameters
    ----------
    patience : stop after this many epochs without a better score.
    tol : for `patience` a score counts as better if it is higher by this much; the best weights are kept anyway.
    metric : "mean_auc", "loss", "<task>_auc", "<task>_given_<parent>_auc" or "<value>_loss"; "auto" is the mean AUC, or
        the loss if there is a bias tower, if a task is rare, or if no task has validation labels of both classes. A
        task that has a best check of its own is evaluated by its AUC, or, if it is rare, by its loss; by its loss, also
        with "mean_auc", if its validation labels have one class.
    task_names : the names of the binary targets.
    value_names : the names of the value targets, which have a loss and no AUC.
    steps : the position and the name of each task that has a parent; see :func:`steps_of`.
    """

    def __init__(
        self,
        patience: int,
        tol: float,
        metric: str = "auto",
        task_names: Sequence[str] = (),
        value_names: Sequence[str] = (),
        steps: Mapping[int, str] | None = None,
    ) -> None:
        self.patience = patience
        self.tol = tol
        self.metric = metric
        self.task_names = task_names
        self.value_names = value_names
        self.steps = dict(steps or {})

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        tasks = list(range(len(self.task_names) + len(self.value_names)))
        separate = net.module_.shares_nothing and self.metric in OF_ALL_TASKS
        value_metrics = value_metrics_of(self.value_names)
        is_of_value = self.metric in value_metrics
        self.watched_value = len(self.task_names) + value_metrics.index(self.metric) if is_of_value else None
        self.groups = [[k] for k in tasks] if separate else [tasks]
        self.best_scores = [-math.inf] * len(self.groups)
        self.scores_to_beat = list(self.best_scores)
        self.best_weights: dict[str, Tensor] = {}
        self.waited = 0
        n_batches = len(X)
        self.checked_batches = {math.ceil(n_batches * (i + 1) / CHECKS_PER_EPOCH) for i in range(CHECKS_PER_EPOCH)}

    def on_epoch_begin(
        self, net: Any, dataset_train: Any = None, dataset_valid: TensorData | None = None, **kwargs: Any
    ) -> None:
        self.valid: TensorData | None = dataset_valid
        weights = None if dataset_valid is None else dataset_valid.weights
        n = len(self.task_names) + len(self.value_names)
        self.has_labels = [True] * n if weights is None else (weights > 0).any(dim=0).tolist()
        self.is_evaluated = [any(self.has_labels[k] for k in group) for group in self.groups]
        self.is_rare = [False] * n if dataset_valid is None else rare_targets(dataset_valid)
        v = self.watched_value
        if v is not None and not (self.has_labels[v] and net.criterion_.task_weights[v] > 0):
            raise ValueError(
                f"validation_metric={self.metric!r} needs validation rows in which that value is known, and a "
                "weight above 0 in `task_weights`. Use 'mean_auc', or other validation data."
            )
        self.batch = 0
        self._begin_epoch()
        if not self.best_weights and len(net.history) > 1:
            self._validate(net)  # training is continued: the present weights have to be beaten
            self.scores_to_beat = list(self.best_scores)
            self._begin_epoch()

    def _begin_epoch(self) -> None:
        self.best_of_epoch = [-math.inf] * len(self.groups)
        self.improved = False
        n = len(self.task_names) + len(self.value_names)
        self.seen_losses, self.seen_auc = np.zeros(n), np.full(n, math.nan)
        self.seen_step_auc = np.full(len(self.task_names), math.nan)

    def on_batch_end(self, net: Any, batch: Any = None, training: bool = False, **kwargs: Any) -> None:
        self.batch += 1
        if self.batch in self.checked_batches:
            self._validate(net)

    def _validate(self, net: Any) -> None:
        losses, auc, step_auc = net.evaluate(self.valid)
        counts = net.criterion_.task_weights.cpu().numpy() > 0
        has_auc = not math.isnan(_mean(auc[counts]))
        falls_back = self.metric == "auto" or (self.metric == "mean_auc" and has_auc)
        best_of_epoch, is_better = list(self.best_of_epoch), False
        for g, group in enumerate(self.groups):
            if not self.is_evaluated[g]:
                continue
            is_value = group[0] >= len(self.task_names)  # of a separate group; it has no AUC
            # A bias tower has to learn its level, on which AUC does not depend.
            prefers_loss = bool(net.bias_reference) or any(self.is_rare[k] and counts[k] for k in group)
            score = self._score(losses[group], auc[group], step_auc, counts[group], prefers_loss, is_value, falls_back)
            if score > self.best_scores[g]:
                self.best_scores[g] = score
                self.improved = is_better = True
                self._keep(net, group)
            if score > best_of_epoch[g]:
                best_of_epoch[g] = score
                self.seen_losses[group], self.seen_auc[group] = losses[group], auc[group]
                self.seen_step_auc = step_auc  # a network with steps has one group
        if is_better:
            for group, is_evaluated in zip(self.groups, self.is_evaluated, strict=True):
                if not is_evaluated:
                    self._keep(net, group)
        if best_of_epoch != self.best_of_epoch:
            self.best_of_epoch = best_of_epoch
            self._record(net, counts)

    def _keep(self, net: Any, group: Sequence[int]) -> None:
        """Keep the averaged weights, or those of a group of tasks."""
        with net.averaged():
            state = net.module_.state_dict()
            if not self.best_weights:
                self.best_weights = {name: t.detach().clone() for name, t in state.items()}
                return
            if len(self.groups) == 1:
                for name, tensor in state.items():  # in place, so that no table is in memory twice
                    self.best_weights[name].copy_(tensor.detach())
                return
            for name, tensor in state.items():
                for k in group:
                    if (part := net.module_.part_of_task(name, self.best_weights[name], k)) is not None:
                        part.copy_(net.module_.part_of_task(name, tensor.detach(), k))

    def _record(self, net: Any, counts: np.ndarray) -> None:
        net.history.record("valid_loss", float(self.seen_losses.sum()))
        net.history.record("valid_auc", _mean(self.seen_auc[counts]))
        net.history.record("valid_best", float(self.improved))
        for name, task_auc in zip(self.task_names, self.seen_auc.tolist(), strict=False):
            net.history.record(f"valid_auc_{name}", task_auc)
        for k, name in self.steps.items():
            net.history.record(f"valid_auc_{name}", float(self.seen_step_auc[k]))
        for k, name in enumerate(self.value_names, len(self.task_names)):
            net.history.record(f"valid_loss_{name}", float(self.seen_losses[k]) if self.has_labels[k] else math.nan)

    def _score(
        self,
        losses: np.ndarray,
        auc: np.ndarray,
        step_auc: np.ndarray,
        counts: np.ndarray,
        prefers_loss: bool,
        is_value: bool,
        falls_back: bool,
    ) -> float:
        """The score of some tasks, the larger the better: the AUC of `metric`, or minus the loss.

        It is the loss if `metric` is the loss, if it is "auto" and `prefers_loss` is set, or if there is no AUC and
        `falls_back` is set.
        """
        if not counts.any():
            return 0.0
        mean = _mean(auc[counts])
        by_loss = (self.metric == "auto" and prefers_loss) or (falls_back and math.isnan(mean))
        if self.metric == "loss" or by_loss or is_value:
            return -float(losses.sum())
        if self.watched_value is not None:
            return -float(losses[self.watched_value])
        watched = self.metric.removesuffix("_auc")
        of_steps = {name: float(step_auc[k]) for k, name in self.steps.items()}
        of_tasks = dict(zip(self.task_names, auc.tolist(), strict=False))
        score = mean if self.metric in ("auto", "mean_auc") else (of_steps | of_tasks)[watched]
        if math.isnan(score):
            raise ValueError(
                f"validation_metric={self.metric!r} needs validation labels of both classes, and there are those of "
                "one. Use 'loss', or other validation data."
            )
        return score

    def on_epoch_end(self, net: Any, dataset_train: Any = None, dataset_valid: Any = None, **kwargs: Any) -> None:
        pairs = list(zip(self.best_scores, self.scores_to_beat, strict=True))
        if any(best > to_beat + self.tol for best, to_beat in pairs):
            self.scores_to_beat = [best if best > to_beat + self.tol else to_beat for best, to_beat in pairs]
            self.waited = 0
        else:
            self.waited += 1
        if self.waited >= self.patience:
            net.stop_training_ = True

    def state_dict(self) -> dict[str, Any]:
        """State that lasts from one epoch to the next."""
        return {name: getattr(self, name) for name in ("best_scores", "scores_to_beat", "best_weights", "waited")}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        best, to_beat = ([float(score) for score in state[name]] for name in ("best_scores", "scores_to_beat"))
        if not len(best) == len(to_beat) == len(self.groups):
            raise ValueError(f"there are scores of {len(best)} groups of tasks, not of {len(self.groups)}")
        self.best_scores, self.scores_to_beat, self.waited = best, to_beat, int(state["waited"])
        self.best_weights = dict(state["best_weights"])

    def epoch_state(self) -> dict[str, Any]:
        """State that lasts from one batch of an epoch to the next, in addition to :meth:`state_dict`."""
        names = ("batch", "best_of_epoch", "improved", "seen_losses", "seen_auc", "seen_step_auc")
        return {name: getattr(self, name) for name in names}

    def load_epoch_state(self, state: dict[str, Any]) -> None:
        """Continue in the middle of the epoch that has just begun."""
        self.batch, self.improved = int(state["batch"]), bool(state["improved"])
        self.best_of_epoch = [float(score) for score in state["best_of_epoch"]]
        for name in ("seen_losses", "seen_auc", "seen_step_auc"):
            setattr(self, name, state[name].copy())

    def on_train_end(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        if self.best_weights:  # none if a callback ended training before the first check
            net.module_.load_state_dict(self.best_weights)
            net.average_.reset_to_module()
        self.best_weights, self.valid = {}, None  # a fitted estimator keeps its callbacks, but must not keep data


def rare_targets(valid: TensorData) -> list[bool]:
    """Whether each target is rare in the validation rows, see `FEW_LABELS`; not if it has a single class, or values."""
    labels = valid.labels[:, : valid.labels.shape[1] - valid.n_values]
    weights = torch.ones_like(labels) if valid.weights is None else valid.weights[:, : labels.shape[1]]
    of_rarer_class = torch.stack([((weights > 0) & (labels == label)).sum(dim=0) for label in (0, 1)]).amin(dim=0)
    is_rare = (of_rarer_class > 0) & (of_rarer_class < FEW_LABELS) & (len(labels) >= MANY_ROWS)
    return [*is_rare.tolist(), *[False] * valid.n_values]


def steps_of(task_names: Sequence[str], parents: Sequence[int | None]) -> dict[int, str]:
    """The position and the name of each task that has a parent, such as "conversion_given_click"."""
    return {
        k: f"{name}_given_{task_names[parent]}"
        for k, (name, parent) in enumerate(zip(task_names, parents, strict=True))
        if parent is not None
    }


def value_metrics_of(value_names: Sequence[str]) -> list[str]:
    """Names of the losses of values in `metric`."""
    return [f"{name}_loss" for name in value_names]


def _mean(auc: np.ndarray) -> float:
    """The mean without NaN."""
    return math.nan if np.isnan(auc).all() else float(np.nanmean(auc))
