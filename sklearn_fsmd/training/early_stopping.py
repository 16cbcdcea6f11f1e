"""Early stopping: which weights are kept, and when training ends."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from skorch.callbacks import Callback
from torch import Tensor

from sklearn_fsmd.training.batches import TensorData


class EarlyStopping(Callback):
    """Watch the validation data, keep the best weights, and stop when they no longer change.

    It looks twice in each epoch: where ids are memorised, a model can be past its best after the first. The history
    keeps what the best look of an epoch has seen: `valid_loss`, `valid_auc` (the mean over the tasks that count),
    `valid_auc_<task>`, and `valid_best`, which is 1 if no look before was better, and else 0.

    Parameters
    ----------
    patience : stop after this many epochs without a better score.
    tol : a score counts as better, for that, if it is higher by this much; the best weights are kept anyway.
    metric : what is watched: "mean_auc", "loss" or "<task>_auc"; "auto" is the mean AUC, or the loss where there is a
        bias tower, or where no task has validation labels of both classes.
    task_names : the names of the tasks.
    looks : how often to look in an epoch.
    """

    def __init__(
        self, patience: int, tol: float, metric: str = "auto", task_names: Sequence[str] = (), looks: int = 2
    ) -> None:
        self.patience = patience
        self.tol = tol
        self.metric = metric
        self.task_names = task_names
        self.looks = looks

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        self.best_score = self.score_to_beat = -math.inf
        self.best_weights: dict[str, Tensor] = {}
        self.waited = 0
        n_batches = len(X)
        self.at = {math.ceil(n_batches * (i + 1) / self.looks) for i in range(self.looks)}

    def on_epoch_begin(
        self, net: Any, dataset_train: Any = None, dataset_valid: TensorData | None = None, **kwargs: Any
    ) -> None:
        self.valid = dataset_valid
        self.batch = 0
        self.best_of_epoch = -math.inf
        self.improved = False
        if self.best_score == -math.inf and len(net.history) > 1:
            self._look(net)  # training goes on: what is there already has to be beaten
            self.score_to_beat = self.best_score
            self.best_of_epoch = -math.inf

    def on_batch_end(self, net: Any, batch: Any = None, training: bool = False, **kwargs: Any) -> None:
        self.batch += 1
        if self.batch in self.at:
            self._look(net)

    def _look(self, net: Any) -> None:
        loss, auc = net.evaluate(self.valid)
        counted = auc[net.criterion_.task_weights.cpu().numpy() > 0]
        mean = float(np.nanmean(counted)) if not np.isnan(counted).all() else math.nan
        score = self._score(loss, mean, dict(zip(self.task_names, auc.tolist(), strict=True)), bool(net.bias_reference))
        if score > self.best_score:
            self.best_score = score
            self.improved = True
            with net.averaged():
                self.best_weights = {name: t.detach().clone() for name, t in net.module_.state_dict().items()}
        if score > self.best_of_epoch:
            self.best_of_epoch = score
            seen = {"valid_loss": loss, "valid_auc": mean, "valid_best": float(self.improved)}
            seen |= {f"valid_auc_{name}": value for name, value in zip(self.task_names, auc.tolist(), strict=True)}
            for name, value in seen.items():
                net.history.record(name, value)

    def _score(self, loss: float, mean: float, by_task: dict[str, float], has_bias_tower: bool) -> float:
        """What is to rise."""
        if self.metric == "loss" or (self.metric == "auto" and (has_bias_tower or math.isnan(mean))):
            return -loss  # a bias tower has to find its level, of which an order knows nothing
        score = mean if self.metric in ("auto", "mean_auc") else by_task[self.metric.removesuffix("_auc")]
        if math.isnan(score):
            raise ValueError(
                f"validation_metric={self.metric!r} needs validation labels of both classes, and there are those of "
                "one. Use 'loss', or other validation data."
            )
        return score

    def on_epoch_end(self, net: Any, dataset_train: Any = None, dataset_valid: Any = None, **kwargs: Any) -> None:
        if self.best_score > self.score_to_beat + self.tol:
            self.score_to_beat, self.waited = self.best_score, 0
        else:
            self.waited += 1
        if self.waited >= self.patience:
            net.stop_training_ = True

    def state_dict(self) -> dict[str, Any]:
        """What is remembered from one epoch to the next."""
        return {name: getattr(self, name) for name in ("best_score", "score_to_beat", "best_weights", "waited")}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    def on_train_end(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        net.module_.load_state_dict(self.best_weights)
        net.average_.level()
        self.best_weights = {}
