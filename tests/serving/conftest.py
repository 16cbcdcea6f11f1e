"""Fixtures: a model with columns of every kind, its file, and a server that most tests share."""

import warnings
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.export import to_onnx
from tests.conftest import SMALL
from tests.export.files import plain, shaken
from tests.serving.process import Process
from tests.test_vectors import objects

TOP = 2**63 - 1
N = 240
COLUMNS = ["user", "city", "grade", "member", "price", "tags", "seen", "v"]


def make_rows(n=N, seed=0):
    """Return rows with columns of every kind and missing values, and targets, one with values."""
    random = np.random.RandomState(seed)
    X = pd.DataFrame(
        {
            "user": pd.Categorical(random.choice(TOP - np.arange(12), n)),
            "city": random.choice(["Paris", "Rome", "a\0b", "ünï", None], n),
            "grade": pd.Categorical(random.choice([0.5, 1.5, 2.0], n)),
            "member": pd.array(random.choice([True, False, None], n), dtype="boolean"),
            "price": np.where(random.uniform(size=n) < 0.1, np.nan, random.lognormal(size=n)),
            "position": np.arange(n) % 5,
            "tags": objects([["a", "b", "c"][: i % 4] for i in range(n)]),
            "seen": objects([[TOP - j for j in range(i % 3)] for i in range(n)]),
            "v": objects([None if i % 9 == 0 else row for i, row in enumerate(random.normal(size=(n, 3)).tolist())]),
        }
    )
    click = (random.uniform(size=n) < np.where(X["city"] == "Paris", 0.7, 0.4)).astype(int)
    conversion = click * (random.uniform(size=n) < 0.5)
    seconds = np.where(click == 1, random.lognormal(2, size=n), np.nan)
    return X, pd.DataFrame({"click": click, "conversion": conversion, "seconds": seconds})


def train(path, seed=0, **params):
    """Train a model, and write its file."""
    X, Y = make_rows()
    options = {
        "value_targets": ["seconds"],
        "value_parents": {"seconds": "click"},
        "bias_features": ["position"],
        "list_separator": "|",
        "max_epochs": 1,
    }
    options |= params
    if not options["value_targets"]:
        Y = Y.drop(columns="seconds")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about ids and early stopping
        model = shaken(FSMDClassifier(**SMALL | options).fit(X, Y), seed=seed)
    to_onnx(model, path, rank_weights=[1.0, 0.5, 0.25][: Y.shape[1]])
    return model


def rows_of(X):
    """Return the rows of a DataFrame as JSON objects; large ids are strings."""
    table = plain(X)
    rows = [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]
    for row in rows:
        row["user"] = str(row["user"])
        row["seen"] = [str(item) for item in row["seen"]]
    return rows


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A model, its file, a table, and its rows as JSON."""
    path = tmp_path_factory.mktemp("trained") / "model.onnx"
    model, X = train(path), make_rows(60, seed=1)[0][COLUMNS]
    return SimpleNamespace(model=model, path=path, X=X, rows=rows_of(X))


@pytest.fixture(scope="session")
def server(trained, tmp_path_factory):
    process = Process(trained.path, tmp_path_factory.mktemp("server"), max_rows=200)
    yield process
    process.close()


@pytest.fixture
def start(tmp_path):
    """Start further servers, which are stopped after the test."""
    started = []

    def start_one(path, **options):
        started.append(Process(path, tmp_path, **options))
        return started[-1]

    yield start_one
    for process in started:
        process.close()
