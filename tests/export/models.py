"""Small data and models for tests of exported files, and the comparison of models with their files."""

import functools
import warnings

import numpy as np
import pandas as pd

from sklearn_fsmd import MultiTaskClassifier
from tests.conftest import SMALL, make_frame, supported
from tests.export.files import File, check_same, shaken

TOP = 2**63 - 1
N = 300


def make_rows(n=N, seed=0):
    """Rows of `make_frame` with additional columns whose values are easily confused."""
    X, Y = make_frame(n, seed)
    random = np.random.RandomState(seed + 1)
    X["big"] = pd.Categorical(random.choice(TOP - np.arange(20), n))
    X["text"] = random.choice(["", "a", "A", "ä", " a", "1", "1.0"], n)
    X["grade"] = pd.Categorical(random.choice([0.5, 1.0, 2.5, -0.5], n))
    X["flag"] = random.choice([True, False], n)
    X["age"] = random.randint(1, 90, n)
    return X, Y


def hard_rows():
    """Rows with unseen and missing values in every column, and with extreme numbers."""
    X, _ = make_rows(40, seed=7)
    X["user"] = pd.Series([5, None, 10**12, -1, -2] * 8, dtype="Int64")
    X["city"] = ["Paris", "paris", None, "", "\U0001f600"] * 8
    X["member"] = pd.array([True, False, None, True, False] * 8, dtype="boolean")
    X["price"] = [np.nan, -1e30, 1e30, 0.0, 1.5] * 8
    X["visits"] = pd.array([None, 0, 99, 2, -7] * 8, dtype="Int64")
    X["big"] = pd.Series([TOP, TOP - 1, TOP - 30, None, -(2**63)] * 8, dtype="Int64")
    X["text"] = ["", "b", None, "1", "1.0"] * 8
    X["grade"] = [0.5, np.nan, 0.25, 1.0, -1.0] * 8
    X["age"] = [3e38, -3e38, np.nan, 45.5, 1] * 8
    return X


@functools.cache
def data():
    return make_rows()


def fit(cls=MultiTaskClassifier, X=None, Y=None, **params):
    if X is None:
        X, Y = data()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings about early stopping and ids
        return shaken(cls(**{**supported(cls, SMALL), "max_epochs": 1, **supported(cls, params)}).fit(X, Y))


def check(model, folder, *tables, **options):
    file = File(model, folder, **options)
    tables = tables or (data()[0], make_rows(100, seed=5)[0], hard_rows())
    for X in tables:
        check_same(model, file, X, rank_weights=options.get("rank_weights"))
    check_same_in_parts(file, tables[0])
    return file


def check_same_in_parts(file, X):
    """Check that a row has the same outputs alone as in a table, and that outputs of rows differ."""
    whole = file.run(X)
    assert whole["marginals"].std(axis=0).min() > 0.001
    alone = np.concatenate([file.run(X[i : i + 1])["marginals"] for i in range(3)])
    np.testing.assert_allclose(alone, whole["marginals"][:3], atol=1e-6)
