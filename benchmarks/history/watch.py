"""Error of predicted watch times of clicked videos, on KuaiRand: ``make watch``.

Days as in ``benchmarks/quality``: trained on 25 April to 2 May 2022, stopped on 3 and 4 May, tested on 5 and 6 May. The
prediction that is evaluated is E[seconds | click], on the clicked rows.
"""

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.paper.store import Store
from benchmarks.quality.data import DAYS
from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.datasets import fetch_kuairand_pure
from sklearn_fsmd.metrics import concordance, decile_bias, mean_auc, value_mae, value_rmse

HERE = Path(__file__).parent
MEASURES = {"concordance": concordance, "mae": value_mae, "rmse": value_rmse, "decile_bias": decile_bias}


def ours(loss):
    def fit(train, valid, seed):
        model = FSMDClassifier(
            value_targets=["watch_seconds"],
            value_parents={"watch_seconds": "click"},
            value_loss=loss,
            random_state=seed,
        ).fit(*train, X_val=valid[0], Y_val=valid[1])
        return lambda X: (model.predict_values(X, conditional=True)[:, 0], model.predict_marginals(X))

    return fit


def without_values(train, valid, seed):
    """The same model without watch times: it shows whether they help or hurt clicks and conversions."""
    names = ["click", "conversion"]
    model = FSMDClassifier(random_state=seed).fit(train[0], train[1][names], X_val=valid[0], Y_val=valid[1][names])
    return lambda X: (None, model.predict_marginals(X))


def lightgbm(objective):
    def fit(train, valid, seed):
        from lightgbm import LGBMRegressor, early_stopping

        dtypes = train[0].dtypes
        (X, y), (X_val, y_val) = (
            (X[Y["click"] == 1].astype(dtypes), Y["watch_seconds"][Y["click"] == 1]) for X, Y in (train, valid)
        )
        model = LGBMRegressor(objective=objective, n_estimators=1000, random_state=seed, verbose=-1)
        model.fit(X, y, eval_set=[(X_val, y_val)], callbacks=[early_stopping(30, verbose=False)])
        return lambda X: (model.predict(X.astype(dtypes)), None)

    return fit


CONTENDERS = {
    "lognormal": ours("lognormal"),
    "squared": ours("squared"),
    "poisson": ours("poisson"),
    "no watch time": without_values,
    "LightGBM, squared": lightgbm("regression"),
    "LightGBM, poisson": lightgbm("poisson"),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=CONTENDERS, nargs="*", default=list(CONTENDERS))
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    train, valid, test = (
        fetch_kuairand_pure(start=first, end=last, watch_time=True, return_X_y=True)
        for first, last in (DAYS[part] for part in ("train", "valid", "test"))
    )
    store = Store("watch", HERE)
    clicked = (test[1]["click"] == 1).to_numpy()
    watched = test[1]["watch_seconds"].to_numpy()[clicked]
    for name in options.only:
        for seed in range(options.seeds):
            key = {"contender": name, "seed": seed}
            if store.has(key):
                continue
            start = time.perf_counter()
            values, p = CONTENDERS[name](train, valid, seed)(test[0])
            row = {**key, "seconds": time.perf_counter() - start}
            if values is not None:
                row |= {name: measure(watched, values[clicked]) for name, measure in MEASURES.items()}
                row["ratio"] = values[clicked].mean() / watched.mean()
            row["mean_auc"] = np.nan if p is None else mean_auc(test[1][["click", "conversion"]], p)
            store.add([row])
            print({k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}, flush=True)
    columns = [*MEASURES, "ratio", "mean_auc", "seconds"]
    print(pd.DataFrame(store.rows).groupby("contender", sort=False)[columns].mean().round(4).to_string())


if __name__ == "__main__":
    main()
