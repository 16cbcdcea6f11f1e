"""How the parameters of an estimator become a net, and how it is trained and asked."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from sklearn_fsmd.features import Encoded, FeatureEncoder
from sklearn_fsmd.network import build_network
from sklearn_fsmd.nn.dropout import set_generator
from sklearn_fsmd.nn.links import MultiTaskLoss
from sklearn_fsmd.parameters import OPTIMIZERS
from sklearn_fsmd.targets import Targets
from sklearn_fsmd.training import BatchIterator, EarlyStopping, Net, ProgressBar, TensorData

TrainingRows = tuple[Encoded, Targets]

FEW_ROWS = 1000
"""Below this, early_stopping="auto" does not set rows aside."""

_building = threading.Lock()


def new_net(p: Any, encoder: FeatureEncoder, targets: Targets, random: np.random.RandomState) -> Net:
    """The net for the parameters of `p`, with its initial weights, on the device that they name."""
    net = make_net(p, encoder, targets.labels.shape[1], draw_seed(random), resolve_device(p.device))
    net.module_.start_at(torch.from_numpy(targets.rates()).to(net.device, torch.float32))
    net.average_.reset()
    return net


def make_net(p: Any, encoder: FeatureEncoder, n_tasks: int, seed: int, device: str) -> Net:
    """An initialised skorch net around the network that `p` describes."""
    with seeded(seed):
        network = build_network(p, encoder.cardinalities, len(encoder.numeric), n_tasks)
    net = Net(
        network,
        criterion=MultiTaskLoss(network.link, task_weights_of(p, n_tasks)),
        optimizer=OPTIMIZERS.get(p.optimizer, p.optimizer),
        lr=p.lr,
        average_decay=p.average_decay,
        train_split=None,
        verbose=0,
        device=device,
        callbacks=None,
        **optimizer_options(p, device),
        **(p.net_params or {}),
    )
    return net.initialize()


def freeze(net: Net) -> dict[str, Any]:
    """What of a net is worth keeping, as plain arrays: no object of torch or skorch, so that reading it is safe."""
    weights = {name: tensor.detach().cpu().numpy() for name, tensor in net.module_.state_dict().items()}
    return {"weights": weights, "history": history_of(net)}


def thaw(p: Any, encoder: FeatureEncoder, n_tasks: int, frozen: dict[str, Any]) -> Net:
    """The net again, on the device of `p` or, where that does not exist, on the CPU. Its optimizer starts anew."""
    try:
        device = resolve_device(p.device)
    except ValueError:
        device = "cpu"
    net = make_net(p, encoder, n_tasks, seed=0, device=device)
    net.module_.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in frozen["weights"].items()})
    net.average_.reset()
    for epoch in frozen["history"]:
        net.history.new_epoch()
        net.history[-1].update(epoch)
    net.module_.eval()
    return net


def history_of(net: Net) -> list[dict[str, Any]]:
    """A plain dictionary an epoch."""
    return [{key: value for key, value in epoch.items() if key != "batches"} for epoch in net.history]


def train(
    p: Any,
    net: Net,
    data: TrainingRows,
    valid: TrainingRows | None,
    *,
    epochs: int,
    encoder: FeatureEncoder,
    task_names: Sequence[str],
    random: np.random.RandomState,
) -> None:
    """Train `net` for up to `epochs` passes, and stop early where there is validation data."""
    set_generator(net.module_, torch.Generator(net.device).manual_seed(draw_seed(random)))
    batches = BatchIterator(
        TensorData.of(*data, net.device),
        batch_size_of(p, len(data[0])),
        torch.Generator().manual_seed(draw_seed(random)),
        offsets=torch.from_numpy(encoder.offsets).to(net.device, torch.from_numpy(data[0].codes[:0]).dtype),
        unknown_rate=p.unknown_rate,
    )
    callbacks = list(p.callbacks or [])
    if valid is not None:
        callbacks.append(EarlyStopping(p.patience if p.early_stopping else epochs, p.tol))
    if p.verbose:
        callbacks.append(ProgressBar(task_names, epochs))
    net.callbacks = callbacks
    net.initialize_callbacks()
    with threads(p.n_threads):
        net.run(batches, None if valid is None else TensorData.of(*valid, net.device), epochs)


def marginals(p: Any, net: Net, rows: Encoded) -> np.ndarray:
    """P(Y_k = 1) of each row and task."""
    with threads(p.n_threads):
        logits = net.logits(*rows.tensors(net.device))
        return net.module_.link.marginals(logits).cpu().numpy()


@torch.inference_mode()
def gate_weights(p: Any, net: Net, rows: Encoded) -> np.ndarray:
    """The weights of the experts, ``(n, levels, K, E)``."""
    with threads(p.n_threads):
        return net.module_.gate_weights(*rows.tensors(net.device)).cpu().numpy()


def wants_split(p: Any, n_rows: int) -> bool:
    """Whether early stopping is on and has to take its validation data from the training data."""
    return n_rows >= FEW_ROWS if p.early_stopping == "auto" else bool(p.early_stopping)


def split(p: Any, rows: Encoded, targets: Targets, random: np.random.RandomState) -> tuple[TrainingRows, TrainingRows]:
    """Set `validation_fraction` of the rows aside, each combination of labels in proportion.

    Rows are ordered by their labels, at random within equal ones, and every so-maniest is taken. So the split is
    stratified over all targets at once, whatever their number, and no combination is too rare for it.
    """
    n = len(rows)
    n_valid = round(p.validation_fraction * n)
    if not 0 < n_valid < n:
        raise ValueError(
            f"The 'validation_fraction' {p.validation_fraction} of {n} rows leaves {n - n_valid} rows to train on and "
            f"{n_valid} to validate on. Use more rows, give `X_val` and `Y_val`, or set early_stopping=False."
        )
    observed = np.ones_like(targets.labels) if targets.weights is None else targets.weights > 0
    order = np.lexsort((random.permutation(n), *targets.labels.T, *observed.T))
    is_valid = np.zeros(n, dtype=bool)
    is_valid[order[np.floor((np.arange(n_valid) + random.uniform()) * n / n_valid).astype(int)]] = True
    train, valid = np.flatnonzero(~is_valid), np.flatnonzero(is_valid)
    return (rows.take(train), targets.take(train)), (rows.take(valid), targets.take(valid))


def batch_size_of(p: Any, n_rows: int) -> int:
    return min(max(n_rows // 100, 32), 1024) if p.batch_size == "auto" else p.batch_size


def task_weights_of(p: Any, n_tasks: int) -> torch.Tensor:
    if p.task_weights is None:
        return torch.ones(n_tasks)
    weights = np.asarray(p.task_weights, dtype=np.float32)
    if weights.shape != (n_tasks,) or not (np.isfinite(weights) & (weights >= 0)).all() or not weights.any():
        raise ValueError(
            f"The 'task_weights' parameter must be {n_tasks} numbers, one a task, not negative and not all zero. "
            f"Got {p.task_weights!r} instead."
        )
    return torch.from_numpy(weights)


def optimizer_options(p: Any, device: str) -> dict[str, Any]:
    """What the named optimizers are given; a class of the user's gets `lr`, and the rest through `net_params`."""
    if p.optimizer not in OPTIMIZERS:
        return {}
    options = {"optimizer__weight_decay": p.weight_decay}
    if p.optimizer != "adagrad" and not device.startswith("mps"):
        options["optimizer__fused"] = True
    return options


def resolve_device(device: str) -> str:
    """The device that `device` names, if it can be used."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"The 'device' parameter {device!r} cannot be used here: {error}") from error
    return device


def draw_seed(random: np.random.RandomState) -> int:
    return int(random.randint(2**31 - 1))


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch for what draws from its global generator, and restore that generator afterwards."""
    with _building, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


@contextmanager
def threads(n: int | None) -> Iterator[None]:
    """Let torch use `n` threads for a while."""
    before = torch.get_num_threads()
    if n is None or n == before:
        yield
        return
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)
