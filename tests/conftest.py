"""Fixtures and data of all tests."""

import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _set_seeds():
    torch.manual_seed(0)
    np.random.seed(0)


@pytest.fixture(autouse=True)
def _close_figures():
    """Close all figures after each test."""
    yield
    if (pyplot := sys.modules.get("matplotlib.pyplot")) is not None:
        pyplot.close("all")


@pytest.fixture
def without_level(monkeypatch):
    """Skip the correction of the level at the end of training: models stay as early stopping leaves them."""
    from sklearn_fsmd.training.level_rows import LevelRows

    monkeypatch.setattr(LevelRows, "correct", lambda self, *data: None)


@pytest.fixture(autouse=True)
def _average_by_rows(monkeypatch):
    """Average the weights of tables with sparse gradients by rows, as for large tables, which is the harder case."""
    from sklearn_fsmd.training.optimizers import weight_average

    monkeypatch.setattr(weight_average, "SMALL_TABLE", 0)


@pytest.fixture(params=["oneDNN", "torch.mm"])
def multiplied_by(request, monkeypatch):
    """Compute matrix products with each of torch's operations, even if it is not the fastest on this machine."""
    from sklearn_fsmd.execution import products

    operation = products.linear_pointwise() if request.param == "oneDNN" else None
    if request.param == "oneDNN" and operation is None:
        pytest.skip("torch has no oneDNN here")
    monkeypatch.setattr(products, "onednn", lambda: operation)


@pytest.fixture
def rng():
    return np.random.RandomState(0)


SMALL = {
    "embedding_dim": 4,
    "expert_dims": (16, 8),
    "tower_dims": (8,),
    "n_task_experts": 1,
    "n_shared_experts": 2,
    "numeric_bins": 8,
    "max_epochs": 3,
    "batch_size": 64,
    "random_state": 0,
}
"""Parameters of a network that trains within a second."""


def supported(cls, params):
    """The entries of `params` that are parameters of `cls`."""
    return {name: value for name, value in params.items() if name in cls().get_params()}


def make_frame(n=300, seed=0):
    """A frame with every supported kind of column and missing values, and two targets that depend on it."""
    random = np.random.RandomState(seed)
    city = random.choice(["Paris", "Rome", "Oslo", None], n, p=[0.4, 0.3, 0.2, 0.1])
    user = random.randint(10**12, 10**12 + 40, n)
    price = random.lognormal(size=n)
    X = pd.DataFrame(
        {
            "user": pd.Categorical(user),
            "city": city,
            "member": pd.array(random.choice([True, False, None], n), dtype="boolean"),
            "price": np.where(random.uniform(size=n) < 0.1, np.nan, price),
            "visits": pd.array(random.choice([1, 2, 3, None], n), dtype="Int64"),
        }
    )
    logit = 2.0 * (city == "Paris") - 1.0 + 0.8 * np.sin(user % 7)
    click = random.uniform(size=n) < 1 / (1 + np.exp(-logit))
    conversion = click & (random.uniform(size=n) < 1 / (1 + np.exp(np.log(price))))
    return X, pd.DataFrame({"click": click.astype(int), "conversion": conversion.astype(int)})


@pytest.fixture
def frame():
    return make_frame()


@pytest.fixture(scope="session")
def real_data():
    """The folder with the real data sets; tests that need it are skipped if it does not exist."""
    folder = os.environ.get("SKLEARN_FSMD_DATA")
    if not folder or not (Path(folder) / "kuairand-pure").is_dir() or not (Path(folder) / "census-income").is_dir():
        pytest.skip(
            "no real data: call fetch_census_income() and fetch_kuairand_pure() once with SKLEARN_FSMD_DATA set to a "
            "folder, and keep it set"
        )
    return Path(folder)
