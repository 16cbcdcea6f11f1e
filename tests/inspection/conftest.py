"""Models to inspect."""

import numpy as np
import pandas as pd
import pytest

from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.datasets import make_funnel

SMALL = {"expert_dims": (8,), "tower_dims": (4,), "embedding_dim": 4, "random_state": 0, "dropout": 0.0}
WATCH = {"value_targets": ["watch_seconds"], "value_parents": {"watch_seconds": "click"}}


@pytest.fixture(scope="package")
def funnel():
    """Impressions with watch times, of few users and items."""
    return make_funnel(3000, n_users=60, n_items=40, watch_time=True, random_state=0, return_X_y=True)


@pytest.fixture(scope="package")
def model(funnel):
    X, Y = funnel
    return FSMDClassifier(**SMALL, **WATCH, max_epochs=4, lr=0.01).fit(X[:2000], Y[:2000])


@pytest.fixture(scope="package")
def known():
    """A model and test rows; clicks depend only on the city, and conversions also on the price."""
    random = np.random.RandomState(0)
    n = 3000
    city, price = random.choice(["Paris", "Rome", "Oslo"], n), random.uniform(size=n)
    click = random.uniform(size=n) < np.where(city == "Paris", 0.8, 0.2)
    conversion = click & (random.uniform(size=n) < np.where(price < 0.5, 0.9, 0.1))
    X = pd.DataFrame({"city": city, "copy": city, "price": price, "noise": random.normal(size=n)})
    Y = pd.DataFrame({"click": click.astype(int), "conversion": conversion.astype(int)})
    return FSMDClassifier(**SMALL, numeric_bins=16, max_epochs=8, lr=0.02).fit(X[:2000], Y[:2000]), X[2000:], Y[2000:]
