"""Cost of options, compared with the same fit without them: ``make options``.

The two fits run in turn. Ratios are medians over the rounds.
"""

import argparse
import time
import warnings

import numpy as np
import pandas as pd

from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.datasets import make_funnel
from sklearn_fsmd.encoding import InputEncoder
from sklearn_fsmd.encoding.columns import ListColumn

N_ROWS, LENGTH, WIDTH, N_LISTS = 60_000, 20, 64, 200_000


def seconds(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def fit(X, Y, **params):
    return lambda: FSMDClassifier(max_epochs=2, random_state=0, **params).fit(X, Y)


def lists(n):
    """Lists of ids, as from `HistoryFeatures` or a log."""
    ids = np.random.default_rng(0).integers(300, size=(n, LENGTH))
    return pd.Series(ids.tolist(), dtype=object, name="last_items")


def vectors(n):
    """Vectors, like embeddings of pictures."""
    values = np.random.default_rng(0).normal(size=(n, WIDTH)).astype(np.float32)
    return pd.Series(list(values), dtype=object, name="picture")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = range(parser.parse_args().rounds)
    warnings.filterwarnings("ignore")
    X, Y = make_funnel(N_ROWS, random_state=0, return_X_y=True)
    plain, with_lists = fit(X, Y), X.assign(last_items=lists(N_ROWS))
    shared = {"shared_embeddings": {"last_items": "item_id"}}
    plain()
    for name, with_option in {
        "n_members=4": fit(X, Y, n_members=4),
        f"lists of {LENGTH}, mean": fit(with_lists, Y, **shared),
        f"lists of {LENGTH}, attention": fit(with_lists, Y, list_pooling="attention", **shared),
        f"vectors of {WIDTH}": fit(X.assign(picture=vectors(N_ROWS)), Y),
    }.items():
        ratios = [seconds(with_option) / seconds(plain) for _ in rounds]
        print(
            f"{name}: {np.median(ratios):.2f} times as long (from {min(ratios):.2f} to {max(ratios):.2f})", flush=True
        )
    column, values = ListColumn("last_items", None, 1, 1000, None), lists(N_LISTS)
    column.own.update(column.read(values)[0])
    column.own.finalize()
    times = [seconds(lambda: column.own.encode(column.read(values)[0])) for _ in rounds]
    print(f"{N_LISTS:,} lists of {LENGTH} are encoded in {np.median(times):.2f} s")
    encoder, frame = InputEncoder(FSMDClassifier()), vectors(N_LISTS).to_frame()
    encoder.fit_encode(frame)
    times = [seconds(lambda: encoder.encode(frame)) for _ in rounds]
    print(f"{N_LISTS:,} vectors of {WIDTH} are encoded in {np.median(times):.2f} s")


if __name__ == "__main__":
    main()
