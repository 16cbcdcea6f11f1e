"""Cost of fit_dataset: memory, rows per second compared with fit, and vocabularies: ``make scale``.

Each measurement runs in a separate process. ``make scale ROWS=2000000`` makes everything ten times smaller. Memory is
compared for two files with the same ids, one with ten times the rows of the other. The vocabularies are built from a
file with more ids.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

ROW_GROUP = 250_000
N_ROUNDS = 3
"""Number of rounds in which training from a file and in memory are measured, one after the other."""
N_IDS, N_CODES, N_NUMBERS = 5, 15, 10
FEW_IDS, MANY_IDS = 100_000, 2_000_000
"""Number of values of the first id column; each further id column has half as many as the one before."""
TARGETS = ["click", "conversion"]
SIZE = {"embedding_dim": 8, "expert_dims": (64, 32), "tower_dims": (32,), "batch_size": 2048, "random_state": 0}


def make_block(n, seed, n_ids=MANY_IDS):
    """Rows of 30 columns: ids with long tails, categories with few values, numbers."""
    random = np.random.default_rng(seed)
    ids = {f"id{j}": random.zipf(1.2, n) % (n_ids >> j) for j in range(N_IDS)}
    codes = {f"code{j}": random.integers(4 + 5 * j, size=n).astype(np.int32) for j in range(N_CODES)}
    numbers = {f"number{j}": random.normal(size=n).astype(np.float32) for j in range(N_NUMBERS)}
    logit = numbers["number0"] + 0.5 * np.sin(ids["id1"]) - 1
    click = random.uniform(size=n) < 1 / (1 + np.exp(-logit))
    conversion = click & (random.uniform(size=n) < 0.2)
    return pd.DataFrame(
        ids | codes | numbers | {"click": click.astype(np.int8), "conversion": conversion.astype(np.int8)}
    )


def write(path, n_rows, group=ROW_GROUP, first_seed=0, n_ids=MANY_IDS):
    """Write a file of `n_rows` rows, row group by row group."""
    writer = None
    for seed, start in enumerate(range(0, n_rows, group), first_seed):
        block = make_block(min(group, n_rows - start), seed, n_ids)
        table = pa.Table.from_pandas(block, preserve_index=False)
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    writer.close()


def model_of(epochs=1):
    from sklearn_fsmd import FSMDClassifier

    categories = [f"id{j}" for j in range(N_IDS)] + [f"code{j}" for j in range(N_CODES)]
    return FSMDClassifier(**SIZE, categorical_features=categories, max_epochs=epochs, early_stopping=False)


def seconds_per_epoch(model):
    """Seconds of the last epoch."""
    return model.history_[-1]["dur"]


def stream(path, n_rows):
    start = time.perf_counter()
    model = model_of().fit_dataset(path, TARGETS)
    total = time.perf_counter() - start
    return {"rows_per_second": n_rows / seconds_per_epoch(model), "passes_before": total - seconds_per_epoch(model)}


def in_memory(path, n_rows):
    frame = pd.read_parquet(path)
    model = model_of().fit(frame.drop(columns=TARGETS), frame[TARGETS])
    return {"rows_per_second": n_rows / seconds_per_epoch(model)}


def vocabulary(path, n_rows):
    """The first pass, over the id columns only."""
    from sklearn_fsmd.training.streaming import Dataset, first_pass

    ids = [f"id{j}" for j in range(N_IDS)]
    model = model_of().set_params(categorical_features=ids)
    start = time.perf_counter()
    encoder = first_pass(model, Dataset.from_source(path, ids, TARGETS, None), 0).encoder
    return {"seconds": time.perf_counter() - start, "values": int(sum(encoder.main.cardinalities))}


PARTS = {part.__name__: part for part in (stream, in_memory, vocabulary)}


def measure(part, path, n_rows):
    """The results of a part, run in a separate process, and its peak memory in GiB."""
    command = [sys.executable, "-m", "benchmarks.scale", "--part", part, "--path", str(path), "--rows", str(n_rows)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--part", choices=PARTS)
    parser.add_argument("--path")
    options = parser.parse_args()
    if options.part:
        results = PARTS[options.part](options.path, options.rows)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(json.dumps(results | {"peak_gib": peak}))
        return
    with tempfile.TemporaryDirectory() as folder:
        sizes = {options.rows: Path(folder) / "large.parquet", options.rows // 10: Path(folder) / "small.parquet"}
        for n_rows, path in sizes.items():
            write(path, n_rows, n_ids=FEW_IDS)
            print(f"{n_rows:,} rows of {N_IDS + N_CODES + N_NUMBERS} columns: {path.stat().st_size / 2**30:.2f} GiB")
        large, small = sizes
        streamed = {n_rows: measure("stream", path, n_rows) for n_rows, path in sizes.items()}
        for n_rows, results in streamed.items():
            print(
                f"fit_dataset of {n_rows:,} rows: peak memory {results['peak_gib']:.2f} GiB, "
                f"{results['passes_before']:.0f} s before the first epoch, "
                f"{results['rows_per_second']:,.0f} rows/s in it"
            )
        ratio = streamed[large]["peak_gib"] / streamed[small]["peak_gib"]
        print(f"peak memory for the larger file / for the smaller file: {ratio:.2f}")
        rounds = [[measure(part, sizes[small], small) for part in ("stream", "in_memory")] for _ in range(N_ROUNDS)]
        ratios = [streaming["rows_per_second"] / table["rows_per_second"] for streaming, table in rounds]
        table = rounds[0][1]
        print(
            f"fit of {small:,} rows: peak memory {table['peak_gib']:.2f} GiB, {table['rows_per_second']:,.0f} rows/s; "
            f"fit_dataset is {median(ratios):.2f} times as fast ({', '.join(f'{ratio:.2f}' for ratio in ratios)})"
        )
        write(sizes[large], large, n_ids=MANY_IDS)
        vocabularies = measure("vocabulary", sizes[large], large)
        print(
            f"vocabularies of {N_IDS} id columns, {large:,} rows: {vocabularies['seconds']:.0f} s, peak memory "
            f"{vocabularies['peak_gib']:.2f} GiB, {vocabularies['values']:,} values"
        )


if __name__ == "__main__":
    main()
