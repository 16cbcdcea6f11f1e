"""A trained network as plain arrays, and back: what pickles and files hold of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from sklearn_fsmd.encoding import InputEncoder
from sklearn_fsmd.inference import Predictor, build, parameters_of
from sklearn_fsmd.network import Table
from sklearn_fsmd.parameters import NetworkParameters
from sklearn_fsmd.parameters.machine import cpu_by_default, resolve_device, seeded

BEFORE: dict[str, Any] = {
    "target_statistics": None,
    "chain_loss": "entire_space",
    "n_members": 1,
    "list_pooling": "mean",
    "fm_scale": 1.0,
    "negative_sampling_rate": 1.0,
    "value_targets": None,
    "value_parents": None,
    "value_loss": "lognormal",
    "embedding_lr": 0.05,
    "embedding_compression": None,
    "max_embedding_rows": 1_000_000,
}
"""What files of the first format, which do not say it, mean by parameters that came later."""


FIXED = "fixed"
"""The names of the parameters that are not trained."""


def network_state(predictor: Predictor, history: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What of a trained network is worth keeping, as plain arrays: no object of torch or skorch, so reading is safe."""
    weights = {name: tensor.detach().cpu().numpy() for name, tensor in predictor.network.state_dict().items()}
    fixed = [name for name, parameter in predictor.network.named_parameters() if not parameter.requires_grad]
    return {"weights": weights, "history": list(history), "spec": predictor.spec} | ({FIXED: fixed} if fixed else {})


@torch.inference_mode(mode=False)
def restore_network(encoder: InputEncoder, n_tasks: int, frozen: dict[str, Any]) -> Predictor:
    """The network again, on its device or, where that does not exist, on the CPU.

    The weights are taken over as they are, without a second copy; what cannot be written to is copied.
    """
    spec, arrays = BEFORE | frozen["spec"], frozen["weights"]
    if "slopes" not in arrays:  # a file of a former version
        arrays = arrays | {"slopes": np.ones(n_tasks, np.float32)}
    if "target_statistics" not in frozen["spec"]:  # which the files of former versions say of the estimator alone
        del spec["target_statistics"]
    p = parameters_of(spec)
    try:
        device = resolve_device(spec["device"])
    except ValueError:
        device = "cpu"
    _check_shapes(p, encoder, n_tasks, arrays)
    with seeded(0), cpu_by_default():
        network = build(p, encoder, n_tasks, with_tables=False)
    weights = {name: torch.from_numpy(a if a.flags.writeable else a.copy()) for name, a in arrays.items()}
    for name, part in network.named_modules():
        if isinstance(part, Table):
            part.weight = torch.nn.Parameter(weights[f"{name}.weight"])
            part.num_embeddings = len(part.weight)
    tied = _tied(network)
    network.load_state_dict(weights, assign=True)
    for first, *others in tied:
        for name in others:
            _set(network, name, network.get_parameter(first))
    for name in frozen.get(FIXED, []):  # as skorch's Freezer has left them
        network.get_parameter(name).requires_grad_(False)
    return Predictor(network.to(device).eval(), device, spec)


def _tied(network: torch.nn.Module) -> list[list[str]]:
    """The names of each parameter that has more than one."""
    names: dict[int, list[str]] = {}
    for name, parameter in network.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name)
    return [of_one for of_one in names.values() if len(of_one) > 1]


def _set(network: torch.nn.Module, name: str, parameter: torch.nn.Parameter) -> None:
    module, _, own = name.rpartition(".")
    setattr(network.get_submodule(module), own, parameter)


def flat_history(epochs: Sequence[dict[str, Any]], task_names: Sequence[str]) -> list[dict[str, Any]]:
    """A history of floats; files of the first format hold a tuple where something was of each task."""
    names, flat = {"valid_auc": "valid_auc", "task_weights": "task_weight"}, []
    for epoch in epochs:
        row: dict[str, Any] = {}
        for key, value in epoch.items():
            if isinstance(value, tuple) and key in names:
                row |= {f"{names[key]}_{task}": float(v) for task, v in zip(task_names, value, strict=True)}
            if key == "valid_auc" and isinstance(value, tuple):
                known = [v for v in value if v == v]
                value = sum(known) / len(known) if known else float("nan")
            if not isinstance(value, tuple) or key not in names:
                row[key] = float(value) if isinstance(value, bool) else value
        flat.append(row)
    return flat


def _check_shapes(p: NetworkParameters, encoder: InputEncoder, n_tasks: int, weights: dict[str, np.ndarray]) -> None:
    """Refuse weights of another network than `p` describes, before that takes whatever memory it asks for."""
    if callable(p.extractor):
        return  # the user's own, which may not be made without memory
    n_weights = sum(array.size for array in weights.values())
    for name, value in vars(p).items():
        if name.startswith("n_") and value > max(n_weights, 100):
            raise ValueError(f"{name} is {value}, and there are {n_weights} weights")
    with torch.device("meta"):
        wanted = {name: tuple(tensor.shape) for name, tensor in build(p, encoder, n_tasks).state_dict().items()}
    found = {name: array.shape for name, array in weights.items()}
    if wanted != found:
        name = next(name for name in (*wanted, *found) if wanted.get(name) != found.get(name))
        raise ValueError(f"the weights {name!r} have the shape {found.get(name)}, expected {wanted.get(name)}")
