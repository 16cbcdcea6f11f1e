"""Fits on few or many rows, tested on new rows: parts of a data set, and the loop over sizes, data sets and seeds."""

import argparse
import warnings
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.paper.store import Store
from benchmarks.quality import data, measures
from sklearn_fsmd import FSClassifier, FSMDClassifier
from sklearn_fsmd.datasets import make_funnel

N_NEW = 50_000


def parts(name, n, seed):
    """Training, validation and new rows, ``(X, Y)`` each; and whether the second target is a step after the first."""
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


def model_of(is_funnel, seed, *, logistic_regression=False, **params):
    """A model for a data set; by default the network alone, since its training is what most options change."""
    cls = FSMDClassifier if is_funnel else FSClassifier
    return cls(random_state=seed, logistic_regression=logistic_regression, **params)


def evaluate(model, new, is_funnel):
    X, _ = new
    after = model.predict_conditionals(X)[:, 1] if is_funnel else None
    return evaluate_predictions(new, model.predict_marginals(X), after)


def evaluate_predictions(new, marginals, after):
    return measures.of_predictions(new[1].set_axis(["first", "second"], axis=1), marginals, after)


def by_parameter(name, values):
    """A function `rows_of` for :func:`run` that fits with each value of a parameter."""

    def rows_of(parts, is_funnel, seed):
        train, _, new = parts
        for value in values:
            model = model_of(is_funnel, seed, **{name: value}).fit(*train)
            yield {name: value, "epochs": len(model.history_), **evaluate(model, new, is_funnel)}

    return rows_of


def run(part, description, rows_of, *, sizes, seeds, by):
    """Add ``rows_of(parts, is_funnel, seed)`` for each size, data set and seed to the file of a part; print the means.

    `by` is the column that distinguishes the rows of one data set and seed.
    """
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--data", nargs="*", default=["funnel", "kuairand", "census"])
    parser.add_argument("--sizes", nargs="*", type=int, default=sizes)
    parser.add_argument("--seeds", type=int, default=seeds)
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    store = Store(part, Path(__file__).parent)
    for n in options.sizes:
        for name in options.data:
            for seed in range(options.seeds):
                key = {"data": name, "rows": n, "seed": seed}
                if store.has(key):
                    continue
                rows = [{**key, **row} for row in rows_of(*parts(name, n, seed), seed)]
                store.add(rows)
                print(pd.DataFrame(rows).round(4).to_string(index=False), flush=True)
    means = pd.DataFrame(store.rows).groupby(["data", "rows", by], sort=False).mean(numeric_only=True)
    print(means.drop(columns="seed").round(4).to_string())
