"""A net as plain arrays, and back: what pickles and files hold of it."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from sklearn_fsmd import fitting
from sklearn_fsmd.inputs import InputEncoder
from sklearn_fsmd.runtime import resolve_device
from sklearn_fsmd.training import Net


def freeze(net: Net) -> dict[str, Any]:
    """What of a net is worth keeping, as plain arrays: no object of torch or skorch, so that reading it is safe."""
    weights = {name: tensor.detach().cpu().numpy() for name, tensor in net.module_.state_dict().items()}
    return {"weights": weights, "history": net.epochs(), "spec": net.spec_}


def thaw(encoder: InputEncoder, n_tasks: int, frozen: dict[str, Any]) -> Net:
    """The net again, on its device or, where that does not exist, on the CPU. Its optimizer starts anew."""
    p = SimpleNamespace(**frozen["spec"])
    try:
        device = resolve_device(p.device)
    except ValueError:
        device = "cpu"
    _check_shapes(p, encoder, n_tasks, frozen["weights"])
    net = fitting.make_net(p, encoder, n_tasks, seed=0, device=device)
    net.module_.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in frozen["weights"].items()})
    net.average_.level()
    net.take_history(frozen["history"])
    net.module_.eval()
    return net


def flat_history(epochs: Sequence[dict[str, Any]], task_names: Sequence[str]) -> list[dict[str, Any]]:
    """A history of floats; files of the first format hold a tuple where something was of each task."""
    names, flat = {"valid_auc": "valid_auc", "task_weights": "task_weight"}, []
    for epoch in epochs:
        row: dict[str, Any] = {}
        for key, value in epoch.items():
            if isinstance(value, tuple):
                row |= {f"{names[key]}_{task}": float(v) for task, v in zip(task_names, value, strict=True)}
            if key == "valid_auc" and isinstance(value, tuple):
                known = [v for v in value if v == v]
                value = sum(known) / len(known) if known else float("nan")
            if not isinstance(value, tuple):
                row[key] = float(value) if isinstance(value, bool) else value
        flat.append(row)
    return flat


def _check_shapes(p: Any, encoder: InputEncoder, n_tasks: int, weights: dict[str, np.ndarray]) -> None:
    """Refuse weights of another network than `p` describes, before that takes whatever memory it asks for."""
    if callable(p.extractor):
        return  # the user's own, which may not be made without memory
    n_weights = sum(array.size for array in weights.values())
    for name in ("n_experts", "n_task_experts", "n_shared_experts", "n_levels"):
        if getattr(p, name) > max(n_weights, 100):
            raise ValueError(f"{name} is {getattr(p, name)}, and there are {n_weights} weights")
    with torch.device("meta"):
        wanted = {name: tuple(tensor.shape) for name, tensor in fitting.build(p, encoder, n_tasks).state_dict().items()}
    found = {name: array.shape for name, array in weights.items()}
    if wanted != found:
        name = next(name for name in (*wanted, *found) if wanted.get(name) != found.get(name))
        raise ValueError(f"the weights {name!r} have the shape {found.get(name)}, expected {wanted.get(name)}")
