"""How the parameters of an estimator become a net, and how it is trained."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch

from sklearn_fsmd.encoding import Encoded, InputEncoder, LabelledRows, TargetEncoder, Targets
from sklearn_fsmd.execution import way_to_train
from sklearn_fsmd.inference import Predictor, build, layout_of
from sklearn_fsmd.network import MultiTaskLoss, MultiTaskNetwork, n_values_of, seed_dropout, set_execution
from sklearn_fsmd.parameters import (
    MultiTaskParameters,
    OptimizationParameters,
    group_of,
)
from sklearn_fsmd.parameters.machine import resolve_device, resolve_precision, seeded, threads
from sklearn_fsmd.training import growing
from sklearn_fsmd.training.automatic import epochs_of, lr_of
from sklearn_fsmd.training.batches import TensorData
from sklearn_fsmd.training.checkpoint import Checkpoint
from sklearn_fsmd.training.distributed import Exchange, Processes
from sklearn_fsmd.training.feed import Feed, arrays_of
from sklearn_fsmd.training.large_tables import check_table_size, optimizer_of, trains_rows, warn_of_shared_rows
from sklearn_fsmd.training.level_rows import LevelRows
from sklearn_fsmd.training.net import Net
from sklearn_fsmd.training.pretraining import pretrain
from sklearn_fsmd.training.progress import Progress
from sklearn_fsmd.training.remembered import (
    ARCHITECTURE,
    AUTO_LR,
    AVERAGED_STEPS,
    BALANCE,
    BATCH_ROWS,
    ENCODING,
    differs,
    spec_of,
)
from sklearn_fsmd.training.task_balancing import RULES
from sklearn_fsmd.training.validation_rows import early_stopping_of

WEIGHT_DECAY = 0.03
"""What "auto" is with AdamW."""

NOT_NET_PARAMS = {
    *("module", "criterion", "optimizer", "lr", "max_epochs", "batch_size", "device", "callbacks", "verbose"),
    *("train_split", "iterator_train", "iterator_valid", "dataset", "average_decay", "balance", "predict_nonlinearity"),
    *("use_caching", "compile"),
}
OF_THE_ESTIMATOR = {
    *("optimizer__lr", "optimizer__weight_decay", "optimizer__table_lr", "optimizer__param_groups"),
}


def new_net(
    p: MultiTaskParameters,
    encoder: InputEncoder,
    targets: Targets,
    rates: np.ndarray,
    random: np.random.RandomState,
    unlabeled: Encoded | None,
    n_rows: int | None,
) -> Net:
    """The net for the parameters of `p`, with its initial weights, on the device that they name.

    `targets` may be those of some of the rows; `rates` ``(K,)`` are the rates of all. `unlabeled` are the rows to
    pretrain on, where `p` asks for that; None if the outcome is known already. `n_rows` are the rows of the fit, those
    that validate included; None if others will follow.
    """
    if p.embedding_compression is not None and p.pretrain_epochs:
        raise ValueError(
            f"pretrain_epochs={p.pretrain_epochs} learns an embedding of each value, and embedding_compression="
            f"{p.embedding_compression!r} lets values share them. Set one of the two to its default."
        )
    device = resolve_device(p.device)
    warn_of_shared_rows(p, encoder.main)
    check_table_size(p, encoder.main, targets.labels.shape[1] + n_values_of(p), device)
    with seeded(draw_seed(random)):
        network = build(p, encoder, targets.labels.shape[1])
    net = wrap(p, network, device, spec_of(p) | {AUTO_LR: lr_of(n_rows)})
    net.module_.start_at(torch.from_numpy(rates).to(net.device, torch.float32), values_of(p, targets, device))
    pretraining_seed = draw_seed(random) if p.pretrain_epochs else 0
    if p.pretrain_epochs and unlabeled is not None:
        with threads(p.n_threads):
            learned = pretrain(
                encoder.main,
                unlabeled,
                encoder.pretrained,
                dim=p.embedding_dim,
                epochs=p.pretrain_epochs,
                noise=p.pretrain_noise,
                device=device,
                seed=pretraining_seed,
                verbose=p.verbose,
                like=next(iter(net.module_.first_layers), None),
            )
        net.module_.start_from(learned)
    return net


def check_callbacks(callbacks: Any) -> None:
    """Raise if one is no callback of skorch, or would put weights back that are not those of the model."""
    for callback in () if callbacks is None else callbacks:
        own = callback[1] if isinstance(callback, tuple) and len(callback) == 2 else callback
        if not hasattr(own, "on_batch_end") and callback is not None:
            raise TypeError(f"The 'callbacks' parameter must be a list of skorch callbacks. Got {callback!r} in it.")
        if getattr(own, "load_best", False):
            raise ValueError(
                "load_best=True of a callback would put back weights of the end of an epoch, without their average. "
                "The best averaged weights are kept anyway: leave it out."
            )


def values_of(p: MultiTaskParameters, targets: Targets, device: str) -> tuple[torch.Tensor, torch.Tensor] | None:
    """The values and what they count, ``(n, V)`` each; None if there are none.

    Raises
    ------
    ValueError
        If none of a target counts.
    """
    if targets.values is None:
        return None
    values, weights = targets.values.arrays
    for v in np.flatnonzero(~(weights > 0).any(axis=0)).tolist():
        name = (p.value_targets or ())[v]
        parent = (p.value_parents or {}).get(name)
        where = "" if parent is None else f" in a row where {parent!r} has happened"
        raise ValueError(
            f"The value target {name!r} has no value to learn from: none is known{where}, or their weights are 0."
        )
    return torch.from_numpy(values).to(device), torch.from_numpy(weights).to(device)


def wrap(p: OptimizationParameters, network: MultiTaskNetwork, device: str, spec: dict[str, Any]) -> Net:
    """An initialised skorch net around `network`, whose weights stay as they are; what it was made of is its `spec`."""
    network.use_sparse_gradients(trains_rows(p, network))
    task_weights = task_weights_of(p, network.n_learned)
    net = Net(
        network,
        criterion=MultiTaskLoss(network.link, task_weights, p.chain_loss, network.values),
        lr=spec.get(AUTO_LR, lr_of(None)) if p.lr == "auto" else p.lr,
        average_decay=p.average_decay,
        balance=RULES[p.task_weighting](task_weights),
        train_split=None,
        verbose=0,
        device=device,
        callbacks=None,
        use_caching=False,
        **net_options(p, device),
    )
    net.spec_ = spec
    try:
        return net.initialize()
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError(
            f"The net cannot be made with optimizer={p.optimizer!r} and net_params={p.net_params!r}: {error}."
        ) from error


def net_of(predictor: Predictor, history: Sequence[dict[str, Any]]) -> Net:
    """The net around a network that was read; its optimizer starts anew."""
    p = group_of(OptimizationParameters, predictor.spec)
    net = wrap(p, predictor.network, predictor.device, predictor.spec)
    net.take_history(history)
    net.average_.go_on_from(predictor.spec.get(AVERAGED_STEPS))
    net.balance.take(predictor.spec.get(BALANCE, {}))
    net.module_.eval()
    return net


def go_on_with(p: MultiTaskParameters, net: Net) -> Net:
    """A copy of `net` for training that goes on under the parameters of `p`, which may have changed.

    Raises
    ------
    ValueError
        If a parameter of the architecture or of the encoding has changed.
    """
    new = spec_of(p)
    old = new | net.spec_
    for name in (*ARCHITECTURE, *ENCODING):
        if differs(old[name], new[name]):
            raise ValueError(
                f"The {name!r} parameter was {old[name]!r} in the fit that this one goes on from and is {new[name]!r} "
                "now. Set it back, or fit anew with warm_start=False."
            )
    if differs(old["device"], new["device"]) and resolve_device(p.device) != str(net.device):
        raise ValueError(
            f"The 'device' parameter is {p.device!r} now, and the model is on {str(net.device)!r}. Set it back, fit "
            "anew with warm_start=False, or save the model and load it with this `device`."
        )
    copied = net.copy()
    if not any(differs(old[name], new[name]) for name in set(new) - {"device", "embedding_std"}):
        return copied
    again = wrap(p, copied.module_, str(net.device), net.spec_ | new)
    again.history = copied.history
    again.average_.go_on_from(copied.average_.step)
    if not any(differs(old[name], new[name]) for name in ("optimizer", "embedding_optimizer", "net_params")):
        # Not by load_state_dict, which makes floats of what an optimizer counts.
        same = [(parameter, parameter) for parameter in again.module_.parameters()]
        for old_one, new_one in (*same, *zip(copied.balance.parameters(), again.balance.parameters(), strict=False)):
            if old_one in copied.optimizer_.state:
                again.optimizer_.state[new_one] = copied.optimizer_.state[old_one]
    if old["task_weighting"] == new["task_weighting"]:
        again.balance.load_state_dict(copied.balance.state_dict())
    return again


def widen(net: Net, targets: Targets) -> None:
    """Let training that goes on know of values that are larger than those of before."""
    if net.module_.values is not None and targets.values is not None:
        net.module_.values.widen(*(torch.from_numpy(x).to(net.device) for x in targets.values.arrays))


def grow(p: MultiTaskParameters, net: Net, before: InputEncoder, now: InputEncoder) -> None:
    """Give `net`, which is a copy, rows for the values that `now` knows and `before` did not.

    Raises
    ------
    ValueError
        If the tables would not fit into memory.
    """
    check_table_size(p, now.main, net.module_.n_learned, str(net.device))
    growing.grow(net, before.main, now.main, layout_of(p, now.main))


def train(
    p: MultiTaskParameters,
    net: Net,
    feed: Feed,
    valid: LabelledRows | None,
    *,
    epochs: int | Literal["auto"],
    encoder: InputEncoder,
    targets: TargetEncoder,
    random: np.random.RandomState,
    checkpoint: Checkpoint | None = None,
    level: LevelRows | None = None,
    processes: Processes | None = None,
) -> None:
    """Train `net` for up to `epochs` passes, and stop early where there is validation data.

    The rows of training `level` and those of validation say what the level of the predictions is to be; None leaves
    it, since a chunk of the data is no measure. Each of several `processes` calls this with a feed of its own rows, and
    the same of all else.
    """
    seed_dropout(net.module_, draw_seed(random), net.device)
    order = torch.Generator().manual_seed(draw_seed(random))
    batches = feed.batches(p, encoder, net.device, order, net.spec_.get(BATCH_ROWS, 0))
    epochs = epochs_of(epochs, len(batches), is_watched=valid is not None)
    callbacks = [] if p.callbacks is None else list(p.callbacks)
    net.task_names = [*targets.names, *targets.value_names]
    watching = early_stopping_of(p, epochs, targets.names, targets.value_names)  # which says if it cannot be made
    stopping = None if valid is None else watching
    if stopping is not None:
        callbacks.insert(0, stopping)  # what it records, the user's callbacks may read
    progress = Progress(targets.names, epochs)
    if p.verbose and (processes is None or processes.rank == 0):
        callbacks.append(progress)
    if checkpoint is not None:
        rows = (*feed.identity(), *(arrays_of(*valid) if valid else ()))
        checkpoint.watch(stopping, rows, (encoder, targets))
        checkpoint.writes = processes is None or processes.rank == 0
        callbacks.append(checkpoint)  # last, when all that the epoch says is known
    if encoder.bias is not None:
        net.bias_reference = encoder.reference.tensors(net.device)
    net.callbacks = callbacks
    net.initialize_callbacks()
    precision = resolve_precision(p.precision, net.device)
    try:
        with threads(p.n_threads):
            way = way_to_train(net.device, precision)
            net.crew = way.crew
            set_execution(net.module_, way)
            if processes is not None:
                net.exchange = Exchange(processes, net.module_, net.optimizer_, batches)
                net.balance.share(net.exchange.mean)
            held_out = None if valid is None else TensorData.of(*valid, net.device)
            with way.running():
                net.run(batches, held_out, epochs)
            if net.bias_reference:
                net.set_neutral()
            if level is not None:
                level.set(net, held_out)
            if net.exchange is not None:
                net.exchange.check(net.digest())
        kept = {BATCH_ROWS: batches.batch_size, AVERAGED_STEPS: net.average_.step, BALANCE: net.balance.found()}
        net.spec_ = net.spec_ | kept
    finally:
        progress.close()
        set_execution(net.module_)
        net.balance.share(None)
        net.crew = net.exchange = None


def task_weights_of(p: OptimizationParameters, n_tasks: int) -> torch.Tensor:
    if p.task_weights is None:
        return torch.ones(n_tasks, dtype=torch.float32)
    if hasattr(p.task_weights, "to_dict") and any(isinstance(name, str) for name in p.task_weights.to_dict()):
        raise ValueError(
            "The 'task_weights' parameter takes numbers in the order of the targets, and no names: pass a list. Got a "
            f"Series for {list(p.task_weights.to_dict())}."
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


def net_options(p: OptimizationParameters, device: str) -> dict[str, Any]:
    """What the skorch net is given of the optimizer's parameters, and the user's `net_params`, which come last.

    Raises
    ------
    ValueError
        If `net_params` sets what the estimator has a parameter for, or what its training does not use.
    """
    taken = [
        name
        for name in p.net_params or {}
        if not isinstance(name, str)
        or name in OF_THE_ESTIMATOR
        or (name.split("__")[0] in NOT_NET_PARAMS and not name.startswith("optimizer__"))
    ]
    if taken:
        raise ValueError(f"The 'net_params' parameter cannot set {taken[0]!r}; use the parameters of the estimator.")
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
    own_way = {"optimizer__foreach", "optimizer__differentiable"} & set(p.net_params or ())
    if p.optimizer in ("adamw", "adam", "sgd") and not device.startswith("mps") and not own_way:
        options["optimizer__fused"] = True
    return options | (p.net_params or {})


def draw_seed(random: np.random.RandomState) -> int:
    return int(random.randint(2**31 - 1))
