"""A file that is written after each epoch, and from which a fit that was killed goes on to the same bits."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from skorch.callbacks import Callback

from sklearn_fsmd import storage
from sklearn_fsmd.nn.dropout import dropout_state, set_dropout_state
from sklearn_fsmd.plain import Packer, Unpacker, described
from sklearn_fsmd.training.callbacks import EarlyStopping

KIND = "checkpoint"


class Checkpoint(Callback):
    """Writes the state of the training after each epoch, and puts that of `path` in place if training resumes.

    What comes before the first epoch (encoding, split, initial weights) is not in the file: with the random state that
    the fit began with it comes out the same again.

    Parameters
    ----------
    path : where the file is. A file of another kind, such as a saved model, is not replaced.
    model : the name of the estimator's class.
    parameters : those of the estimator on which the outcome depends.
    random : the random state that the fit begins with.
    resume : whether to go on from the file, if it is there.

    Attributes
    ----------
    random : RandomState, that of `random` or that of the fit that is resumed.
    resumes : bool
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        model: str,
        parameters: Mapping[str, Any],
        random: np.random.RandomState,
        *,
        resume: bool,
    ) -> None:
        self.path = path
        self.model = model
        self.parameters = {name: _text(value) for name, value in parameters.items()}
        self.found: dict[str, Any] | None = None
        there = storage.read(path, KIND) if Path(path).exists() else None  # refuses to replace a file of another kind
        if resume and there is not None:
            content, arrays = there
            self.found = Unpacker(arrays).unpack(content)
            self._check(self.found["model"], self.found["parameters"])
            random = self.found["random"]
        self.begun_with = np.random.RandomState()
        self.begun_with.set_state(random.get_state())
        self.random = random

    @property
    def resumes(self) -> bool:
        return self.found is not None

    def _check(self, model: str, former: Mapping[str, str]) -> None:
        if model != self.model:
            raise ValueError(f"{self.path} was written by the fit of {model}, and this is {self.model}.")
        for name, value in self.parameters.items():
            if former.get(name) != value:
                raise ValueError(
                    f"The {name!r} parameter was {former.get(name)} in the fit that wrote {self.path} and is {value} "
                    "now. Set it back, or fit anew with resume=False."
                )

    def watch(self, stopping: EarlyStopping | None, names: Sequence[str], *arrays: np.ndarray | None) -> None:
        """Be told the early stopping of the fit, and the data; these must be those of the fit that is resumed."""
        self.stopping = stopping
        digest = hashlib.sha256(json.dumps(list(names)).encode())
        for array in arrays:
            digest.update(b"-" if array is None else np.ascontiguousarray(array).data)
        self.data = digest.hexdigest()
        if self.found is not None and self.found["data"] != self.data:
            raise ValueError(
                f"The data are not those of the fit that wrote {self.path}. Fit with the same X, Y, weights and "
                "validation data, names included, or anew with resume=False."
            )

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        self.batches = X
        if self.found is None:
            return
        state, self.found = self.found["state"], None
        net.module_.load_state_dict(state["module"])
        net.average_.load_state_dict(state["average"])
        _load_optimizer(net.optimizer_, state["optimizer"])
        net.balance.load_state_dict(state["balance"])
        self.batches.generator.set_state(state["order"])
        set_dropout_state(net.module_, state["dropout"])
        net.take_history(state["history"])
        if self.stopping is not None:
            self.stopping.load_state_dict(state["stopping"])
        net.stop_training_ = state["stopped"]

    def on_epoch_end(self, net: Any, dataset_train: Any = None, dataset_valid: Any = None, **kwargs: Any) -> None:
        state = {
            "module": dict(net.module_.state_dict()),
            "average": net.average_.state_dict(),
            "optimizer": net.optimizer_.state_dict(),
            "balance": net.balance.state_dict(),
            "order": self.batches.generator.get_state(),
            "dropout": dropout_state(net.module_),
            "history": net.epochs(),
            "stopping": None if self.stopping is None else self.stopping.state_dict(),
            "stopped": net.stop_training_,
        }
        file = {
            "model": self.model,
            "parameters": self.parameters,
            "data": self.data,
            "random": self.begun_with,
            "state": state,
        }
        packer = Packer()
        storage.write(self.path, KIND, packer.pack(file, ""), packer.arrays)


def _load_optimizer(optimizer: Any, state: dict[str, Any]) -> None:
    """Torch's own way, but that it would turn integers, such as the last step of a row, into floats."""
    optimizer.load_state_dict(state)
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for i, values in state["state"].items():
        for name, value in values.items():
            if hasattr(value, "is_floating_point") and not value.is_floating_point():
                optimizer.state[parameters[i]][name] = value.to(parameters[i].device)


def _text(value: Any) -> str:
    """A parameter as text that is the same for equal values."""

    def plain(value: Any) -> Any:
        return value.tolist() if hasattr(value, "tolist") else described(value)

    return json.dumps(value, default=plain)
