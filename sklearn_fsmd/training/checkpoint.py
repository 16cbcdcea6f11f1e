"""A file that is written while a fit trains, and from which a fit that was killed goes on to the same bits."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
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
from sklearn_fsmd.training.rowwise_adagrad import AdagradRows
from sklearn_fsmd.training.rowwise_adam import RowWiseAdam
from sklearn_fsmd.training.weight_average import check_same_shapes

KIND = "checkpoint"


class Checkpoint(Callback):
    """Writes the state of the training after each epoch, and puts that of `path` in place if training resumes.

    Within an epoch it is written too, if `every` says so. The order of the pass follows then from the generator as it
    was at its beginning; the batches that have been taken are passed over.

    What comes before the first epoch (encoding, split, initial weights) is not in the file: with the random state that
    the fit began with it comes out the same again.

    Parameters
    ----------
    path : where the file is. A file of another kind, such as a saved model, is not replaced.
    model : the name of the estimator's class.
    parameters : those of the estimator on which the outcome depends.
    random : the random state that the fit begins with.
    resume : whether to go on from the file, if it is there.
    every : after how many rows it is written within an epoch; None for never.

    Attributes
    ----------
    random : RandomState, that of `random` or that of the fit that is resumed.
    resumes : bool
    writes : bool, whether this process is the one that writes the file.
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
        self.parameters = {name: _text(value) for name, value in parameters.items()}
        self.found: dict[str, Any] | None = None
        refuse_unwritable(path)
        exists = Path(path).exists()
        if exists and (kind := kind_of(path)) != KIND:
            raise ValueError(f"{path} holds a {kind}, not a {KIND}, and is not replaced. Name another file.")
        if resume and exists:
            content, arrays = read(path, KIND)
            with self._made_up():
                self.found = found = Unpacker(arrays).unpack(content)
                if missing := {"random", "model", "parameters", "data", "initial", "state"} - found.keys():
                    raise KeyError(min(missing))
                random, former = found["random"], dict(found["parameters"])  # the fit draws on as it would have
                random.get_state()  # a file made up by somebody may hold anything
            self._check(found["model"], former)
        self.resumes = self.found is not None
        self.begun_with = np.random.RandomState()
        self.begun_with.set_state(random.get_state())
        self.random = random

    @contextmanager
    def _made_up(self) -> Iterator[None]:
        """Where reading fails though the checksum was right, somebody wrote what no version of this library writes."""
        try:
            yield
        except Exception as error:
            raise ValueError(f"{self.path} cannot be resumed: {type(error).__name__}, {error}") from error

    def _check(self, model: str, former: Mapping[str, str]) -> None:
        if model != self.model:
            raise ValueError(f"{self.path} was written by the fit of {model}, and this is {self.model}.")
        for name, value in self.parameters.items():
            with self._made_up():
                was, now = (json.loads(text) for text in (former.get(name, "null"), value))
            if was != now and former.get(name) != value:  # NaN is not equal to itself
                raise ValueError(
                    f"The {name!r} parameter was {was!r} in the fit that wrote {self.path} and is {now!r} now. Set "
                    "it back, or fit anew with resume=False."
                )

    def watch(self, stopping: EarlyStopping | None, rows: Sequence[Any], encoding: Sequence[Any]) -> None:
        """Be told the early stopping of the fit, its encoded rows or what tells them from others, and the encoding.

        Codes alone do not tell data apart: other ids, prices times two or other classes can have the same.

        Raises
        ------
        ValueError
            If a fit is resumed whose rows or encoding were others.
        """
        self.stopping = stopping
        self.data, self.encoding = digest_of(*rows), digest_of(*encoding)
        if self.found is None:
            return
        if "encoding" not in self.found or "execution" not in self.found:
            raise ValueError(
                f"{self.path} does not say how its rows were encoded or how the network was computed: an older version "
                "wrote it. Fit anew with resume=False."
            )
        for part, what in (("data", "rows"), ("encoding", "names, categories, scales or classes")):
            if self.found[part] != getattr(self, part):
                raise ValueError(
                    f"The data are not those of the fit that wrote {self.path}. Fit with the same X, Y, weights and "
                    f"validation data, names included, or anew with resume=False. The {what} differ. If they are the "
                    "same, another version of this library wrote it."
                )

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        self.batches = X
        self.initial = _initial(net.module_, pretrained=self.parameters.get("pretrain_epochs", "0") != "0")
        if self.found is None:
            if self.writes:
                # Or a kill in the first epoch would leave that of another fit.
                Path(os.path.realpath(self.path)).unlink(missing_ok=True)
            return
        found, self.found = self.found, None
        if found["initial"] != self.initial:
            raise ValueError(
                f"The network does not begin as that of the fit that wrote {self.path}: the code is another."
            )
        way = _way_of(net)
        if found["execution"] != way:
            raise ValueError(
                f"{self.path} was written by a fit in the way {found['execution']!r}, whose last bits are others than "
                f"those of {way!r}. Set SKLEARN_FSMD_EXECUTION={found['execution']}, or fit anew with resume=False."
            )
        with self._made_up():
            n_averaged = len(found["state"]["average"]["others"])
        if net.module_.values is not None and n_averaged > len(net.average_.others):
            raise ValueError(f"{self.path} was written by an older version of the library. Fit anew with resume=False.")
        with self._made_up():
            self._restore(net, found["state"])

    def _restore(self, net: Any, state: dict[str, Any]) -> None:
        net.module_.load_state_dict(state["module"])
        net.average_.load_state_dict(state["average"])
        _load_optimizer(net.optimizer_, state["optimizer"])
        net.balance.load_state_dict(state["balance"])
        self.batches.generator.set_state(state["order"])
        set_dropout_state(net.module_, state["dropout"])
        net.take_history(state["history"])
        if self.stopping is not None:
            self.stopping.load_state_dict(state["stopping"])
            if self.stopping.best_weights or state.get("within") is None:  # before the first look there are none
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
        with self._made_up():
            net.history[-1].update(within["epoch"])
            losses, sizes = within["losses"], within["sizes"]
            net.begun = list(losses.to(net.device)), [int(size) for size in sizes]
            if self.stopping is not None:
                self.stopping.load_epoch_state(within["stopping"])

    def on_batch_end(self, net: Any, batch: Any = None, training: bool = False, **kwargs: Any) -> None:
        self.n_unwritten += net.rows_of(batch)
        if self.every is None or self.n_unwritten < self.every or net.n_batches_ == len(self.batches):
            return
        self.n_unwritten = 0
        losses, sizes = net.seen
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
        self.batches = self.stopping = None  # a fitted estimator keeps its callbacks, and no data

    def _write(self, net: Any, epochs: list[dict[str, Any]], within: dict[str, Any] | None) -> None:
        """Write the state after these epochs and, within one, after the batches that it has taken."""
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
            "execution": _way_of(net),
            "random": self.begun_with,
            "state": state,
        }
        packer = Packer()
        write(self.path, KIND, packer.pack(file, ""), packer.arrays)


