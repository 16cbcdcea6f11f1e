"""The work of the processes that the tests start: each process writes its results to a file of its rank.

python -m tests.training.distributed.workers NAME FOLDER
"""

import os
import pickle
import signal
import sys
import time
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch

from sklearn_fsmd import FSMDClassifier, MultiTaskClassifier
from sklearn_fsmd.encoding import InputEncoder
from sklearn_fsmd.encoding.sources import sizes
from sklearn_fsmd.encoding.targets import StepSums, TargetEncoder
from sklearn_fsmd.inspection import item_vectors
from sklearn_fsmd.training import InMemory, Net, construction
from sklearn_fsmd.training.distributed import Exchange, LostProcessError, exchange, together
from sklearn_fsmd.training.optimizers import weight_average
from tests.conftest import SMALL, make_frame

weight_average.SMALL_TABLE = 0  # average by rows, as for large tables

TARGETS = ["click", "conversion"]
CHAIN = (None, 0)
PARAMS = SMALL | {"max_epochs": 5, "patience": 5, "batch_size": 100}
SMALL_SIZES = {"BLOCK_ROWS": 150, "POOL_ROWS": 300, "OPEN_GROUPS": 3}
RANK = int(os.environ.get("RANK", 0))

PLAIN = {"dropout": 0.0, "batch_norm": False, "unknown_rate": 0.0, "target_statistics": None, "random_state": 0}
STEPS = {
    "dense": {},
    "dense by rows": {},
    "sparse": {"embedding_optimizer": "sparse", "optimizer": "adam"},
    "uncertainty": {"task_weighting": "uncertainty", "embedding_optimizer": "sparse"},
    "sgd": {"optimizer": "sgd", "lr": 0.1, "extractor": "mmoe", "link": "independent"},
    "adagrad": {"embedding_optimizer": "rowwise_adagrad"},
    "compressed": {"embedding_compression": "quotient_remainder", "max_embedding_rows": 20},
}
"""Training parameters for which a step depends on its rows only."""


def steps(params, shares):
    """Weights after a few steps. This process has the rows of each batch between the two `shares`."""
    X, Y = make_frame(320)
    model = MultiTaskClassifier(**SMALL | PLAIN | params)
    encoder, random = InputEncoder(model), np.random.RandomState(0)
    rows = encoder.fit_encode(X, None)
    targets = TargetEncoder().fit(Y, None).encode(Y, np.linspace(0.5, 2, 320), CHAIN)
    rates = StepSums.from_targets(targets, CHAIN).rates(CHAIN)
    net = construction.new_net(model, encoder, targets, rates, random, None, 320, adds_regressions=False)
    data = InMemory(rows, targets).batches(model, encoder, "cpu", torch.Generator(), 0).data
    batches = SimpleNamespace(n_own=0, n_all=64, step_seed=0)
    with together() as processes:
        net.exchange = None if processes is None else Exchange(processes, net.module_, net.optimizer_, batches)
        net.module_.train()
        net.average_.swap_out()
        net.notify("on_train_begin", X=None, y=None)
        net.history.new_epoch()
        net.fused_step_ = None
        for i in range(5):
            first, last = (64 * i + round(64 * share) for share in shares)
            batches.n_own = last - first
            if first == last:
                first, last = 0, 2
            net.train_step(data.batch(torch.arange(first, last)))
        net.average_.swap_in()
    return {name: tensor.clone() for name, tensor in net.module_.state_dict().items()}


def equal_steps(folder):
    """Steps in which the second process has a quarter of the rows, and steps in which it has none."""
    parts = {"some": [(0, 0.75), (0.75, 1)][RANK], "none": [(0, 1), (1, 1)][RANK]}
    found, whole_table = {}, exchange.WHOLE_TABLE
    for name, params in STEPS.items():
        exchange.WHOLE_TABLE = 0 if name == "dense by rows" else whole_table
        found |= {(name, part): steps(params, shares) for part, shares in parts.items()}
    return found


def description(model, X):
    """Digest and history, which must be equal in all processes, and predictions of the model."""
    timeless = [{name: value for name, value in epoch.items() if name != "dur"} for epoch in model.history_]
    return {"digest": model.net_.digest(), "history": timeless, "p": model.predict_marginals(X)}


