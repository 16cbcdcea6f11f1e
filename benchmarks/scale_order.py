"""Effect of the order of a file's rows: ``make scale-order``.

The same log is written shuffled, and sorted by time, by user and by label, in the same number of row groups. All sizes
are a twentieth of those of a log of 20 million rows: row groups have 5,000 rows instead of 100,000, and pools are
scaled likewise. The script prints the AUC on new rows for each seed, and its difference from the shuffled file.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from benchmarks import scale
from sklearn_fsmd.encoding.sources import sizes

N_ROWS, N_TEST, ROW_GROUP, SMALLER = 1_000_000, 50_000, 5_000, 20
USER = "id3"


def orders_of(log):
    """The order of the log's rows in each file; the log itself is sorted by time."""
    n = len(log)
    return {
        "shuffled": np.random.default_rng(0).permutation(n),
        "by time": np.arange(n),
        "by user": np.argsort(log[USER].to_numpy(), kind="stable"),
        "by label": np.lexsort((log["conversion"], log["click"])),
    }


def drifting(log):
    """Sort the log so that its users appear one after the other, with some overlap, as they do over months."""
    n = len(log)
    when = (log[USER].to_numpy() % 97) / 97 + np.random.default_rng(1).normal(scale=0.2, size=n)
    return log.iloc[np.argsort(when, kind="stable")].reset_index(drop=True)


def auc_of(path, seed, epochs, new):
    model = scale.model_of(epochs).set_params(random_state=seed).fit_dataset(path, scale.TARGETS)
    p = model.predict_marginals(new.drop(columns=scale.TARGETS))
    return [roc_auc_score(new[name], p[:, k]) for k, name in enumerate(scale.TARGETS)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=N_ROWS)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--orders", nargs="*", help="run only these orders, such as 'by label', and the shuffled file")
    options = parser.parse_args()
    sizes.BLOCK_ROWS //= SMALLER
    sizes.POOL_ROWS //= SMALLER
    sizes.OPEN_BYTES //= SMALLER
    sizes.OPEN_BYTES_BY_LABEL //= SMALLER
    log = drifting(scale.make_block(options.rows, 0, scale.FEW_IDS))
    new = scale.make_block(N_TEST, 10_000, scale.FEW_IDS)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        orders = {
            name: order
            for name, order in orders_of(log).items()
            if not options.orders or name in ["shuffled", *options.orders]
        }
        for name, order in orders.items():
            log.iloc[order].to_parquet(Path(folder) / f"{name}.parquet", row_group_size=ROW_GROUP, index=False)
        for seed in range(options.seeds):
            for name in orders:
                click, conversion = auc_of(Path(folder) / f"{name}.parquet", seed, options.epochs, new)
                rows.append({"order": name, "seed": seed, "click": click, "conversion": conversion})
                print(rows[-1], flush=True)
    table = pd.DataFrame(rows).set_index(["order", "seed"])
    difference = table - table.loc["shuffled"]
    print(table.groupby("order").mean().round(4).to_string())
    print("difference from the shuffled file, mean and standard deviation over the seeds")
    print(difference.groupby("order").agg(["mean", "std"]).round(5).to_string())


if __name__ == "__main__":
    main()
