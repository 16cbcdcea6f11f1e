"""Gain from averaging the predictions of whole fits with the defaults: ``make averaged``.

The members inside one network share rows, steps and the best epoch. Separate fits share nothing and take n times as
long; they show what members could reach. A row of ``averaged.csv`` is the mean over all choices of `n_fits` fits, on
the test rows of `make quality`.
"""

import argparse
import warnings
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.paper.store import Store
from benchmarks.quality import data, measures, ours

HERE = Path(__file__).parent


def averaged(Y, fits, n):
    """The AUCs of the mean predictions of `n` of the `fits`, averaged over all choices.

    `fits` are pairs (marginals, conditionals), as `contender` returns them.
    """
    figures = []
    for chosen in combinations(fits, n):
        marginals, after = (None if parts[0] is None else np.mean(parts, axis=0) for parts in zip(*chosen, strict=True))
        figures.append(measures.of_predictions(Y, marginals, after))
    return {name: np.mean([one[name] for one in figures]) for name in figures[0] if name.endswith("_auc")}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", choices=["kuairand", "census"], nargs="*", default=["kuairand", "census"])
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    store = Store("averaged", HERE)
    for name in options.data:
        key = {"data": name, "seeds": options.seeds}
        if store.has(key):
            continue
        table = data.load(name)
        X, Y = table.tests["test"]
        fits = [ours.CONTENDERS["sklearn-fsmd"](table, seed)(X) for seed in range(options.seeds)]
        store.add([{**key, "n_fits": n, **averaged(Y, fits, n)} for n in range(1, options.seeds + 1)])
        print(
            pd.DataFrame(store.rows).query("data == @name").dropna(axis=1, how="all").round(4).to_string(), flush=True
        )


if __name__ == "__main__":
    main()
