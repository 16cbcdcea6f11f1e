"""The state of a trained network as plain arrays, for pickles and files, and the network again."""

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

FORMAT_1_DEFAULTS: dict[str, Any] = {
    "target_statistics": None,
    "chain_loss": "entire_space",
    "n_members": 1,
    "list_pooling": "mean",
    "logistic_regression": False,
    "fm_scale": 1.0,
    "negative_sampling_rate": 1.0,
    "value_targets": None,
    "value_parents": None,
    "value_loss": "lognormal",
    "embedding_lr": 0.05,
    "embedding_compression": None,
    "max_embedding_rows": 1_000_000,
}
"""Values of parameters that were added after the first file format, for files of that format."""


FIXED = "fixed"
"""The key for the names of the parameters that are not trained."""


def network_state(predictor: Predictor) -> dict[str, Any]:
    """The state of a trained network as plain values and arrays, without objects of torch or skorch."""
    weights = {name: tensor.detach().cpu().numpy() for name, tensor in predictor.network.state_dict().items()}
    fixed = [name for name, parameter in predictor.network.named_parameters() if not parameter.requires_grad]
    return {"weights": weights, "spec": predictor.spec} | ({FIXED: fixed} if fixed else {})


@torch.inference_mode(mode=False)
def restore_network(encoder: InputEncoder, n_tasks: int, frozen: dict[str, Any]) -> Predictor:
    """Restore a network from its state, on its device, or on the CPU if there is no such device.

    The network uses the arrays in `frozen` without a copy, except for read-only ones.
    """
    spec, arrays = FORMAT_1_DEFAULTS | frozen["spec"], frozen["weights"]
    if "slopes" not in arrays:  # a file of an older version
        arrays = arrays | {"slopes": np.ones(n_tasks, np.float32)}
    if "values.largest" in arrays and "values.order" not in arrays:  # an older version had the log-odds first
        arrays = arrays | {"values.order": np.array([1, 0])}
    if "target_statistics" not in frozen["spec"]:  # older files have it only among the parameters of the estimator
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
    for name in frozen.get(FIXED, []):  # such as those that skorch's Freezer has frozen
        network.get_parameter(name).requires_grad_(False)
    return Predictor(network.to(device).eval(), device, spec)


def _tied(network: torch.nn.Module) -> list[list[str]]:
    """The names of each parameter that has more than one."""
    names: dict[int, list[str]] = {}
    for name, parameter in network.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name)
    return [aliases for aliases in names.values() if len(aliases) > 1]


def _set(network: torch.nn.Module, name: str, parameter: torch.nn.Parameter) -> None:
    module, _, attribute = name.rpartition(".")
    setattr(network.get_submodule(module), attribute, parameter)


def flat_history(epochs: Sequence[dict[str, Any]], task_names: Sequence[str]) -> list[dict[str, Any]]:
    """A history of floats. In files of the first format, entries per task are tuples."""
    names, flat = {"valid_auc": "valid_auc", "task_weights": "task_weight"}, []
    for epoch in epochs:
        row: dict[str, Any] = {}
        for key, value in epoch.items():
            if isinstance(value, tuple) and key in names:
                row |= {f"{names[key]}_{task}": float(v) for task, v in zip(task_names, value, strict=True)}
            if key == "valid_auc" and isinstance(value, tuple):
                defined = [v for v in value if v == v]  # not NaN
                value = sum(defined) / len(defined) if defined else float("nan")
            if not isinstance(value, tuple) or key not in names:
                row[key] = float(value) if isinstance(value, bool) else value
        flat.append(row)
    return flat


def _check_shapes(p: NetworkParameters, encoder: InputEncoder, n_tasks: int, weights: dict[str, np.ndarray]) -> None:
    """Raise if the weights do not fit the network that `p` describes, before memory for that network is allocated."""
    if callable(p.extractor):
        return  # an extractor of the user may not support the meta device
    n_weights = sum(array.size for array in weights.values())
    for name, value in vars(p).items():
        if name.startswith("n_") and value > max(n_weights, 100):
            raise ValueError(f"{name} is {value}, and there are {n_weights} weights")
    with torch.device("meta"):
        expected = {name: tuple(tensor.shape) for name, tensor in build(p, encoder, n_tasks).state_dict().items()}
    shapes = {name: array.shape for name, array in weights.items()}
    if expected != shapes:
        name = next(name for name in (*expected, *shapes) if expected.get(name) != shapes.get(name))
        raise ValueError(f"the weights {name!r} have the shape {shapes.get(name)}, expected {expected.get(name)}")
