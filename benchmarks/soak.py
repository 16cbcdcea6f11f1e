"""Check that a process that fits and predicts for a long time does not grow: ``make soak``.

It makes 200 small fits and 20,000 predictions; a tenth of both is the warm-up. After the warm-up the number of threads,
open files and tensors must not grow, and memory may grow by 2 %. The result is in soak.json.
"""

import argparse
import gc
import itertools
import json
import os
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm.auto import tqdm

from benchmarks.paper.store import provenance
from sklearn_fsmd import FSClassifier, FSMDClassifier, MMoEClassifier, SharedBottomClassifier, SingleTaskClassifier
from sklearn_fsmd.datasets import make_funnel

RESULTS = Path(__file__).parent / "soak.json"
ALLOWED = 0.02
"""Share by which memory may grow after the warm-up; nothing else may grow."""

N_FIT = 1200
SMALL = {"embedding_dim": 8, "expert_dims": (32, 16), "tower_dims": (16,), "max_epochs": 2, "batch_size": 128}
MODELS = [
    FSMDClassifier(**SMALL, n_threads=2),
    MMoEClassifier(**SMALL, task_weighting="gradnorm"),
    SharedBottomClassifier(**SMALL, task_weighting="pcgrad", embedding_optimizer="sparse"),
    SingleTaskClassifier(**SMALL, pretrain_epochs=1),
    FSClassifier(**SMALL, task_weighting="uncertainty", early_stopping=False),
]
SIZES = [1, 1, 1, 1, 1, 1, 1, 16, 200, 1500]
"""Rows per prediction: one, a few, a batch, and several chunks."""


def tables():
    """The same rows as a DataFrame and as an array, each with its `categorical_features`."""
    X, Y = make_funnel(N_FIT + max(SIZES), random_state=0, return_X_y=True)
    is_category = (X.dtypes == "category").to_numpy()
    codes = X.apply(lambda column: column.cat.codes if column.dtype == "category" else column)
    return {"DataFrame": (X, "from_dtype"), "array": (codes.to_numpy(np.float64), is_category)}, Y


def work(n_fits, n_predictions):
    """Fit and predict in turn, and yield the kind of each call after it."""
    kinds, Y = tables()
    jobs = itertools.cycle(itertools.product(MODELS, kinds.values()))
    sizes, random = itertools.cycle(SIZES), np.random.RandomState(0)
    for i, (model, (X, categories)) in zip(range(n_fits), jobs, strict=False):
        model.set_params(categorical_features=categories, random_state=i).fit(X[:N_FIT], Y[:N_FIT])
        yield "fits"
        for _ in range(n_predictions * i // n_fits, n_predictions * (i + 1) // n_fits):
            size = next(sizes)
            start = random.randint(len(X) - size + 1)
            model.predict_marginals(X[start : start + size])
            yield "predictions"


def memory():
    """Resident bytes of this process, or the peak if nothing else is available; and the source of the number."""
    status = Path("/proc/self/status")
    if status.exists():
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(lines["VmRSS"].split()[0]) * 1024, "/proc/self/status"
    try:
        import resource
    except ImportError:
        return None, "no source: this platform has neither /proc nor the module resource"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024), "getrusage: the peak, since this platform has no /proc"


def entries(folder):
    return len(os.listdir(folder)) if os.path.isdir(folder) else None


def measurements():
    gc.collect()
    n_tensors = sum(issubclass(cls, torch.Tensor) for cls in map(type, gc.get_objects()))
    return {
        "memory, bytes": memory()[0],
        "threads of Python": threading.active_count(),
        "threads of the system": entries("/proc/self/task"),
        "open files": entries("/proc/self/fd"),
        "tensors": n_tensors,
    }


def failures(before, after):
    """Names of measurements that have grown more than allowed, without those that the platform does not report."""
    measured = [name for name in after if after[name] is not None]
    return [n for n in measured if after[n] > before[n] * (1 + ALLOWED * n.startswith("memory"))]


def write(result):
    """Write under a temporary name first, so that an interrupted run keeps the previous result."""
    temporary = RESULTS.with_suffix(".tmp")
    temporary.write_text(json.dumps(result, indent=1) + "\n")
    os.replace(temporary, RESULTS)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fits", type=int, default=200)
    parser.add_argument("--predictions", type=int, default=20_000)
    parser.add_argument("--minutes", type=float, default=10.0, help="stop after this time (default: 10)")
    options = parser.parse_args()
    turn = 10 * len(MODELS) * 2
    if options.fits < turn or options.fits % turn:
        parser.error(f"--fits must be a multiple of {turn}, so that the warm-up fits every model; got {options.fits}")
    wanted = {"fits": options.fits, "predictions": options.predictions}
    print(f"memory is read from {memory()[1]}")
    begin, done, before = time.monotonic(), dict.fromkeys(wanted, 0), None
    with tqdm(total=sum(wanted.values()), unit=" calls", mininterval=1.0) as bar:
        for kind in work(**{f"n_{name}": n for name, n in wanted.items()}):
            done[kind] += 1
            bar.update()
            if before is None and all(done[name] * 10 >= n for name, n in wanted.items()):
                before = measurements()
            if time.monotonic() - begin > options.minutes * 60:
                break
    after = measurements()
    print(", ".join(f"{done[name]} of {n} {name}" for name, n in wanted.items()))
    if before is None:
        print(f"Stopped after {options.minutes:g} minutes, within the warm-up.")
        sys.exit(1)
    table = pd.DataFrame({"after a tenth": before, "after all": after}, dtype=object)
    table["growth"] = [f"{b / a - 1:+.2%}" if a else "" for a, b in zip(before.values(), after.values(), strict=True)]
    print(table.to_string())
    if done != wanted:
        print(f"Stopped after {options.minutes:g} minutes; nothing is written.")
        sys.exit(1)
    seconds = round(time.monotonic() - begin, 1)
    source = {"memory_from": memory()[1], "torch_threads": torch.get_num_threads(), "seconds": seconds}
    write({**wanted, "before": before, "after": after, **source, **provenance()})
    grown = failures(before, after)
    if grown:
        print(f"Grown by more than allowed: {', '.join(grown)}.")
        sys.exit(1)


if __name__ == "__main__":
    main()
