"""Make a net from the parameters of an estimator: a new one, or one that continues the training of another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import torch

from sklearn_fsmd.encoding import InputEncoder
from sklearn_fsmd.encoding.table import Encoded
from sklearn_fsmd.encoding.targets import Targets
from sklearn_fsmd.inference import ADDS_REGRESSIONS, CHOSEN, Predictor, build, layout_of, parameters_of
from sklearn_fsmd.network import MultiTaskLoss, MultiTaskNetwork, embedding_dim_of, n_values_of
from sklearn_fsmd.parameters import MultiTaskParameters, OptimizationParameters, group_of
from sklearn_fsmd.parameters.machine import draw_seed, resolve_device, seeded, threads
from sklearn_fsmd.training import growing
from sklearn_fsmd.training.automatic import lr_of, network_of
from sklearn_fsmd.training.net import Net
from sklearn_fsmd.training.net_options import net_options, task_weights_of
from sklearn_fsmd.training.optimizers import RowWiseAdam, check_table_size, trains_rows, warn_of_shared_rows
from sklearn_fsmd.training.pretraining import pretrain
from sklearn_fsmd.training.spec import ARCHITECTURE, AUTO_LR, AVERAGED_STEPS, BALANCE, ENCODING, differs, spec_of
from sklearn_fsmd.training.task_balancing import RULES

DECAY_PARAMETERS = ("lr", "weight_decay")
"""Weights decay by the product of these at a step."""


def new_net(
    p: MultiTaskParameters,
    encoder: InputEncoder,
    targets: Targets,
    rates: np.ndarray,
    random: np.random.RandomState,
    unlabeled: Encoded | None,
    n_rows: int | None,
    adds_regressions: bool,
) -> Net:
    """Make a net for the parameters of `p`, with its initial weights, on the device of `p`.

    Parameters
    ----------
    targets : those of some of the rows.
    rates : (K,), the rates of all rows.
    unlabeled : the rows to pretrain on, if `p` asks for pretraining. None if its outcome is known already.
    n_rows : number of rows of the fit, with validation rows; None if others will follow.
    adds_regressions : whether the network is averaged with regressions at the end of the fit.
    """
    if p.embedding_compression is not None and p.pretrain_epochs:
        raise ValueError(
            f"pretrain_epochs={p.pretrain_epochs} learns an embedding of each value, and embedding_compression="
            f"{p.embedding_compression!r} lets values share them. Set one of the two to its default."
        )
    device = resolve_device(p.device)
    chosen = {CHOSEN[name]: value for name, value in network_of(n_rows, encoder.main.has_ids).items()}
    spec = spec_of(p) | chosen | {AUTO_LR: lr_of(n_rows), ADDS_REGRESSIONS: adds_regressions}
    of_network = parameters_of(spec)
    warn_of_shared_rows(p, encoder.main)
    check_table_size(p, of_network, encoder.main, targets.labels.shape[1] + n_values_of(p), device)
    with seeded(draw_seed(random)):
        network = build(of_network, encoder, targets.labels.shape[1])
    net = wrap(p, network, device, spec)
    net.module_.init_from_base_rates(
        torch.from_numpy(rates).to(net.device, torch.float32), values_of(p, targets, device)
    )
    pretraining_seed = draw_seed(random) if p.pretrain_epochs else 0
    if p.pretrain_epochs and unlabeled is not None:
        with threads(p.n_threads):
            pretrained = pretrain(
                encoder.main,
                unlabeled,
                encoder.pretrained,
                dim=embedding_dim_of(of_network),
                epochs=p.pretrain_epochs,
                noise=p.pretrain_noise,
                device=device,
                seed=pretraining_seed,
                verbose=p.verbose,
                like=next(iter(net.module_.first_layers), None),
            )
        net.module_.start_from(pretrained)
    return net


def values_of(p: MultiTaskParameters, targets: Targets, device: str) -> tuple[torch.Tensor, torch.Tensor] | None:
    """The values and their weights, ``(n, V)`` each; None if there are none.

    Raises
    ------
    ValueError
        If a target has no value with a weight above 0.
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
    """An initialised skorch net around `network`, whose weights are not changed; `spec` becomes its `spec_`."""
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
    """The net around a network that was loaded from a file; its optimizer starts from scratch."""
    p = group_of(OptimizationParameters, predictor.spec)
    net = wrap(p, predictor.network, predictor.device, predictor.spec)
    net.take_history(history)
    net.average_.resume_from(predictor.spec.get(AVERAGED_STEPS))
    net.balance.load_spec(predictor.spec.get(BALANCE, {}))
    net.module_.eval()
    return net