def fits(folder):
    """Fits on files of uneven row groups, and on one whose only row group leaves a process without rows."""
    vars(sizes).update(SMALL_SIZES)
    seen, n_done = [], []
    step = Net.train_step

    def watched(net, batch, **options):
        n_done.append(net.exchange.processes.signs.n_done)
        seen.append((net.exchange.shares.n_own, net.exchange.shares.n_all, len(batch[1])))
        return step(net, batch, **options)

    Net.train_step = watched
    X, _ = make_frame(2000, seed=9)
    found = {}
    for name, params in {
        "uneven": {},
        "one group": {},
        "bias": {"bias_features": ["visits"], "task_weighting": "gradnorm", "max_epochs": 2},
        "pcgrad": {"task_weighting": "pcgrad", "embedding_optimizer": "sparse", "max_epochs": 2},
        "unseeded": {"random_state": None, "max_epochs": 1},
    }.items():
        file = "one group" if name == "one group" else "uneven"
        with warnings.catch_warnings(record=True) as warned:
            model = FSMDClassifier(**PARAMS | params).fit_dataset(Path(folder) / f"{file}.parquet", TARGETS)
        found[name] = description(model, X) | {
            "steps": list(seen),
            "n_done": n_done[-1],
            "warned": [str(one.message) for one in warned],
        }
        seen.clear()
    return found | later_files(Path(folder))


def later_files(folder):
    """A model whose training is continued on files of the next day, with new values and one damaged file."""
    X, _ = make_frame(2000, seed=9)
    model = FSMDClassifier(**PARAMS | {"max_epochs": 2, "new_categories": "grow", "warm_start": True})
    model.fit_dataset(folder / "uneven.parquet", TARGETS)
    before = model.net_.digest()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        model.fit_dataset(folder / "next day", TARGETS, on_error="skip")
    known = item_vectors(model, "user").index
    more = {"before": before, "known": len(known), "warned": [str(one.message) for one in warned]}
    return {"next day": description(model, X) | more}


def checkpoint_at(folder):
    """A fit that writes a checkpoint. A process kills itself at step DIE, if this variable is set."""
    vars(sizes).update(SMALL_SIZES)
    die, steps_taken, step = int(os.environ.get("DIE", 0)), [], Net.train_step

    def watched(net, batch, **options):
        steps_taken.append(0)
        if len(steps_taken) == die:
            os.kill(os.getpid(), signal.SIGKILL)
        return step(net, batch, **options)

    Net.train_step = watched
    X, _ = make_frame(2000, seed=9)
    params = PARAMS | {"max_epochs": 2, "checkpoint": Path(folder) / "checkpoint", "checkpoint_rows": 500}
    model = FSMDClassifier(**params).fit_dataset(Path(folder) / "uneven.parquet", TARGETS, resume=True)
    return description(model, X) | {"n_steps": len(steps_taken)}


def lost(folder):
    """Fits in which the second process fails, is late, or dies."""
    vars(sizes).update(SMALL_SIZES)
    step, reports = Net.train_step, {}

    def failing(net):
        raise OSError("the disk is full")

    def late(net):
        time.sleep(20)

    def dead(net):
        os.kill(os.getpid(), signal.SIGKILL)

    for fault in (failing, late, dead):

        def watched(net, batch, fault=fault, **options):
            if RANK == 1 and len(net.losses_and_sizes[0]) == 3:
                fault(net)
            return step(net, batch, **options)

        Net.train_step = watched
        start = time.monotonic()
        try:
            FSMDClassifier(**PARAMS).fit_dataset(Path(folder) / "uneven.parquet", TARGETS)
        except (LostProcessError, OSError) as error:
            reports[fault.__name__] = f"{type(error).__name__}: {error}", time.monotonic() - start
        time.sleep(8 if fault is late and RANK == 0 else 0)  # until the other process has ended
    return reports


if __name__ == "__main__":
    torch.set_num_threads(1)
    name, where = sys.argv[1:]
    result = globals()[name](where)
    (Path(where) / f"{name}-{RANK}.pickle").write_bytes(pickle.dumps(result))
