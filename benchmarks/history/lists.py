"""Gain from a list of the last items, in a simulated log whose clicks depend on it: ``make lists``.

The more an item resembles one of the last five items that the user clicked, the more likely is a click. Models are
trained on the first five sixths of the log and tested on the rest; nothing is chosen on the test rows. Three logs, each
from a different simulated world.
"""

import argparse
import warnings
from pathlib import Path

import pandas as pd

from benchmarks.paper.store import Store
from benchmarks.quality.report import interval
from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.datasets import make_funnel
from sklearn_fsmd.metrics import auc_per_task

HERE = Path(__file__).parent
N_ROWS, N_ITEMS = 60_000, 100
SHARED = {"shared_embeddings": {"last_items": "item_id"}}
PATIENCE = {"patience": 10, "max_epochs": 60}
"""The embeddings of similar items must become similar before attention can help, so the first epochs bring no gain."""
CONTENDERS = {
    "no list": None,
    "mean": {},
    "mean, shared embeddings": SHARED,
    "attention": SHARED | {"list_pooling": "attention"},
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    store = Store("lists", HERE)
    for seed in range(options.seeds):
        world = make_funnel(N_ROWS, n_items=N_ITEMS, history=True, lists=True, random_state=seed)
        X, Y, n = world.data.drop(columns="time"), world.target, N_ROWS * 5 // 6
        for name, params in CONTENDERS.items():
            if store.has({"contender": name, "seed": seed}):
                continue
            table = X.drop(columns="last_items") if params is None else X
            model = FSMDClassifier(validation="last", random_state=seed, **PATIENCE, **(params or {})).fit(
                table[:n], Y[:n]
            )
            click, conversion = auc_per_task(Y[n:], model.predict_marginals(table[n:]))
            store.add([{"contender": name, "seed": seed, "click_auc": click, "conversion_auc": conversion}])
            print(store.rows[-1], flush=True)
        click, conversion = auc_per_task(Y[n:], world.probabilities[n:])
        print(f"the true probabilities: {click:.4f} {conversion:.4f}")
    rows = pd.DataFrame(store.rows)
    print(rows.groupby("contender", sort=False)[["click_auc", "conversion_auc"]].mean().round(4).to_string())
    by_seed = {name: group.set_index("seed")["click_auc"] for name, group in rows.groupby("contender")}
    for name in ("no list", "mean, shared embeddings"):
        print(f"click, attention − {name}:", interval(by_seed["attention"] - by_seed[name]))


if __name__ == "__main__":
    main()
