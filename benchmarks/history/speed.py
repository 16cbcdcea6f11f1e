"""How long HistoryFeatures takes for a log of any size, what memory, and for one row: ``make history-speed``."""

import argparse
import resource
import time

import numpy as np
import pandas as pd

from sklearn_fsmd.history import HistoryFeatures

KEYS = ["user_id", "video_id", "author_id", "music_id", ["user_id", "tab"], "tab"]


def make_log(n):
    """Two weeks of events, with users and videos of which few have many."""
    random = np.random.default_rng(0)
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


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    X, Y = make_log(parser.parse_args().rows)
    history = HistoryFeatures(time="time_ms", unit="ms", keys=KEYS)
    start = time.perf_counter()
    history.fit_transform(X, Y)
    seconds, peak = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"fit_transform of {len(X):,} rows and {len(KEYS)} keys: {seconds:.0f} s, {peak:.1f} GiB at the most")
    start = time.perf_counter()
    history.transform(X[:1])
    print(f"the first row, for which the arrays are sorted: {time.perf_counter() - start:.1f} s")
    seconds = []
    for i in range(1, 301):
        row = X[i : i + 1]
        start = time.perf_counter()
        history.transform(row)
        seconds.append(time.perf_counter() - start)
    print(f"each further one: {1000 * np.median(seconds):.2f} ms (median)")


if __name__ == "__main__":
    main()
