"""The data of each part in training, validation and test: weights are chosen on validation, test is read once."""

from functools import lru_cache

import numpy as np
import pandas as pd

from sklearn_fsmd.datasets import fetch_census_income, fetch_kuairand_pure, make_funnel

QUICK_ROWS = 1500


@lru_cache(maxsize=3)
def load(name, conflict=None, quick=False):
    """Three pairs (X, Y), and for the funnel the true marginals of its test rows."""
    parts, truth = {"census": census, "kuairand": kuairand}[name]() if conflict is None else funnel(conflict)
    if quick:
        parts = [(X[:QUICK_ROWS], Y[:QUICK_ROWS]) for X, Y in parts]
        truth = None if truth is None else truth[:QUICK_ROWS]
    return parts, truth


def census():
    """The published training file; the test file halved into validation and test."""
    return [fetch_census_income(subset=part, return_X_y=True) for part in ("train", "validation", "test")], None


def kuairand():
    """By time: eight days, the next two, and the two after these."""
    days = [("2022-04-25", "2022-05-02"), ("2022-05-03", "2022-05-04"), ("2022-05-05", "2022-05-06")]
    return [fetch_kuairand_pure(start=start, end=end, return_X_y=True) for start, end in days], None


def funnel(conflict):
    """A simulated world in which nothing is missing but what the ids tell; 50,000 rows to train on."""
    world = make_funnel(100_000, conflict=conflict, random_state=0)
    ends = np.cumsum([50_000, 10_000, 40_000])
    rows = [slice(end - size, end) for end, size in zip(ends, np.diff([0, *ends]), strict=True)]
    return [(world.data[part], world.target[part]) for part in rows], world.probabilities[rows[-1]].to_numpy()


def joined(parts):
    """Training and test rows in one table, and the one fold that tells them apart, for GridSearchCV."""
    (X, Y), _, (X_test, Y_test) = parts
    n, n_test = len(X), len(X_test)
    X_test = X_test.astype(X.dtypes)  # two sets of categories would no longer be categories; a new id is unknown anyway
    fold = (np.arange(n), np.arange(n, n + n_test))
    return pd.concat([X, X_test], ignore_index=True), pd.concat([Y, Y_test], ignore_index=True), [fold]