def _way_of(net: Any) -> str:
    return "torch" if net.crew is None else "fused"


def _load_optimizer(optimizer: Any, state: dict[str, Any]) -> None:
    """Torch's own way, but that it would turn integers, such as the last step of a row, into floats.

    What is of another shape than the parameter is refused: steps that are fused do not look, and would run beyond it.
    """
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for saved, group in zip(state["param_groups"], optimizer.state_dict()["param_groups"], strict=True):
        if {name: _types_of(value) for name, value in saved.items()} != {n: _types_of(v) for n, v in group.items()}:
            raise ValueError("the optimizer's options are not those of this optimizer")
    kinds = {frozenset(values) - {"last"} for values in state["state"].values()}
    of_rows = frozenset(("step", "sum")) if isinstance(optimizer, AdagradRows) else None
    if len(kinds - {of_rows}) > 1:
        raise ValueError("the optimizer remembers other things of one parameter than of another")
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


def _types_of(value: Any) -> Any:
    """The type of an option, or those of a tuple; all numbers are of one, since 0 and 0.0 are equal parameters."""
    if isinstance(value, tuple):
        return tuple(map(_types_of, value))
    kind = type(value.item() if isinstance(value, np.generic) else value)
    return float if kind is int else kind


def _initial(module: Any, *, pretrained: bool) -> str:
    """What the weights begin as; those that pretraining has changed left out."""
    digest = hashlib.sha256()
    members = module.members if pretrained else []
    started = [part for member in members for part in (member.embedding, *member.first_layers)]
    left_out = tuple(f"{name}." for name, part in module.named_modules() if part in started)
    for name, tensor in module.state_dict().items():
        if not name.startswith(left_out):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().data)  # not copied: it may be a large table
    return digest.hexdigest()


def _text(value: Any) -> str:
    """A parameter as JSON, which is the same for equal values once it is read."""

    def plain(value: Any) -> Any:
        return value.tolist() if hasattr(value, "tolist") else qualified_name(value)

    if isinstance(value, Mapping):  # JSON knows keys of Python alone
        value = {key.tolist() if hasattr(key, "tolist") else key: one for key, one in value.items()}
    return json.dumps(value, default=plain, sort_keys=True)
