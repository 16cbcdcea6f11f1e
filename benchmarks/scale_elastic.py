"""Workers on Ray that become one, and two again, while they train: ``make scale-elastic``.

Two nodes of one CPU each are simulated on this machine. The second one is taken away when there is a checkpoint, and
another one is added some epochs later. Printed are how many processes trained at a time, and the AUC beside that of one
process alone.
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
    """Writes down how many processes begin to train together."""

    def fit_dataset(self, *args, **options):
        if self.checkpoint is not None and int(os.environ.get("RANK", 0)) == 0:
            with (Path(self.checkpoint).parent / LOG).open("a") as file:
                file.write(os.environ.get("WORLD_SIZE", "1") + "\n")
        return super().fit_dataset(*args, **options)


def started(storage):
    path = storage / LOG
    return [int(n) for n in path.read_text().split()] if path.exists() else []


def wait_for(what, seconds=900):
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            raise TimeoutError("it did not come to that")
        time.sleep(0.2)


def node_of(address):
    """A node of one CPU: a process that ends when it is told to."""
    command = [Path(sys.executable).with_name("ray"), "start", f"--address={address}", "--num-cpus=1", "--block"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def come_and_go(address, nodes, storage):
    """Take a node away when there is something to go on from, and add one when training goes on without."""
    checkpoint = storage / "fit.checkpoint"
    wait_for(checkpoint.exists)
    nodes[-1].terminate()
    wait_for(lambda: started(storage)[-1:] == [1])
    since = checkpoint.stat().st_mtime
    wait_for(lambda: checkpoint.stat().st_mtime > since)
    nodes.append(node_of(address))


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
    nodes = [node_of(cluster.address)]
    wait_for(lambda: ray.cluster_resources().get("CPU") == 2)
    with tempfile.TemporaryDirectory() as name:
        source, storage = Path(name) / "log.parquet", Path(name) / "storage"
        table[:n].to_parquet(source, row_group_size=max(n // 20, 1), index=False)
        model = Recorded(max_epochs=options.epochs, patience=options.epochs, checkpoint_rows=n // 4, random_state=0)
        threading.Thread(target=come_and_go, args=(cluster.address, nodes, storage), daemon=True).start()
        fit_dataset(model, source, TARGETS, num_workers=(1, 2), storage_path=storage, resize_seconds=5)
        print("processes:", " -> ".join(map(str, started(storage))))
        alone = FSMDClassifier(max_epochs=options.epochs, patience=options.epochs, random_state=0)
        alone.fit_dataset(source, TARGETS)
    print(f"mean AUC {model.score(X[n:], Y[n:]):.4f}, of one process {alone.score(X[n:], Y[n:]):.4f}")
    ray.shutdown()
    for node in nodes:
        node.terminate()
        node.wait()
    cluster.shutdown()


if __name__ == "__main__":
    main()
