"""Two processes of one thread against one process of one thread: rows per second and AUC, ``make scale-processes``."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd

from benchmarks import scale

N_TEST = 50_000


def part(folder, epochs):
    """What one of the processes does; the first one says what came of it."""
    from sklearn.metrics import roc_auc_score

    model = scale.model_of(epochs).set_params(n_threads=1)
    model.fit_dataset(Path(folder) / "train.parquet", scale.TARGETS)
    if int(os.environ.get("RANK", 0)) == 0:
        new = pd.read_parquet(Path(folder) / "test.parquet")
        p = model.predict_marginals(new.drop(columns=scale.TARGETS))
        auc = [roc_auc_score(new[name], p[:, k]) for k, name in enumerate(scale.TARGETS)]
        print(json.dumps({"seconds": [epoch["dur"] for epoch in model.history_], "auc": auc}))


def measured(n_processes, options, folder):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={n_processes}", "-m"]
    command += ["benchmarks.scale_processes", "--epochs", str(options.epochs), "--folder", str(folder)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout.splitlines()
    return json.loads(lines[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--folder")
    options = parser.parse_args()
    if options.folder:
        part(options.folder, options.epochs)
        return
    with tempfile.TemporaryDirectory() as folder:
        scale.write(Path(folder) / "train.parquet", options.rows, group=max(options.rows // 20, 1))
        scale.write(Path(folder) / "test.parquet", N_TEST, first_seed=10_000)
        found = {n: measured(n, options, folder) for n in (1, 2)}
    for n, result in found.items():
        speed = options.rows / min(result["seconds"])
        auc = ", ".join(f"{value:.4f}" for value in result["auc"])
        print(f"processes of one thread: {n}; {speed:,.0f} rows/s in the best epoch; AUC {auc}")
    print(f"two over one: {min(found[1]['seconds']) / min(found[2]['seconds']):.2f}")


if __name__ == "__main__":
    main()
