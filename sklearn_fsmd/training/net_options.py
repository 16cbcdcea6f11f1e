"""Options of the skorch net: optimizer, task weights and callbacks, and checks of what users set."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import torch

from sklearn_fsmd.parameters import OptimizationParameters
from sklearn_fsmd.training.optimizers import optimizer_of

WEIGHT_DECAY = 0.03
"""The weight decay of "auto" with AdamW."""

NOT_NET_PARAMS = {
    *("module", "criterion", "optimizer", "lr", "max_epochs", "batch_size", "device", "callbacks", "verbose"),
    *("train_split", "iterator_train", "iterator_valid", "dataset", "average_decay", "balance", "predict_nonlinearity"),
    *("use_caching", "compile", "warm_start", "history"),
}
SET_BY_ESTIMATOR = {
    *("optimizer__lr", "optimizer__weight_decay", "optimizer__table_lr", "optimizer__param_groups"),
}


def net_options(p: OptimizationParameters, device: str) -> dict[str, Any]:
    """Keyword arguments of the skorch net: the optimizer's parameters and the user's `net_params`, which come last.

    Raises
    ------
    ValueError
        If `net_params` sets something that the estimator has a parameter for, or that its training does not use.
    """
    refused = [
        name
        for name in p.net_params or {}
        if not isinstance(name, str)
        or name in SET_BY_ESTIMATOR
        or (name.split("__")[0] in NOT_NET_PARAMS and not name.startswith("optimizer__"))
    ]
    if refused:
        raise ValueError(f"The 'net_params' parameter cannot set {refused[0]!r}; use the parameters of the estimator.")
    optimizer = optimizer_of(p)
    if not issubclass(optimizer, torch.optim.Optimizer):
        raise ValueError(f"The 'optimizer' parameter must be a subclass of torch.optim.Optimizer. Got {optimizer!r}.")
    options: dict[str, Any] = {"optimizer": optimizer}
    if "weight_decay" in inspect.signature(optimizer).parameters:
        is_decay = p.optimizer == "adamw" or issubclass(optimizer, torch.optim.AdamW)
        auto = WEIGHT_DECAY if is_decay else 0.0
        options["optimizer__weight_decay"] = auto if p.weight_decay == "auto" else p.weight_decay
    elif p.weight_decay not in ("auto", 0):
        raise ValueError(
            f"weight_decay={p.weight_decay} has no effect: {optimizer.__name__} has none. Leave it 'auto'."
        )
    if p.embedding_optimizer == "rowwise_adagrad":
        options["optimizer__table_lr"] = p.embedding_lr
    not_fused = {"optimizer__foreach", "optimizer__differentiable"} & set(p.net_params or ())
    if p.optimizer in ("adamw", "adam", "sgd") and not device.startswith("mps") and not not_fused:
        options["optimizer__fused"] = True
    return options | (p.net_params or {})


def task_weights_of(p: OptimizationParameters, n_tasks: int) -> torch.Tensor:
    """The weights of the tasks as a checked tensor, ``(n_tasks,)``."""
    if p.task_weights is None:
        return torch.ones(n_tasks, dtype=torch.float32)
    named = p.task_weights.to_dict() if hasattr(p.task_weights, "to_dict") else p.task_weights
    if isinstance(named, dict) and any(isinstance(name, str) for name in named):
        raise ValueError(
            "The 'task_weights' parameter takes numbers in the order of the targets, and no names: pass a list. Got "
            f"names, {list(named)}."
        )
    try:
        weights = np.asarray(p.task_weights)
    except ValueError:  # lists of several lengths
        weights = np.empty(0)
    with np.errstate(over="ignore"):
        weights = weights.astype(np.float32) if weights.dtype.kind in "iuf" else np.empty(0, dtype=np.float32)
    if weights.shape != (n_tasks,) or not (np.isfinite(weights) & (weights >= 0)).all() or not weights.any():
        raise ValueError(
            f"The 'task_weights' parameter must be {n_tasks} numbers, one per task, not negative and not all zero. "
            f"Got {p.task_weights!r} instead."
        )
    return torch.from_numpy(weights)


def check_callbacks(callbacks: Any) -> None:
    """Raise if one is no skorch callback, or would restore weights that are not those of the model."""
    for callback in () if callbacks is None else callbacks:
        instance = callback[1] if isinstance(callback, tuple) and len(callback) == 2 else callback
        if not hasattr(instance, "on_batch_end") and callback is not None:
            raise TypeError(f"The 'callbacks' parameter must be a list of skorch callbacks. Got {callback!r} in it.")
        if getattr(instance, "load_best", False):
            raise ValueError(
                "load_best=True of a callback would restore the weights of the end of an epoch, without averaging. "
                "The best averaged weights are kept anyway: leave it out."
            )
