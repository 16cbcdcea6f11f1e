"""Two workers on Ray, one of which stops during training and is replaced: ``make scale-elastic``.

Two nodes of one CPU each are simulated on this machine. The second node is removed after the first checkpoint, and
another one is added some epochs later. The script prints how many processes trained at a time, and the AUC compared
with training in one process.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pandas as pd

from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.datasets import make_funnel
from sklearn_fsmd.ray import fit_dataset

TARGETS = ["click", "conversion"]
LOG = "started"


class Recorded(FSMDClassifier):
    """An estimator that logs how many processes start to train together."""

    def fit_dataset(self, *args, **options):
        if self.checkpoint is not None and int(os.environ.get("RANK", 0)) == 0:
            with (Path(self.checkpoint).parent / LOG).open("a") as file:
                file.write(os.environ.get("WORLD_SIZE", "1") + "\n")
        return super().fit_dataset(*args, **options)


def started(storage):
    path = storage / LOG
    return [int(n) for n in path.read_text().split()] if path.exists() else []


def wait_for(condition, seconds=900):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("timed out while waiting for the cluster")
        time.sleep(0.2)


def start_node(address):
    """Start a node of one CPU, as a process that can be terminated."""
    command = [Path(sys.executable).with_name("ray"), "start", f"--address={address}", "--num-cpus=1", "--block"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def replace_node(address, nodes, storage):
    """Remove a node after the first checkpoint, and add one once training continues without it."""
    checkpoint = storage / "fit.checkpoint"
    wait_for(checkpoint.exists)
    nodes[-1].terminate()
    wait_for(lambda: started(storage)[-1:] == [1])
    since = checkpoint.stat().st_mtime
    wait_for(lambda: checkpoint.stat().st_mtime > since)
    nodes.append(start_node(address))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=40_000)
    parser.add_argument("--epochs", type=int, default=40)
    options = parser.parse_args()
    import ray
    from ray.cluster_utils import Cluster

    X, Y = make_funnel(options.rows + 10_000, random_state=0, return_X_y=True)
    n, table = options.rows, pd.concat([X, Y], axis=1)
    cluster = Cluster(initialize_head=True, connect=True, head_node_args={"num_cpus": 1})
    nodes = [start_node(cluster.address)]
    wait_for(lambda: ray.cluster_resources().get("CPU") == 2)
    with tempfile.TemporaryDirectory() as name:
        source, storage = Path(name) / "log.parquet", Path(name) / "storage"
        table[:n].to_parquet(source, row_group_size=max(n // 20, 1), index=False)
        model = Recorded(max_epochs=options.epochs, patience=options.epochs, checkpoint_rows=n // 4, random_state=0)
        threading.Thread(target=replace_node, args=(cluster.address, nodes, storage), daemon=True).start()
        fit_dataset(model, source, TARGETS, num_workers=(1, 2), storage_path=storage, resize_seconds=5)
        print("processes:", " -> ".join(map(str, started(storage))))
        alone = FSMDClassifier(max_epochs=options.epochs, patience=options.epochs, random_state=0)
        alone.fit_dataset(source, TARGETS)
    print(f"mean AUC {model.score(X[n:], Y[n:]):.4f}, with one process {alone.score(X[n:], Y[n:]):.4f}")
    ray.shutdown()
    for node in nodes:
        node.terminate()
        node.wait()
    cluster.shutdown()


if __name__ == "__main__":
    main()
