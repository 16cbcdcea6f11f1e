"""Progress bar of a fit."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

from skorch.callbacks import Callback
from tqdm.auto import tqdm


class Progress(Callback):
    """A bar over the rows of all epochs, with the loss and the validation AUC of each task.

    In a log file, where a bar cannot move, it prints a line per epoch instead.

    Parameters
    ----------
    task_names : list of str
    max_epochs : int, the length of the bar.
    """

    REFRESH_SECONDS = 0.5

    def __init__(self, task_names: Sequence[str], max_epochs: int) -> None:
        self.task_names = task_names
        self.max_epochs = max_epochs
        self.bar: Any = None

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        is_notebook = any(kind.__module__ == "tqdm.notebook" for kind in tqdm.__mro__)
        self.in_log = not (is_notebook or sys.stderr.isatty())
        self.n_rows, self.n_before = X.n_rows, len(net.history)  # a checkpoint adds the epochs of this call later
        total = self.n_rows * self.max_epochs
        self.bar = tqdm(total=total, unit=" rows", unit_scale=True, mininterval=0.2, disable=self.in_log)
        self.shown: dict[str, str] = {}
        self.next_refresh = 0.0

    def on_epoch_begin(self, net: Any, dataset_train: Any = None, dataset_valid: Any = None, **kwargs: Any) -> None:
        self.bar.n = self.n_rows * (len(net.history) - 1 - self.n_before)

    def on_batch_end(self, net: Any, batch: Any = None, training: bool = False, **kwargs: Any) -> None:
        self.bar.update(net.rows_of(batch))
        if time.monotonic() >= self.next_refresh:  # not for every batch, since reading the loss waits for the device
            self.next_refresh = time.monotonic() + self.REFRESH_SECONDS
            self.shown["loss"] = f"{kwargs['loss'].item():.4f}"
            self.bar.set_postfix(self.shown, refresh=False)

    def on_epoch_end(self, net: Any, dataset_train: Any = None, dataset_valid: Any = None, **kwargs: Any) -> None:
        epoch, number = net.history[-1], len(net.history) - self.n_before
        self.bar.set_description(f"epoch {number}")
        self.shown["loss"] = f"{epoch['train_loss']:.4f}"
        for name in self.task_names:
            if (auc := epoch.get(f"valid_auc_{name}")) is not None:
                self.shown[f"valid AUC {name}"] = f"{auc:.4f}"
        self.bar.set_postfix(self.shown)
        if self.in_log:
            values = ", ".join(f"{name} {value}" for name, value in self.shown.items())
            print(f"epoch {number} of at most {self.max_epochs}: {values}", file=sys.stderr)

    def on_train_end(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        self.close()

    def close(self) -> None:
        """Close the bar, also when training has failed."""
        if self.bar is not None:
            self.bar.close()
