"""How long HistoryFeatures takes for a log of any size, what memory, and for one row: ``make history-speed``.

With ``--files`` the log is in a Parquet file, and its past is written to another: ``make history-speed FILES=1``.
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
    """Two weeks of events, with users and videos of which few have many."""
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


def peak():
    """The most memory that the process has taken so far, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def in_files(history, n_rows, memory, piece=1_000_000):
    """Write a log piece by piece, so that the process never holds it, and then its past."""
    with tempfile.TemporaryDirectory() as folder:
        for start in range(0, n_rows, piece):
            X, Y = make_log(min(piece, n_rows - start), seed=start)
            X.join(Y).to_parquet(Path(folder) / f"log-{start:012d}.parquet", index=False)
        del X, Y
        before, start = peak(), time.perf_counter()
        write_history(history, folder, f"{folder}.past", targets=["click", "conversion"], memory=memory)
        seconds = time.perf_counter() - start
        size = Path(f"{folder}.past").stat().st_size / 2**30
        Path(f"{folder}.past").unlink()
    print(
        f"write_history of {n_rows:,} rows and {len(KEYS)} keys with memory={memory!r}: {seconds:.0f} s, "
        f"{peak():.1f} GiB at the most ({before:.1f} before), {size:.1f} GiB written"
    )


def of_one_row(history, X, i, Y=None):
    """Seconds for the row `i`; with `Y` an event is added before."""
    start = time.perf_counter()
    if Y is not None:
        history.update(X[i - 1 : i], Y[i - 1 : i])
    history.transform(X[i : i + 1])
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--files", action="store_true", help="a log in files, and its past in another")
    parser.add_argument("--memory", default="2GB", help="what DuckDB may take for --files")
    options = parser.parse_args()
    history = HistoryFeatures(time="time_ms", unit="ms", keys=KEYS)
    if options.files:
        in_files(history, options.rows, options.memory)
        return
    X, Y = make_log(options.rows)
    start = time.perf_counter()
    history.fit_transform(X, Y)
    seconds = time.perf_counter() - start
    print(f"fit_transform of {len(X):,} rows and {len(KEYS)} keys: {seconds:.0f} s, {peak():.1f} GiB at the most")
    start = time.perf_counter()
    history.transform(X[:1])
    print(f"the first row, for which the arrays are sorted: {time.perf_counter() - start:.1f} s")
    seconds = [of_one_row(history, X, i) for i in range(1, 301)]
    print(f"each further one: {1000 * np.median(seconds):.2f} ms (median)")
    seconds = [of_one_row(history, X, i, Y) for i in range(1, 301)]
    print(f"a row after an update of one event: {1000 * np.median(seconds):.2f} ms with it (median)")


if __name__ == "__main__":
    main()