def resume_training(p: MultiTaskParameters, net: Net) -> Net:
    """Copy `net` to continue its training with the parameters of `p`, which may have changed.

    Raises
    ------
    ValueError
        If a parameter of the architecture or of the encoding has changed.
    """
    new = spec_of(p)
    old = new | net.spec_
    settable = {field.name for field in fields(p)}  # files of former versions may have others for what is fixed here
    for name in (*ARCHITECTURE, *ENCODING):
        if name in settable and differs(old[name], new[name]):
            raise ValueError(
                f"The {name!r} parameter was {old[name]!r} in the fit that this one continues and is {new[name]!r} "
                "now. Set it back, or fit from scratch with warm_start=False."
            )
    if differs(old["device"], new["device"]) and resolve_device(p.device) != str(net.device):
        raise ValueError(
            f"The 'device' parameter is {p.device!r} now, and the model is on {str(net.device)!r}. Set it back, fit "
            "from scratch with warm_start=False, or save the model and load it with this `device`."
        )
    copied = net.copy()
    if not any(differs(old[name], new[name]) for name in set(new) - {"device", "embedding_std"}):
        return copied
    if isinstance(copied.optimizer_, RowWiseAdam) and any(differs(old[name], new[name]) for name in DECAY_PARAMETERS):
        copied.optimizer_.catch_up()
    rewrapped = wrap(p, copied.module_, str(net.device), net.spec_ | new)
    rewrapped.history = copied.history
    if copied.average_.decay and p.average_decay:
        rewrapped.average_ = copied.average_.continued(p.average_decay)
    else:  # the training goes on from the average
        rewrapped.average_.resume_from(copied.average_.step)
    if not any(differs(old[name], new[name]) for name in ("optimizer", "embedding_optimizer", "net_params")):
        # Not by load_state_dict, which turns the integers of a state into floats.
        shared = [(parameter, parameter) for parameter in rewrapped.module_.parameters()]
        of_balance = zip(copied.balance.parameters(), rewrapped.balance.parameters(), strict=False)
        for old_parameter, new_parameter in (*shared, *of_balance):
            if old_parameter in copied.optimizer_.state:
                rewrapped.optimizer_.state[new_parameter] = copied.optimizer_.state[old_parameter]
    if old["task_weighting"] == new["task_weighting"]:
        rewrapped.balance.load_state_dict(copied.balance.state_dict())
    return rewrapped


def widen(net: Net, targets: Targets) -> None:
    """Widen the range of values of a network whose training is continued, if `targets` have larger ones."""
    if net.module_.values is not None and targets.values is not None:
        net.module_.values.widen(*(torch.from_numpy(x).to(net.device) for x in targets.values.arrays))


def grow(p: MultiTaskParameters, net: Net, before: InputEncoder, now: InputEncoder) -> None:
    """Give `net`, which is a copy, table rows for the values that `now` knows and `before` did not.

    Raises
    ------
    ValueError
        If the tables would not fit into memory.
    """
    check_table_size(p, parameters_of(net.spec_), now.main, net.module_.n_learned, str(net.device))
    growing.grow(net, before.main, now.main, layout_of(p, now.main))
    net.module_.use_sparse_gradients(trains_rows(p, net.module_))  # a table may have become a large one
