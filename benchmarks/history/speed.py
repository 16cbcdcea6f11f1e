"""Time and memory of HistoryFeatures for a large log, and its time for one row: ``make history-speed``.

With ``make history-speed FILES=1`` the log is in Parquet files, and its history is written to another file.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from sklearn_fsmd.history import HistoryFeatures, write_history

KEYS = ["user_id", "video_id", "author_id", "music_id", ["user_id", "tab"], "tab"]


def make_log(n, seed=0):
    """Two weeks of events, in which few users and videos have most of the events."""
    random = np.random.default_rng(seed)
    X = pd.DataFrame(
        {
            "time_ms": 1_650_000_000_000 + random.integers(14 * 86_400_000, size=n),
            "user_id": random.zipf(1.2, n) % 500_000,
            "video_id": random.zipf(1.2, n) % 100_000,
            "author_id": random.zipf(1.3, n) % 50_000,
            "music_id": random.zipf(1.3, n) % 50_000,
            "tab": random.integers(10, size=n),
        }
    )
    click = random.uniform(size=n) < 0.4
    return X, pd.DataFrame({"click": click, "conversion": click & (random.uniform(size=n) < 0.5)}).astype(int)


def peak_gib():
    """Peak memory of this process so far, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def measure_files(history, n_rows, memory, chunk=1_000_000):
    """Write a log in chunks, so that it is never in memory as a whole, and then its history."""
    with tempfile.TemporaryDirectory() as folder:
        for start in range(0, n_rows, chunk):
            X, Y = make_log(min(chunk, n_rows - start), seed=start)
            X.join(Y).to_parquet(Path(folder) / f"log-{start:012d}.parquet", index=False)
        del X, Y
        before, start = peak_gib(), time.perf_counter()
        write_history(history, folder, f"{folder}.past", targets=["click", "conversion"], memory=memory)
        seconds = time.perf_counter() - start
        size = Path(f"{folder}.past").stat().st_size / 2**30
        Path(f"{folder}.past").unlink()
    print(
        f"write_history of {n_rows:,} rows and {len(KEYS)} keys with memory={memory!r}: {seconds:.0f} s, "
        f"peak memory {peak_gib():.1f} GiB ({before:.1f} before), {size:.1f} GiB written"
    )


def seconds_of_row(history, X, i, Y=None):
    """Seconds for the row `i`; with `Y`, the event before it is added first."""
    start = time.perf_counter()
    if Y is not None:
        history.update(X[i - 1 : i], Y[i - 1 : i])
    history.transform(X[i : i + 1])
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--files", action="store_true", help="read the log from files, and write its history to a file")
    parser.add_argument("--memory", default="2GB", help="memory limit of DuckDB with --files")
    options = parser.parse_args()
    history = HistoryFeatures(time="time_ms", unit="ms", keys=KEYS)
    if options.files:
        measure_files(history, options.rows, options.memory)
        return
    X, Y = make_log(options.rows)
    start = time.perf_counter()
    history.fit_transform(X, Y)
    seconds = time.perf_counter() - start
    print(f"fit_transform of {len(X):,} rows and {len(KEYS)} keys: {seconds:.0f} s, peak memory {peak_gib():.1f} GiB")
    start = time.perf_counter()
    history.transform(X[:1])
    print(f"the first row, which sorts the arrays: {time.perf_counter() - start:.1f} s")
    seconds = [seconds_of_row(history, X, i) for i in range(1, 301)]
    print(f"each further row: {1000 * np.median(seconds):.2f} ms (median)")
    seconds = [seconds_of_row(history, X, i, Y) for i in range(1, 301)]
    print(f"an update with one event, then a row: {1000 * np.median(seconds):.2f} ms (median)")


if __name__ == "__main__":
    main()
