"""Time of a training step and memory for a large embedding table, by optimizer: ``make scale-tables``.

One id column and 29 columns with few values, batches of 2,048 rows. Each measurement runs in a separate process, on one
thread. Memory is the amount that the network and its training add.
"""

import argparse
import json
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np

DIM, N_COLUMNS, N_SMALL, BATCH, N_BATCHES = 16, 30, 100, 2048, 20
NET = {"expert_dims": (64, 32), "tower_dims": (32,), "numeric_bins": 0, "max_epochs": 3}
WAYS = {
    "sparse": {"embedding_optimizer": "sparse"},
    "sparse, no average": {"embedding_optimizer": "sparse", "average_decay": 0.0},
    "rowwise_adagrad": {"embedding_optimizer": "rowwise_adagrad"},
    "rowwise_adagrad, no average": {"embedding_optimizer": "rowwise_adagrad", "average_decay": 0.0},
}


def resident():
    """Resident bytes of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def measure(n_rows, way):
    """Seconds per step, and the peak bytes of network and training."""
    import torch

    from sklearn_fsmd import FSMDClassifier
    from sklearn_fsmd.execution import way_to_train
    from sklearn_fsmd.network import Columns, build_network, set_execution
    from sklearn_fsmd.training import BatchIterator, TensorData, construction
    from sklearn_fsmd.training.spec import spec_of

    torch.set_num_threads(1)
    random = np.random.default_rng(0)
    sizes = [n_rows, *[N_SMALL] * (N_COLUMNS - 1)]
    offsets = np.cumsum([0, *sizes[:-1]])
    codes = np.stack([random.integers(size, size=BATCH * N_BATCHES) for size in sizes], axis=1) + offsets
    inputs = torch.from_numpy(codes.astype(np.int32)), torch.zeros(len(codes), 0)
    data = TensorData(inputs, torch.from_numpy(random.integers(2, size=(len(codes), 2)).astype(np.float32)), None)
    generator = torch.Generator().manual_seed(0)
    before = resident()
    p = FSMDClassifier(embedding_dim=DIM, **NET, **WAYS[way])
    network = build_network(p, Columns(sizes, 0), 2)
    net = construction.wrap(p, network, "cpu", spec_of(p))
    batches = BatchIterator(
        data,
        BATCH,
        generator,
        offsets=torch.from_numpy(offsets.astype(np.int32)),
        n_categories=N_COLUMNS,
        unknown_rate=0.01,
    )
    execution = way_to_train("cpu", None)
    net.crew = execution.crew
    set_execution(net.module_, execution)
    with execution.running():
        net.run(batches, None, p.max_epochs)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    seconds = min(epoch["dur"] for epoch in net.history) / N_BATCHES
    return {"seconds": seconds, "bytes": peak - before}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--of", nargs=2, metavar=("ROWS", "WAY"), help="measure one case in this process")
    options = parser.parse_args()
    if options.of:
        print(json.dumps(measure(int(options.of[0]), options.of[1])))
        return
    table, added = 4 * DIM * options.rows, 4 * DIM * (options.rows - 100_000)
    print(f"a table of {options.rows:,} x {DIM}: {table / 2**20:,.0f} MiB")
    for way in WAYS:
        results = []
        for n_rows in (100_000, options.rows):
            command = [sys.executable, "-m", "benchmarks.tables", "--of", str(n_rows), way]
            results.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
        small, large = results
        print(
            f"{way}: {1000 * large['seconds']:.0f} ms per step, "
            f"{large['seconds'] / small['seconds']:.2f} times as long as with 100,000 rows; "
            f"{large['bytes'] / 2**20:,.0f} MiB, "
            f"{(large['bytes'] - small['bytes']) / added:.2f} bytes for each further byte of the table"
        )


if __name__ == "__main__":
    main()
