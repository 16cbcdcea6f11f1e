"""What happens around the steps of training: early stopping, and the progress bar."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from skorch.callbacks import Callback
from torch import Tensor
from tqdm.auto import tqdm

from sklearn_fsmd.training.batches import TensorData


class EarlyStopping(Callback):
    """Watch the validation data, keep the best weights, and stop when they no longer change.

    It looks twice in each epoch: where ids are memorised, a model can be past its best after the first. The score is
    the mean AUC of the tasks; where that does not exist (validation labels of a single class), or where there is a
    bias tower, the negative loss.

    Parameters
    ----------
    patience : stop after this many epochs without a better score.
    tol : a score counts as better, for that, if it is higher by this much; the best weights are kept anyway.
    looks : how often to look in an epoch.
    """

    def __init__(self, patience: int, tol: float, looks: int = 2) -> None:
        self.patience = patience
        self.tol = tol
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
        self.improved = False
        if self.best_score == -math.inf and len(net.history) > 1:
            self._look(net)  # training goes on: what is there already has to be beaten
            self.score_to_beat = self.best_score

    def on_batch_end(self, net: Any, batch: Any = None, training: bool = False, **kwargs: Any) -> None:
        self.batch += 1
        if self.batch in self.at:
            self._look(net)

    def _look(self, net: Any) -> None:
        measured = net.evaluate(self.valid)
        counted = net.criterion_.task_weights.cpu().numpy() > 0
        auc = np.array(measured["valid_auc"])[counted]
        # A bias tower has to find its level, of which an order knows nothing.
        by_loss = bool(net.bias_reference) or np.isnan(auc).all()
        score = -measured["valid_loss"] if by_loss else float(np.nanmean(auc))
        for name, value in measured.items():
            net.history.record(name, value)
        if score > self.best_score:
            self.best_score = score
            self.improved = True
            with net.averaged():
                self.best_weights = {name: t.detach().clone() for name, t in net.module_.state_dict().items()}

    def on_epoch_end(self, net: Any, dataset_train: Any = None, dataset_valid: Any = None, **kwargs: Any) -> None:
        net.history.record("valid_best", self.improved)
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


class ProgressBar(Callback):
    """A bar over the rows of all epochs, with the loss and the validation AUC of each task.

    Parameters
    ----------
    task_names : list of str
    max_epochs : int, the length of the bar.
    """

    REFRESH_SECONDS = 0.5

    def __init__(self, task_names: Sequence[str], max_epochs: int) -> None:
        self.task_names = task_names
        self.max_epochs = max_epochs

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        self.bar = tqdm(total=len(X.data) * self.max_epochs, unit=" rows", unit_scale=True, mininterval=0.2)
        self.shown: dict[str, str] = {}
        self.next_refresh = 0.0

    def on_batch_end(self, net: Any, batch: Any = None, training: bool = False, **kwargs: Any) -> None:
        self.bar.update(len(batch[1]))
        if time.monotonic() >= self.next_refresh:  # reading the loss waits for the device, so not for every batch
            self.next_refresh = time.monotonic() + self.REFRESH_SECONDS
            self.shown["loss"] = f"{kwargs['loss'].item():.4f}"
            self.bar.set_postfix(self.shown, refresh=False)

    def on_epoch_end(self, net: Any, dataset_train: Any = None, dataset_valid: Any = None, **kwargs: Any) -> None:
        epoch = net.history[-1]
        self.bar.set_description(f"epoch {epoch['epoch']}")
        self.shown["loss"] = f"{epoch['train_loss']:.4f}"
        for name, auc in zip(self.task_names, epoch.get("valid_auc", ()), strict=False):
            self.shown[f"AUC {name}"] = f"{auc:.4f}"
        self.bar.set_postfix(self.shown)

    def on_train_end(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        self.bar.close()
