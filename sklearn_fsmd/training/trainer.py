"""One fit of a net: its batches, callbacks and execution, the loop, and the corrections at the end."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch

from sklearn_fsmd.encoding import InputEncoder
from sklearn_fsmd.encoding.targets import LabelledRows, TargetEncoder
from sklearn_fsmd.execution import way_to_train
from sklearn_fsmd.network import seed_dropout, set_execution
from sklearn_fsmd.parameters import MultiTaskParameters
from sklearn_fsmd.parameters.machine import draw_seed, resolve_precision, threads
from sklearn_fsmd.training.automatic import epochs_of
from sklearn_fsmd.training.batches import TensorData
from sklearn_fsmd.training.checkpoint import Checkpoint
from sklearn_fsmd.training.distributed import Exchange, Processes
from sklearn_fsmd.training.early_stopping import EarlyStopping
from sklearn_fsmd.training.feed import Feed, arrays_of
from sklearn_fsmd.training.level_rows import LevelRows
from sklearn_fsmd.training.net import Net
from sklearn_fsmd.training.progress import Progress
from sklearn_fsmd.training.spec import AVERAGED_STEPS, BALANCE, BATCH_ROWS, NETWORK_SHARES
from sklearn_fsmd.training.validation_metric import ValidationMetric


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

    The level of the predictions is set by the training rows `level` and the validation rows. None leaves it, since a
    chunk is not representative of the data. Each of several `processes` calls this with a feed of its own rows; all
    other arguments are the same.
    """
    seed = draw_seed(random)
    seed_dropout(net.module_, seed, net.device)
    net.balance.seed(seed)
    order = torch.Generator().manual_seed(draw_seed(random))
    batches = feed.batches(p, encoder, net.device, order, net.spec_.get(BATCH_ROWS, 0))
    epochs = epochs_of(epochs, len(batches), is_watched=valid is not None)
    callbacks = [] if p.callbacks is None else list(p.callbacks)
    net.task_names = [*targets.names, *targets.value_names]
    parents = net.module_.link.parents
    metric = ValidationMetric(p.validation_metric, targets.names, targets.value_names, parents)  # may raise
    stopping = None
    if valid is not None:
        patience = p.patience if p.early_stopping else epochs  # early_stopping=False only keeps the best weights
        stopping = EarlyStopping(patience, p.tol, metric)
        callbacks.insert(0, stopping)  # first, since the user's callbacks may read its records
    progress = Progress(targets.names, epochs)
    if p.verbose and (processes is None or processes.rank == 0):
        callbacks.append(progress)
    if checkpoint is not None:
        rows = (*feed.identity(), *(arrays_of(*valid) if valid else ()))
        checkpoint.attach(stopping, rows, (encoder, targets))
        checkpoint.writes = processes is None or processes.rank == 0
        callbacks.append(checkpoint)  # last, when all records of the epoch are there
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
                net.balance.set_process_mean(net.exchange.mean)
            dataset_valid = None if valid is None else TensorData.from_rows(*valid, net.device)
            with way.running():
                net.run(batches, dataset_valid, epochs)
            if net.bias_reference:
                net.set_neutral()
            shares = None if level is None else level.correct(net, dataset_valid)
            if net.exchange is not None:
                net.exchange.check(net.digest())
        results = {BATCH_ROWS: batches.batch_size, AVERAGED_STEPS: net.average_.step, BALANCE: net.balance.to_spec()}
        if shares is not None:
            results[NETWORK_SHARES] = shares.tolist()
        net.spec_ = net.spec_ | results
    finally:
        progress.close()
        set_execution(net.module_)
        net.balance.set_process_mean(None)
        net.crew = net.exchange = None
