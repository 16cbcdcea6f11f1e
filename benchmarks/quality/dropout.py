"""Dropout rates for tables without ids, by the number of rows: ``make dropout``.

Tables without ids that have more than 100,000 training rows, with all of these and with 50,000: dropout of 0.1 and of
0.3. Census is evaluated on its validation half, which is also used for early stopping, the others on rows that had no
part in the fit. Rows of other commits are removed from the file.
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.paper.store import Store
from benchmarks.quality import data, measures, ours, public

HERE = Path(__file__).parent
SIZES = [50_000, None]
RATES = [0.3, 0.1]


def part_of(table, n_rows):
    """`table` with `n_rows` of its training rows; None for all of them."""
    X, Y = table.train
    chosen = np.sort(np.random.RandomState(1).permutation(len(X))[:n_rows])
    return table._replace(train=data.Part(X.iloc[chosen].reset_index(drop=True), Y.iloc[chosen].reset_index(drop=True)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = ["census", *public.LARGE]
    parser.add_argument("--data", choices=names, nargs="*", default=names)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=HERE)
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    store = Store("dropout", options.out)
    for name in options.data:
        table, new = public.load(name)
        for seed, n_rows, rate in ((s, n, r) for s in range(options.seeds) for n in SIZES for r in RATES):
            part = part_of(table, n_rows)
            key = {"data": name, "rows": len(part.train.X), "dropout": rate, "seed": seed}
            if store.has(key):
                continue
            predicted = ours.contender(dropout=rate)(part, seed)(new.X)
            row = key | measures.of_predictions(new.Y.set_axis(public.BOTH, axis=1), *predicted)
            store.add([row])
            print({k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}, flush=True)
    frame = pd.DataFrame(store.rows)
    print(frame.groupby(["data", "rows", "dropout"], sort=False).mean(numeric_only=True).round(4).to_string())


if __name__ == "__main__":
    main()
