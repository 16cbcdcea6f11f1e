"""The training loop: a skorch net with less overhead per batch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np
import torch
from sklearn.base import ClassifierMixin
from skorch import NeuralNet
from skorch.callbacks import EpochTimer
from skorch.utils import TeeGenerator
from torch import Tensor

from sklearn_fsmd.execution import Crew
from sklearn_fsmd.inference import CPU_CHUNK, in_chunks
from sklearn_fsmd.metrics import step_aucs, task_aucs
from sklearn_fsmd.network import sum_by_rows
from sklearn_fsmd.parameters.machine import threads, without_denormals
from sklearn_fsmd.persistence import digest_of
from sklearn_fsmd.training.batches import Batches, TensorData
from sklearn_fsmd.training.copying import copy_together
from sklearn_fsmd.training.distributed import Exchange
from sklearn_fsmd.training.member_logits import MemberLogits
from sklearn_fsmd.training.optimizers import FusedStep, RowWiseAdam, WeightAverage
from sklearn_fsmd.training.validation_metric import Check

BESTS = {"train_loss": -1, "valid_loss": -1, "valid_auc": 1}
"""Scores for which skorch's callbacks look up whether an epoch is the best: 1 if larger is better, else -1."""


class Net(ClassifierMixin, NeuralNet):
    """A skorch net that trains a :class:`~sklearn_fsmd.network.multitask_network.MultiTaskNetwork`.

    It departs from skorch where the overhead would cost more than the matrix products of a step: batches are taken from
    tensors, the loss of a batch stays on its device until the epoch ends, and the history has a row per epoch and none
    per batch. Callbacks are notified as in skorch. The weights that are evaluated and kept are averages over the steps.
    """

    crew: Crew | None = None
    """The threads that share the work of a step during training."""
    exchange: Exchange | None = None
    """Combines the steps of several processes during training; None for a single process."""
    task_names: Sequence[str] = ()
    """Names of the tasks in the history."""
    losses_and_sizes: tuple[list[Tensor], list[int]] = ([], [])
    """Losses and sizes of the batches of the current epoch so far."""
    resumed_epoch: tuple[list[Tensor], list[int]] | None = None
    """Losses and sizes from a checkpoint that was written within an epoch."""
    n_batches_ = 0
    """Number of steps of the current epoch so far."""
    bias_reference: tuple[Tensor, ...] = ()
    """Bias features of rows of the first fit, so that continued training with other rows has the same neutral level."""

    def __init__(self, *args: Any, average_decay: float = 0.0, balance: Any = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.average_decay = average_decay
        self.balance = balance

    @property
    def _default_callbacks(self) -> list[tuple[str, Any]]:
        return [("epoch_timer", EpochTimer())]

    def initialize_optimizer(self, triggered_directly: bool | None = None) -> Net:
        """Create the optimizer and the average; the module is on its device already."""
        kwargs = self.get_params_for("optimizer")
        groups = self.module_.parameter_groups()
        if balance_parameters := self.balance.to(self.device).parameters():
            groups.append({"params": balance_parameters, "weight_decay": 0.0})
        self.optimizer_ = self.optimizer(groups, lr=self.lr, **kwargs)
        values, tower = self.module_.values, self.module_.bias_tower
        of_values = () if values is None else values.buffers()
        fixed = (self.module_.slopes, *of_values, *(() if tower is None else [tower.neutral]))
        self.average_ = WeightAverage(self.module_, self.average_decay, fixed)
        return self

    def copy(self) -> Net:
        """Copy the net so that training the copy never changes this one, even if it fails.

        All state of the training is in attributes: the network, the optimizer, the average, the balance of the tasks
        and the history. They are copied together, so that the optimizer's parameters are those of the network.
        Callbacks and parameters that may be the user's code are shared.
        """
        copied = object.__new__(type(self))
        copied.__dict__ = copy_together(self.__dict__, shared=("callbacks", "callbacks_", "spec_"))
        return copied

    def run(self, batches: Batches, valid: TensorData | None, epochs: int) -> Net:
        """Train for `epochs` passes over `batches`, or until a callback sets ``stop_training_``.

        If that fails, the net must not be used any more.
        """
        self.fused_step_ = self._fused_step()
        try:
            with self.balance.watching(self.module_), torch.enable_grad():
                self._run(batches, valid, epochs)
        finally:
            self.fused_step_ = None  # it holds the crew
            self.module_.eval()
        return self

    def _run(self, batches: Batches, valid: TensorData | None, epochs: int) -> None:
        self.stop_training_ = False
        data = {"dataset_train": batches.data, "dataset_valid": valid}
        self.average_.swap_out()
        n_before = len(self.history)
        self.notify("on_train_begin", X=batches, y=None)
        for _ in range(epochs - (len(self.history) - n_before)):  # a checkpoint may have added epochs
            if self.stop_training_:
                break
            self.n_batches_ = 0
            self.notify("on_epoch_begin", **data)
            self.run_single_epoch(batches, training=True, prefix="train", step_fn=self.train_step)
            for name, value in self.balance.summary(self.task_names).items():
                self.history.record(name, value)
            self._record_bests()
            try:
                self.notify("on_epoch_end", **data)
            except KeyboardInterrupt as interrupt:
                if not _is_from_skorch(interrupt):
                    raise
                self.stop_training_ = True
            if self.exchange is not None:
                self.stop_training_ = self.exchange.first_stops(self.stop_training_)
                self.exchange.check(self.digest())
        self.average_.swap_in()
        self.notify("on_train_end", X=batches, y=None)
        self._check_last_step(batches.data)

    def _record_bests(self) -> None:
        """Record whether the epoch is the best so far, which skorch's callbacks look up."""
        *former, epoch = self.history
        for name, sign in BESTS.items():
            if name in epoch:
                before = (sign * row[name] for row in former if not math.isnan(row.get(name, math.nan)))
                self.history.record(f"{name}_best", sign * epoch[name] > max(before, default=-math.inf))

    @torch.inference_mode()
    def _check_last_step(self, data: TensorData) -> None:
        """Raise if outputs are not finite after the last step, which the loss of no batch shows."""
        inputs, *_ = data.batch(torch.arange(min(len(data), CPU_CHUNK), device=data.labels.device))
        logits = self.module_.eval()(*inputs)
        if not torch.isfinite(logits).all():
            raise self._diverged(float("nan"), self.n_batches_)

    def run_single_epoch(self, iterator: Any, training: bool, prefix: str, step_fn: Any, **fit_params: Any) -> None:
        self.losses_and_sizes, self.resumed_epoch = self.resumed_epoch or ([], []), None
        losses, sizes = self.losses_and_sizes
        self.module_.train(training)
        for batch in self._batches_of(iterator):
            self.notify("on_batch_begin", batch=batch, training=training)
            if self.exchange is not None:
                self.exchange.begin_step(str(self.device))
            with self._one_thread_with_crew():
                step = step_fn(batch, **fit_params)
            losses.append(step["loss"])
            sizes.append(self.rows_of(batch))
            self.n_batches_ = len(losses)
            self.notify("on_batch_end", batch=batch, training=training, **step)
        self.losses_and_sizes = ([], [])
        loss = torch.stack(losses).cpu().double().numpy()
        bad = np.flatnonzero(~np.isfinite(loss))
        if bad.size:
            raise self._diverged(loss[bad[0]], int(bad[0]) + 1)
        self.history.record(f"{prefix}_loss", float(np.average(loss, weights=sizes)))

    def _batches_of(self, iterator: Any) -> Iterator[Any]:
        batches = iter(iterator)
        while True:
            with self._one_thread_with_crew():
                batch = next(batches, None)
            if batch is None:
                return
            yield batch

    def _one_thread_with_crew(self) -> AbstractContextManager[None]:
        """Let torch use one thread if there is a crew, since torch's threads spin while they wait for work."""
        return threads(None if self.crew is None else 1)

    def epochs(self) -> list[dict[str, Any]]:
        """The history as a plain dictionary per epoch."""
        left_out = {"batches", *(f"{name}_best" for name in BESTS)}
        return [{key: value for key, value in epoch.items() if key not in left_out} for epoch in self.history]

    def take_history(self, epochs: Sequence[dict[str, Any]]) -> None:
        """Append the history of a former net."""
        for epoch in epochs:
            self.history.new_epoch()
            self.history[-1].update(epoch)

    def on_batch_begin(self, net: Any, batch: Any = None, training: bool = False, **kwargs: Any) -> None:
        """Keep the history of a single batch, into which callbacks may write."""
        self.history[-1]["batches"] = [{}]

    def train_step(self, batch: Any, **fit_params: Any) -> dict[str, Tensor]:
        inputs, labels, weights = batch
        self.optimizer_.zero_grad()
        logits = self.module_(*inputs)
        losses, counted = self.criterion_.per_task(logits, labels, weights)
        self.balance.backward(self.module_, losses, counted)
        sum_by_rows(p for group in self.optimizer_.param_groups for p in group["params"])
        loss = losses.detach() @ self.criterion_.task_weights
        if self.exchange is not None:
            loss = self.exchange(loss)
        self.notify(
            "on_grad_computed",
            named_parameters=TeeGenerator(self._named_gradients()),
            batch=batch,
            training=True,
        )
        self.average_.before_step()
        with without_denormals():
            if self.fused_step_ is not None:
                self.fused_step_()
            else:
                self.optimizer_.step()
                self.average_.update()
        return {"loss": loss, "y_pred": logits.detach()}

    def rows_of(self, batch: Any) -> int:
        """Number of rows of a step, of all processes together."""
        return len(batch[1]) if self.exchange is None else self.exchange.n_rows

    def digest(self) -> str:
        """Digest of all bits of the weights, the running statistics and the average."""
        tensors = [*self.module_.state_dict().values(), *self.average_.others]
        return digest_of(*(tensor.detach().cpu().numpy() for tensor in tensors))

    def _named_gradients(self) -> Iterator[tuple[str, Tensor]]:
        """The parameters for callbacks that read or clip gradients.

        A table with a sparse gradient is replaced by the rows that have one, since torch cannot clip sparse gradients.
        """
        for name, parameter in self.get_all_learnable_params():
            if parameter.grad is None or not parameter.grad.is_sparse:
                yield name, parameter
                continue
            rows = parameter.grad.values()  # shares its memory with the gradient
            stand_in = torch.nn.Parameter(rows.detach())
            stand_in.grad = rows
            yield name, stand_in

    def _fused_step(self) -> Callable[[], None] | None:
        """The optimizer and the average in one pass, if the core supports the optimizer; else None."""
        if self.crew is None or not isinstance(self.optimizer_, RowWiseAdam):
            return None
        return FusedStep(self.optimizer_, self.average_, self.crew)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Let the module hold the averaged weights in evaluation mode, and restore its state afterwards."""
        was_in, was_training = self.average_.is_in, self.module_.training
        self.average_.swap_in()
        self.module_.eval()
        try:
            yield
        finally:
            if not was_in:
                self.average_.swap_out()
            self.module_.train(was_training)

    def predict_proba(self, X: TensorData) -> np.ndarray:
        """Marginals ``(n, K)`` of encoded rows with the averaged weights, for callbacks that score."""
        with self.averaged(), torch.inference_mode():
            inputs = X.selected()
            n_bias = len(self.bias_reference)
            logits, _ = self.module_.split(self.logits(*inputs[: len(inputs) - n_bias]))
            return self.module_.link.marginals(logits).cpu().numpy()

    @property
    def classes_(self) -> list[np.ndarray]:
        """The classes of each task, for scorers of scikit-learn."""
        return [np.array([0, 1])] * len(self.module_.link.parents)

    def predict(self, X: TensorData) -> np.ndarray:
        """The more probable label of each task, 0 or 1, ``(n, K)``."""
        return (self.predict_proba(X) > 0.5).astype(np.int64)

    def logits(self, *inputs: Tensor) -> Tensor:
        """Outputs of the network for any number of rows: logits, ``(n, K)``, and the outputs of values, if any."""
        return in_chunks(self.module_, *inputs)

    def member_logits(self, rows: TensorData) -> MemberLogits:
        """The rows with the logits of the members of the network."""
        return MemberLogits(self.module_, rows, len(self.bias_reference))

    @torch.inference_mode()
    def set_neutral(self) -> None:
        """Set the neutral level of the bias tower from its outputs for the reference rows."""
        self.module_.bias_tower.set_neutral(in_chunks(self.module_.bias_tower, *self.bias_reference))

    def evaluate(self, valid: TensorData) -> Check:
        """Losses and AUCs on validation data with the averaged weights."""
        with self.averaged(), torch.inference_mode():
            member_logits = self.member_logits(valid)
            logits = member_logits.outputs()
            losses, _ = self.criterion_.per_task(logits, valid.labels, valid.weights)
            losses = (losses * self.criterion_.task_weights).cpu().double().numpy()
            if not np.isfinite(losses).all():
                raise self._diverged(losses.sum(), self.n_batches_)
            if self.bias_reference:  # rankings do not use the tower, so the AUC does not either
                self.set_neutral()
                logits = member_logits.outputs(shown=False)
            step_logits = self.module_.split(logits)[0]
            marginals = self.module_.link.marginals(step_logits).cpu().numpy()
        n_tasks = marginals.shape[1]
        labels = valid.labels[:, :n_tasks].cpu().numpy()
        weights = None if valid.weights is None else valid.weights[:, :n_tasks].cpu().numpy()
        auc = np.append(task_aucs(labels, marginals, weights), np.full(valid.n_values, np.nan))
        step_auc = step_aucs(labels, step_logits.cpu().numpy(), weights, self.module_.link.parents)
        check = Check(losses, auc, step_auc)
        return check if self.exchange is None else Check(*self.exchange.of_first(*check))

    def _diverged(self, loss: float, batch: int) -> FloatingPointError:
        return FloatingPointError(
            f"The loss became {loss} in batch {batch} of epoch {len(self.history)} with lr={self.lr}. "
            "Lower `lr`, or clip the gradients with skorch's GradientNormClipping in `callbacks`."
        )


def _is_from_skorch(interrupt: KeyboardInterrupt) -> bool:
    """Whether a skorch callback raised it to stop the training, and not the user's keyboard."""
    trace = interrupt.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and trace.tb_frame.f_globals.get("__name__", "").startswith("skorch.callbacks")
