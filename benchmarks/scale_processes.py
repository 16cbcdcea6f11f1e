"""Rows per second and AUC of two processes of one thread, compared with one: ``make scale-processes``.

Each process has one core for everything, including reading and encoding. Two processes use batches of twice the size,
so that each processes as many rows per step as a single process does. Their AUC is compared with that of one process
with such batches.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import pandas as pd

from benchmarks import scale

N_TEST = 50_000
BATCH = scale.SIZE["batch_size"]
CASES = {(1, BATCH): "one process", (1, 2 * BATCH): "one process", (2, 2 * BATCH): "two processes"}
"""(number of processes, rows per step over all processes): name."""


def run_process(folder, epochs, batch_size):
    """Train in one of the processes; the first process prints the results."""
    from sklearn.metrics import roc_auc_score

    os.sched_setaffinity(0, {int(os.environ.get("LOCAL_RANK", 0))})
    model = scale.model_of(epochs).set_params(n_threads=1, batch_size=batch_size)
    model.fit_dataset(Path(folder) / "train.parquet", scale.TARGETS)
    if int(os.environ.get("RANK", 0)) == 0:
        new = pd.read_parquet(Path(folder) / "test.parquet")
        p = model.predict_marginals(new.drop(columns=scale.TARGETS))
        auc = [roc_auc_score(new[name], p[:, k]) for k, name in enumerate(scale.TARGETS)]
        print(json.dumps({"seconds": min(epoch["dur"] for epoch in model.history_), "auc": auc}))


def measure(n_processes, batch_size, options, folder):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={n_processes}", "-m"]
    command += ["benchmarks.scale_processes", "--folder", str(folder)]
    command += ["--epochs", str(options.epochs), "--batch", str(batch_size)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout.splitlines()
    return json.loads(lines[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--folder")
    options = parser.parse_args()
    if options.folder:
        run_process(options.folder, options.epochs, options.batch)
        return
    with tempfile.TemporaryDirectory() as folder:
        scale.write(Path(folder) / "train.parquet", options.rows, group=max(options.rows // 20, 1))
        scale.write(Path(folder) / "test.parquet", N_TEST, first_seed=10_000)
        rounds = [{case: measure(*case, options, folder) for case in CASES} for _ in range(options.rounds)]
    for (n, batch_size), name in CASES.items():
        results_of_case = [results[n, batch_size] for results in rounds]
        speed = median(options.rows / result["seconds"] for result in results_of_case)
        auc = ", ".join(f"{value:.4f}" for value in results_of_case[0]["auc"])
        print(f"{name}, {batch_size:,} rows per step: {speed:,.0f} rows/s in the best epoch; AUC {auc}")
    for batch_size in (BATCH, 2 * BATCH):
        ratios = [results[1, batch_size]["seconds"] / results[2, 2 * BATCH]["seconds"] for results in rounds]
        by_round = ", ".join(f"{ratio:.2f}" for ratio in ratios)
        print(f"two processes / one with {batch_size:,} rows per step: {median(ratios):.2f} (rounds: {by_round})")


if __name__ == "__main__":
    main()
