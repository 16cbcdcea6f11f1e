"""Early stopping: which weights are kept, and when training ends."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from skorch.callbacks import Callback
from torch import Tensor

from sklearn_fsmd.training.batches import TensorData
from sklearn_fsmd.training.validation_metric import ValidationMetric, mean_of_known

CHECKS_PER_EPOCH = 2
"""Validation checks per epoch: if ids are memorised, a model can be past its best before the first epoch ends."""


class EarlyStopping(Callback):
    """Watch the validation data, keep the best weights, and stop when they no longer change.

    There are two validation checks per epoch. The history has the scores of the best check of each epoch: `valid_loss`,
    `valid_auc` (the mean over the tasks with a weight above 0), `valid_auc_<task>`, `valid_auc_<task>_given_<parent>`,
    `valid_loss_<value>`, and `valid_best`, which is 1 if it is better than all checks before, and else 0.

    If the networks of the tasks share nothing, each task has a best check of its own, unless the metric is of one
    task. The weights of tasks without validation labels are kept at each check at which another task improves.

    Parameters
    ----------
    patience : stop after this many epochs without a better score.
    tol : for `patience` a score counts as better if it is higher by this much; the best weights are kept anyway.
    metric : scores the checks.
    """

    def __init__(self, patience: int, tol: float, metric: ValidationMetric) -> None:
        self.patience = patience
        self.tol = tol
        self.metric = metric

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        targets = list(range(self.metric.n_targets))
        separate = net.module_.shares_nothing and self.metric.is_of_all_tasks
        self.groups = [[k] for k in targets] if separate else [targets]
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
        task_weights = net.criterion_.task_weights.cpu().numpy()
        self.metric.look_at(dataset_valid, task_weights, learns_level=bool(net.bias_reference))
        self.is_evaluated = [any(self.metric.has_labels[k] for k in group) for group in self.groups]
        self.batch = 0
        self._begin_epoch()
        if not self.best_weights and len(net.history) > 1:
            self._validate(net)  # training is continued: the present weights have to be beaten
            self.scores_to_beat = list(self.best_scores)
            self._begin_epoch()

    def _begin_epoch(self) -> None:
        self.best_of_epoch = [-math.inf] * len(self.groups)
        self.improved = False
        n = self.metric.n_targets
        self.seen_losses, self.seen_auc = np.zeros(n), np.full(n, math.nan)
        self.seen_step_auc = np.full(len(self.metric.task_names), math.nan)

    def on_batch_end(self, net: Any, batch: Any = None, training: bool = False, **kwargs: Any) -> None:
        self.batch += 1
        if self.batch in self.checked_batches:
            self._validate(net)

    def _validate(self, net: Any) -> None:
        check = net.evaluate(self.valid)
        best_of_epoch, is_better = list(self.best_of_epoch), False
        for g, group in enumerate(self.groups):
            if not self.is_evaluated[g]:
                continue
            score = self.metric.score(check, group)
            if score > self.best_scores[g]:
                self.best_scores[g] = score
                self.improved = is_better = True
                self._keep(net, group)
            if score > best_of_epoch[g]:
                best_of_epoch[g] = score
                self.seen_losses[group], self.seen_auc[group] = check.losses[group], check.auc[group]
                self.seen_step_auc = check.step_auc  # a network with steps has one group
        if is_better:
            for group, is_evaluated in zip(self.groups, self.is_evaluated, strict=True):
                if not is_evaluated:
                    self._keep(net, group)
        if best_of_epoch != self.best_of_epoch:
            self.best_of_epoch = best_of_epoch
            self._record(net)

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

    def _record(self, net: Any) -> None:
        metric, losses, record = self.metric, self.seen_losses.tolist(), net.history.record
        record("valid_loss", float(self.seen_losses.sum()))
        record("valid_auc", mean_of_known(self.seen_auc[metric.counts]))
        record("valid_best", float(self.improved))
        for name, task_auc in zip(metric.task_names, self.seen_auc.tolist(), strict=False):
            record(f"valid_auc_{name}", task_auc)
        for k, name in metric.steps.items():
            record(f"valid_auc_{name}", float(self.seen_step_auc[k]))
        for k, name in enumerate(metric.value_names, len(metric.task_names)):
            record(f"valid_loss_{name}", losses[k] if metric.has_labels[k] else math.nan)

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
