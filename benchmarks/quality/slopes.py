"""How the spread of the slopes was chosen: log loss of new rows by how freely the validation rows set a slope.

Fits of so many rows stop on a tenth as many, which also say the slopes; the log loss is that of others: of a funnel
50,000 rows, of the real data sets those validation rows that had no part in the fit. ``make slopes``.
"""

import argparse
import warnings
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.paper.store import Store
from benchmarks.quality import data
from sklearn_fsmd import FSClassifier, FSMDClassifier
from sklearn_fsmd.datasets import make_funnel
from sklearn_fsmd.training.level import level_of
from sklearn_fsmd.training.slope import slope_of

HERE = Path(__file__).parent
SPREADS = (0.0, 0.1, 0.2, 0.3, 0.5, 1000.0)
"""0 leaves the slope at 1, 1,000 leaves it to the rows, up to its limits."""
SIZES = (2000, 5000, 20_000, 80_000)
N_NEW = 50_000


def parts(name, n, seed):
    """Rows of training, of validation and new ones, ``(X, Y)`` each; whether the second target is a step."""
    n_valid = n // 10
    if name == "funnel":
        X, Y = make_funnel(n + n_valid + N_NEW, random_state=seed, return_X_y=True)
        ends = (0, n, n + n_valid, len(X))
        return [(X[a:b], Y[a:b]) for a, b in pairwise(ends)], True
    table, random = data.load(name), np.random.RandomState(seed)
    train = np.sort(random.permutation(len(table.train.X))[:n])
    valid = random.permutation(len(table.valid.X))
    chosen = [(table.train, train), (table.valid, valid[:n_valid]), (table.valid, valid[n_valid:][:N_NEW])]
    return [(part.X.iloc[rows], part.Y.iloc[rows]) for part, rows in chosen], table.is_funnel


def losses(model, valid, new, is_funnel, spread):
    """Slopes and log losses of both steps, the level being that of the validation rows."""
    found = {}
    for k in range(2):
        logits, labels = [], []
        for X, Y in (valid, new):
            rows = (Y.iloc[:, 0] == 1).to_numpy() if is_funnel and k else np.ones(len(Y), bool)
            z = model._predictor.logits(model._rows(X[rows]), None)[:, k].astype(float)
            logits.append(z / float(model.module_.slopes[k]))  # as they were before the fit set its own
            labels.append(Y.iloc[:, k].to_numpy(float)[rows])
        (z, z_new), (y, y_new), ones = logits, labels, np.ones(len(labels[0]))
        is_known = spread > 0 and 0 < y.mean() < 1
        slope = slope_of(z, np.zeros(len(z)), y, ones, spread=spread) if is_known else 1.0
        level = level_of(slope * z, y.sum(), ones) if 0 < y.mean() < 1 else 0.0
        found[f"slope_{k + 1}"] = slope
        found[f"log_loss_{k + 1}"] = np.logaddexp(0, (1 - 2 * y_new) * (slope * z_new + level)).mean()
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="*", default=["funnel", "kuairand", "census"])
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    store = Store("slopes", HERE)
    for name in options.data:
        for n in SIZES:
            for seed in range(options.seeds):
                key = {"data": name, "rows": n, "seed": seed}
                if store.has(key):
                    continue
                (train, valid, new), is_funnel = parts(name, n, seed)
                estimator = (FSMDClassifier if is_funnel else FSClassifier)(random_state=seed)
                model = estimator.fit(*train, X_val=valid[0], Y_val=valid[1])
                found = [{**key, "spread": s, **losses(model, valid, new, is_funnel, s)} for s in SPREADS]
                store.add(found)
                print(pd.DataFrame(found).round(4).to_string(index=False), flush=True)
    means = pd.DataFrame(store.rows).groupby(["data", "rows", "spread"], sort=False).mean(numeric_only=True)
    print(means.drop(columns="seed").round(4).to_string())


if __name__ == "__main__":
    main()
