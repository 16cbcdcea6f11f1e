"""Training, validation and test rows of each part: weights are chosen on validation rows, test rows are used once."""

from functools import lru_cache

import numpy as np
import pandas as pd

from sklearn_fsmd.datasets import fetch_census_income, fetch_kuairand_pure, make_funnel

QUICK_ROWS = 1500


@lru_cache(maxsize=3)
def load(name, conflict=None, quick=False):
    """Three pairs (X, Y), and for the funnel the true marginals of its test rows (else None)."""
    parts, truth = {"census": census, "kuairand": kuairand}[name]() if conflict is None else funnel(conflict)
    if quick:
        parts = [(X[:QUICK_ROWS], Y[:QUICK_ROWS]) for X, Y in parts]
        truth = None if truth is None else truth[:QUICK_ROWS]
    return parts, truth


def census():
    """The published training file, and the two halves of the published test file for validation and test."""
    return [fetch_census_income(subset=part, return_X_y=True) for part in ("train", "validation", "test")], None


def kuairand():
    """Split by time: eight days for training, the next two for validation, the two after these for test."""
    days = [("2022-04-25", "2022-05-02"), ("2022-05-03", "2022-05-04"), ("2022-05-05", "2022-05-06")]
    return [fetch_kuairand_pure(start=start, end=end, return_X_y=True) for start, end in days], None


def funnel(conflict):
    """Simulated data, split into 50,000 training, 10,000 validation and 40,000 test rows."""
    world = make_funnel(100_000, conflict=conflict, random_state=0)
    ends = np.cumsum([50_000, 10_000, 40_000])
    rows = [slice(end - size, end) for end, size in zip(ends, np.diff([0, *ends]), strict=True)]
    return [(world.data[part], world.target[part]) for part in rows], world.probabilities[rows[-1]].to_numpy()


def joined(parts):
    """Training and test rows in one table, and the fold that separates them, for GridSearchCV."""
    (X, Y), _, (X_test, Y_test) = parts
    n, n_test = len(X), len(X_test)
    X_test = X_test.astype(X.dtypes)  # concat drops dtypes that differ; a new id is unknown anyway
    fold = (np.arange(n), np.arange(n, n + n_test))
    return pd.concat([X, X_test], ignore_index=True), pd.concat([Y, Y_test], ignore_index=True), [fold]
