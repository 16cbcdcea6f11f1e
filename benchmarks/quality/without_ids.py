"""A parameter of tables without ids, by the number of rows: the loop of ``dropout.py`` and ``widths.py``.

Public tables, with all of their training rows and with some of them. Census and KuaiRand, the one with ids, are
evaluated on their validation rows, which are also used for early stopping, the others on rows that had no part in the
fit. Rows of other commits are removed from the file.
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.paper.store import Store
from benchmarks.quality import data, measures, ours, public

HERE = Path(__file__).parent


def part_of(table, n_rows):
    """`table` with `n_rows` of its training rows; None for all of them."""
    X, Y = table.train
    chosen = np.sort(np.random.RandomState(1).permutation(len(X))[:n_rows])
    return table._replace(train=data.Part(X.iloc[chosen].reset_index(drop=True), Y.iloc[chosen].reset_index(drop=True)))


def run(part, description, parameter, values, names, sizes):
    """Fit with each of the `values` of `parameter` on `sizes` rows of the tables `names`, into the file `part`.csv.

    The size None means all rows.
    """
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--data", choices=names, nargs="*", default=names)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=HERE)
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    store = Store(part, options.out)
    for name in options.data:
        table, new = public.load(name)
        for seed, n_rows, value in ((s, n, v) for s in range(options.seeds) for n in sizes for v in values):
            chosen = part_of(table, n_rows)
            key = {"data": name, "rows": len(chosen.train.X), parameter: value, "seed": seed}
            if store.has(key):
                continue
            predicted = ours.contender(**{parameter: value})(chosen, seed)(new.X)
            row = key | measures.of_predictions(new.Y.set_axis(public.BOTH, axis=1), *predicted)
            store.add([row])
            print({k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}, flush=True)
    frame = pd.DataFrame(store.rows)
    print(frame.groupby(["data", "rows", parameter], sort=False).mean(numeric_only=True).round(4).to_string())
