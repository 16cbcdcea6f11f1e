"""Checkpoints: files from which a fit that was killed is resumed, and ends with the same bits."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import torch
from skorch.callbacks import Callback

from sklearn_fsmd.network import dropout_state, set_dropout_state
from sklearn_fsmd.persistence import (
    Packer,
    Unpacker,
    digest_of,
    kind_of,
    qualified_name,
    read,
    refuse_unwritable,
    write,
)
from sklearn_fsmd.training.early_stopping import EarlyStopping
from sklearn_fsmd.training.optimizers import RowWiseAdagrad, RowWiseAdam, check_same_shapes

KIND = "checkpoint"


class Checkpoint(Callback):
    """Writes the state of the training after each epoch, and restores the state in `path` if a fit is resumed.

    With `every` it is written within an epoch too. The resumed pass then gets its order from the state of the generator
    at the start of the pass, and skips the batches that were taken.

    The encoding, the split and the initial weights are not in the file. They are computed again from the random state
    with which the fit started.

    Parameters
    ----------
    path : of the file. A file of another kind, such as a saved model, is not replaced.
    model : the name of the estimator's class.
    parameters : the parameters of the estimator that affect the result.
    random : the random state with which the fit starts.
    resume : whether to resume from the file, if it exists.
    every : number of rows after which it is written within an epoch; None for never.

    Attributes
    ----------
    random : RandomState, `random` or the one of the fit that is resumed.
    resumes : bool
    writes : bool, whether this process writes the file.
    """

    writes = True

    def __init__(
        self,
        path: str | os.PathLike[str],
        model: str,
        parameters: Mapping[str, Any],
        random: np.random.RandomState,
        *,
        resume: bool,
        every: int | None = None,
    ) -> None:
        self.path = path
        self.every = every
        self.within: dict[str, Any] | None = None
        self.model = model
        self.parameters = {name: _to_json(value) for name, value in parameters.items()}
        self.loaded: dict[str, Any] | None = None
        refuse_unwritable(path)
        exists = Path(path).exists()
        if exists and (kind := kind_of(path)) != KIND:
            raise ValueError(f"{path} holds a {kind}, not a {KIND}, and is not replaced. Name another file.")
        if resume and exists:
            content, arrays = read(path, KIND)
            with self._refuse_invalid_content():
                self.loaded = loaded = Unpacker(arrays).unpack(content)
                if missing := {"random", "model", "parameters", "data", "initial", "state"} - loaded.keys():
                    raise KeyError(min(missing))
                random, former = loaded["random"], dict(loaded["parameters"])  # as if it had not been interrupted
                random.get_state()  # raises if it is none, in a file that was forged
            self._check_parameters(loaded["model"], former)
        self.resumes = self.loaded is not None
        self.initial_random = np.random.RandomState()
        self.initial_random.set_state(random.get_state())
        self.random = random

    @contextmanager
    def _refuse_invalid_content(self) -> Iterator[None]:
        """Turn any error into a ValueError: if the checksum is right, the file was forged."""
        try:
            yield
        except Exception as error:
            raise ValueError(f"{self.path} cannot be resumed: {type(error).__name__}, {error}") from error

    def _check_parameters(self, model: str, former: Mapping[str, str]) -> None:
        if model != self.model:
            raise ValueError(f"{self.path} was written by the fit of {model}, and this is {self.model}.")
        for name, value in self.parameters.items():
            with self._refuse_invalid_content():
                was, now = (json.loads(text) for text in (former.get(name, "null"), value))
            if was != now and former.get(name) != value:  # NaN is not equal to itself
                raise ValueError(
                    f"The {name!r} parameter was {was!r} in the fit that wrote {self.path} and is {now!r} now. Set "
                    "it back, or fit from scratch with resume=False."
                )

    def attach(self, stopping: EarlyStopping | None, rows: Sequence[Any], encoding: Sequence[Any]) -> None:
        """Attach to a fit: its early stopping, what identifies its rows, and its encoding.

        The encoding is needed since different data can have equal codes: other ids, doubled prices, other classes.

        Raises
        ------
        ValueError
            If the fit that is resumed had other rows or another encoding.
        """
        self.stopping = stopping
        self.data, self.encoding = digest_of(*rows), digest_of(*encoding)
        if self.loaded is None:
            return
        if "encoding" not in self.loaded or "execution" not in self.loaded:
            raise ValueError(
                f"{self.path} does not say how its rows were encoded or how the network was computed: an older version "
                "wrote it. Fit from scratch with resume=False."
            )
        for part, what in (("data", "rows"), ("encoding", "names, categories, scales or classes")):
            if self.loaded[part] != getattr(self, part):
                raise ValueError(
                    f"The data are not those of the fit that wrote {self.path}. Fit with the same X, Y, weights and "
                    f"validation data, with the same names, or from scratch with resume=False. The {what} differ. If "
                    "they are the same, another version of this library wrote it."
                )

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        self.batches = X
        self.initial = _digest_of_weights(net.module_, pretrained=self.parameters.get("pretrain_epochs", "0") != "0")
        if self.loaded is None:
            if self.writes:
                # Otherwise a fit killed in its first epoch would leave the checkpoint of another fit.
                Path(os.path.realpath(self.path)).unlink(missing_ok=True)
            return
        loaded, self.loaded = self.loaded, None
        if loaded["initial"] != self.initial:
            raise ValueError(
                f"The initial weights are not those of the fit that wrote {self.path}: the code has changed."
            )
        execution = _execution_of(net)
        if loaded["execution"] != execution:
            raise ValueError(
                f"{self.path} was written by a fit with execution {loaded['execution']!r}, whose last bits differ from "
                f"those of {execution!r}. Set SKLEARN_FSMD_EXECUTION={loaded['execution']}, or fit from scratch with "
                "resume=False."
            )
        with self._refuse_invalid_content():
            n_averaged = len(loaded["state"]["average"]["others"])
        if n_averaged > len(net.average_.others):
            raise ValueError(
                f"{self.path} was written by an older version of the library. Fit from scratch with resume=False."
            )
        with self._refuse_invalid_content():
            self._restore(net, loaded["state"])

    def _restore(self, net: Any, state: dict[str, Any]) -> None:
        net.module_.load_state_dict(state["module"])
        net.average_.load_state_dict(state["average"])
        _load_optimizer(net.optimizer_, state["optimizer"])
        net.balance.load_state_dict(state["balance"])
        self.batches.generator.set_state(state["order"])
        set_dropout_state(net.module_, state["dropout"])
        net.take_history([_checked(epoch) for epoch in state["history"]])
        if self.stopping is not None:
            self.stopping.load_state_dict(state["stopping"])
            if self.stopping.best_weights or state.get("within") is None:  # there are none before the first check
                check_same_shapes(net.module_.state_dict(), self.stopping.best_weights)
        net.stop_training_ = bool(state["stopped"])
        self.within = state.get("within")
        if self.within is not None:
            self.batches.load_state_dict(self.within["batches"])

    def on_epoch_begin(self, net: Any, dataset_train: Any = None, dataset_valid: Any = None, **kwargs: Any) -> None:
        self.n_unwritten = 0
        if self.within is None:
            return
        within, self.within = self.within, None
        with self._refuse_invalid_content():
            net.history[-1].update(_checked(within["epoch"]))
            losses, sizes = within["losses"], within["sizes"]
            net.resumed_epoch = list(losses.to(net.device)), [int(size) for size in sizes]
            if self.stopping is not None:
                self.stopping.load_epoch_state(within["stopping"])

    def on_batch_end(self, net: Any, batch: Any = None, training: bool = False, **kwargs: Any) -> None:
        self.n_unwritten += net.rows_of(batch)
        if self.every is None or self.n_unwritten < self.every or net.n_batches_ == len(self.batches):
            return
        self.n_unwritten = 0
        losses, sizes = net.losses_and_sizes
        *before, epoch = net.epochs()
        within = {
            "batches": self.batches.state_dict(),
            "epoch": epoch,
            "losses": torch.stack(losses).cpu(),
            "sizes": sizes,
            "stopping": None if self.stopping is None else self.stopping.epoch_state(),
        }
        self._write(net, before, within)

    def on_epoch_end(self, net: Any, dataset_train: Any = None, dataset_valid: Any = None, **kwargs: Any) -> None:
        self._write(net, net.epochs(), None)

    def on_train_end(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        self.batches = self.stopping = None  # a fitted estimator keeps its callbacks, but must not keep data

    def _write(self, net: Any, epochs: list[dict[str, Any]], within: dict[str, Any] | None) -> None:
        """Write the state after these epochs and, if `within` is given, after some batches of the next one."""
        if not self.writes:
            return
        state = {
            "module": dict(net.module_.state_dict()),
            "average": net.average_.state_dict(),
            "optimizer": net.optimizer_.state_dict(),
            "balance": net.balance.state_dict(),
            "order": self.batches.generator.get_state(),
            "dropout": dropout_state(net.module_),
            "history": epochs,
            "stopping": None if self.stopping is None else self.stopping.state_dict(),
            "stopped": net.stop_training_,
            "within": within,
        }
        file = {
            "model": self.model,
            "parameters": self.parameters,
            "data": self.data,
            "encoding": self.encoding,
            "initial": self.initial,
            "execution": _execution_of(net),
            "random": self.initial_random,
            "state": state,
        }
        packer = Packer()
        write(self.path, KIND, packer.pack(file, ""), packer.arrays)


def _execution_of(net: Any) -> str:
    """Name of the execution on which the last bits depend, as in SKLEARN_FSMD_EXECUTION."""
    return "torch" if net.crew is None else "fused"


def _load_optimizer(optimizer: Any, state: dict[str, Any]) -> None:
    """Load the state of an optimizer and keep integers, such as the last step of a row, which torch turns into floats.

    Tensors of another shape than their parameter are refused: fused steps do not check, and would write out of bounds.
    """
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for saved, group in zip(state["param_groups"], optimizer.state_dict()["param_groups"], strict=True):
        if {name: _types_of(value) for name, value in saved.items()} != {n: _types_of(v) for n, v in group.items()}:
            raise ValueError("the optimizer's options are not those of this optimizer")
    key_sets = {frozenset(values) - {"last"} for values in state["state"].values()}
    keys_of_tables = frozenset(("step", "sum")) if isinstance(optimizer, RowWiseAdagrad) else None
    if len(key_sets - {keys_of_tables}) > 1:
        raise ValueError("the optimizer has different states for its parameters")
    is_fused = isinstance(optimizer, RowWiseAdam) or any(group.get("fused") for group in optimizer.param_groups)
    for i, values in state["state"].items() if is_fused else ():
        shape = parameters[i].shape
        for name, value in values.items():
            expected = {"step": torch.Size(), "last": shape[:1], "sum": shape[:1]}.get(name, shape)
            if value is None and name in ("step", "exp_avg", "exp_avg_sq"):
                raise ValueError(f"the optimizer's {name!r} is missing")
            if value is not None and value.shape != expected:
                raise ValueError(f"the optimizer's {name!r} has the shape {tuple(value.shape)}, not {tuple(expected)}")
    optimizer.load_state_dict(state)
    for i, values in state["state"].items():
        for name, value in values.items():
            if isinstance(value, torch.Tensor) and value.dtype == torch.int32:
                optimizer.state[parameters[i]][name] = value.to(parameters[i].device)


def _checked(epoch: dict[str, Any]) -> dict[str, Any]:
    """The history of an epoch, whose values must be numbers."""
    for name, value in epoch.items():
        if not isinstance(value, Real):
            raise ValueError(f"{name!r} in the history is {value!r}")
    return epoch


def _types_of(value: Any) -> Any:
    """The type of an option, or the types in a tuple; int counts as float, since 0 and 0.0 are equal parameters."""
    if isinstance(value, tuple):
        return tuple(map(_types_of, value))
    kind = type(value.item() if isinstance(value, np.generic) else value)
    return float if kind is int else kind


def _digest_of_weights(module: Any, *, pretrained: bool) -> str:
    """Digest of the initial weights, without those that pretraining has changed."""
    digest = hashlib.sha256()
    members = module.members if pretrained else []
    pretrained_parts = [part for member in members for part in (member.embedding, *member.first_layers)]
    left_out = tuple(f"{name}." for name, part in module.named_modules() if part in pretrained_parts)
    for name, tensor in module.state_dict().items():
        if not name.startswith(left_out):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().data)  # no copy of a large table
    return digest.hexdigest()


def _to_json(value: Any) -> str:
    """A parameter as JSON; the JSON of equal values is equal when it is parsed."""

    def plain(value: Any) -> Any:
        return value.tolist() if hasattr(value, "tolist") else qualified_name(value)

    if isinstance(value, Mapping):  # JSON needs keys of Python types
        value = {key.tolist() if hasattr(key, "tolist") else key: one for key, one in value.items()}
    return json.dumps(value, default=plain, sort_keys=True)
