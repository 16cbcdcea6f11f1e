"""A simulated shop: a model that is trained in seconds, visitors, and candidates for each of them."""

from typing import Any

import numpy as np
import pandas as pd

from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.datasets import make_funnel

KINDS = (
    "Anorak Backpack Basket Blanket Bottle Bowl Candle Chair Clock Coat Cup Desk Drum Globe Guitar Hammock Hat "
    "Jug Kettle Kite Ladder Lamp Mirror Mug Pillow Plant Poster Puzzle Radio Rug Sandal Scarf Shelf Stool "
    "Table Teapot Tent Tray Umbrella Vase"
).split()
"""Product names for the forty brands of the simulation."""
VISITOR = ["user_id", "segment", "age", "hour", "device"]
ITEM = ["item_id", "kind", "price"]
N_VISITORS, N_CANDIDATES = 24, 24


def log(n_samples: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return impressions in which features that raise clicks lower purchases."""
    X, Y = make_funnel(
        n_samples, n_users=200, n_items=120, conflict=0.7, conversion_rate=0.2, random_state=0, return_X_y=True
    )
    X["kind"] = X["brand"].cat.rename_categories(lambda brand: KINDS[int(brand[1:])])
    return X[[*VISITOR, *ITEM]], Y


def train(X: pd.DataFrame, Y: pd.DataFrame) -> FSMDClassifier:
    """Train a model whose file has half a megabyte."""
    model = FSMDClassifier(embedding_dim=8, expert_dims=(64, 32), tower_dims=(16,), max_epochs=4, random_state=0)
    return model.fit(X, Y)


def visits(X: pd.DataFrame) -> dict[str, Any]:
    """Return the last visits of some users, the items, and the candidate items of each visit."""
    visitors = X.drop_duplicates("user_id", keep="last").sort_values("user_id")[VISITOR][:N_VISITORS]
    items = X.dropna(subset="kind").drop_duplicates("item_id").sort_values("item_id")[ITEM]
    random = np.random.RandomState(0)
    candidates = [random.choice(len(items), N_CANDIDATES, replace=False).tolist() for _ in range(len(visitors))]
    return {
        "visitors": _records(visitors),
        "items": _records(items.assign(price=items["price"].round(2))),
        "candidates": candidates,
    }


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return rows as JSON objects, with None for a missing value."""
    plain = frame.astype(object)
    return plain.where(plain.notna(), None).to_dict(orient="records")
