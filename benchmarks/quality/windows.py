"""One option changed at a time, tested on later days: ``make windows``.

KuaiRand, trained on days from 25 April. Early stopping uses the two days that follow; or these days are training days
too, and early stopping uses a random tenth of all rows. The models are tested on the two days after that, which are not
test days of the published tables.
"""

import argparse
import warnings
from pathlib import Path

import pandas as pd

from benchmarks.paper.store import Store
from benchmarks.quality import measures
from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.datasets import fetch_kuairand_pure

HERE = Path(__file__).parent
WINDOWS = {
    "to 28 April": ("04-25", "04-28", "04-29", "04-30", "05-01", "05-02"),
    "to 29 April": ("04-25", "04-29", "04-30", "05-01", "05-02", "05-03"),
    "to 30 April": ("04-25", "04-30", "05-01", "05-02", "05-03", "05-04"),
}
AUCS = ["click_auc", "conversion_auc", "conversion_after_auc"]
STOPS = ["two days", "a random tenth"]
VARIANTS = {
    "defaults": {},
    "values seen twice": {"min_frequency": 2},
    "values seen five times": {"min_frequency": 5},
    "dropout 0.4": {"dropout": 0.4},
    "more hidden": {"unknown_rate": 0.05},
    "more decay": {"weight_decay": 0.1},
    "batches of 2048": {"batch_size": 2048},
}


def days(first, last):
    return fetch_kuairand_pure(start=f"2022-{first}", end=f"2022-{last}", return_X_y=True)


def rows_of(window, stop):
    """The arguments of `fit`, and the test rows."""
    first, last, *following, test_start, test_end = WINDOWS[window]
    if stop == "a random tenth":
        return dict(zip("XY", days(first, following[-1]), strict=True)), days(test_start, test_end)
    (X, Y), (X_val, Y_val) = days(first, last), days(*following)
    return {"X": X, "Y": Y, "X_val": X_val, "Y_val": Y_val}, days(test_start, test_end)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--windows", choices=WINDOWS, nargs="*", default=list(WINDOWS))
    parser.add_argument("--stops", choices=STOPS, nargs="*", default=STOPS)
    parser.add_argument("--only", choices=VARIANTS, nargs="*", default=["defaults", "values seen twice"])
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    store = Store("windows", HERE)
    for stop in options.stops:
        for window in options.windows:
            arguments, (X, Y) = rows_of(window, stop)
            for seed in range(options.seeds):
                for variant in options.only:
                    key = {"trained": window, "stopped on": stop, "variant": variant, "seed": seed}
                    if store.has(key):
                        continue
                    model = FSMDClassifier(random_state=seed, **VARIANTS[variant]).fit(**arguments)
                    predicted = model.predict_marginals(X), model.predict_conditionals(X)[:, 1]
                    store.add([{**key, **measures.of_predictions(Y, *predicted)}])
                    print(*key.values(), *(f"{store.rows[-1][name]:.4f}" for name in AUCS), flush=True)
    means = pd.DataFrame(store.rows).groupby(["stopped on", "trained", "variant"], sort=False).mean(numeric_only=True)
    print(means[AUCS].round(4).to_string())


if __name__ == "__main__":
    main()
