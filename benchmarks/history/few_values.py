"""Expected watch times with few known ones, with and without regressions, on KuaiRand: ``make few-values``.

The rows are drawn from 25 to 30 April 2022, as many as have so many clicks. E[seconds | click] is tested on the clicked
rows of 3 and 4 May, since rules are chosen by these figures; the test days of ``make watch`` are not touched. The mean
watch time of the training rows, which is the same for all rows, is a contender.
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.paper.store import Store
from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.datasets import fetch_kuairand_pure
from sklearn_fsmd.metrics import concordance, value_mae, value_rmse

HERE = Path(__file__).parent
SIZES = (100, 300, 1000, 3000, 10_000, 40_000)
MEASURES = {"concordance": concordance, "mae": value_mae, "rmse": value_rmse}
CONTENDERS = {
    (loss, regression): {"value_loss": loss, "logistic_regression": regression}
    for loss in ("lognormal", "squared", "poisson")
    for regression in ("auto", False)
}


def rows_of(train, test, n, seed):
    """The measures of each contender with `n` known values."""
    X, Y = train
    n_rows = round(n * len(X) / Y["watch_seconds"].notna().sum())
    drawn = np.sort(np.random.RandomState(seed).choice(len(X), n_rows, replace=False))
    X, Y = X.iloc[drawn], Y.iloc[drawn]
    clicked = (test[1]["click"] == 1).to_numpy()
    watched = test[1]["watch_seconds"].to_numpy()[clicked]

    def measured(expected):
        return {name: measure(watched, expected) for name, measure in MEASURES.items()}

    yield {"loss": "the mean", "regression": "-", **measured(np.full(len(watched), Y["watch_seconds"].mean()))}
    for (loss, regression), params in CONTENDERS.items():
        model = FSMDClassifier(
            value_targets=["watch_seconds"], value_parents={"watch_seconds": "click"}, random_state=seed, **params
        ).fit(X, Y)
        expected = model.predict_values(test[0], conditional=True)[clicked, 0]
        shares = model.network_shares_
        row = {"loss": loss, "regression": str(regression), **measured(expected)}
        yield row | {"share": np.nan if shares is None else shares[-1], "ratio": expected.mean() / watched.mean()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    train, test = (
        fetch_kuairand_pure(start=first, end=last, watch_time=True, return_X_y=True)
        for first, last in (("2022-04-25", "2022-04-30"), ("2022-05-03", "2022-05-04"))
    )
    store = Store("few_values", HERE)
    for n in SIZES:
        for seed in range(options.seeds):
            if store.has({"n_values": n, "seed": seed}):
                continue
            rows = [{"n_values": n, "seed": seed, **row} for row in rows_of(train, test, n, seed)]
            store.add(rows)
            print(pd.DataFrame(rows).round(4).to_string(), flush=True)
    columns = [*MEASURES, "share", "ratio"]
    frame = pd.DataFrame(store.rows)
    print(frame.groupby(["n_values", "loss", "regression"], sort=False)[columns].mean().round(4).to_string())


if __name__ == "__main__":
    main()
