"""One option changed at a time where days lie between training and reading: ``python -m benchmarks.quality.windows``.

KuaiRand is trained from 25 April on, stopped on the two days that follow, and read on the two after these. None of
them is a day of the published tables.
"""

import argparse
import warnings

import numpy as np

from benchmarks.quality import measures
from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.datasets import fetch_kuairand_pure

WINDOWS = {
    "to 28 April": ("04-25", "04-28", "04-29", "04-30", "05-01", "05-02"),
    "to 29 April": ("04-25", "04-29", "04-30", "05-01", "05-02", "05-03"),
    "to 30 April": ("04-25", "04-30", "05-01", "05-02", "05-03", "05-04"),
}
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


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--windows", choices=WINDOWS, nargs="*", default=list(WINDOWS))
    parser.add_argument("--only", choices=VARIANTS, nargs="*", default=["defaults", "values seen twice"])
    parser.add_argument("--seeds", type=int, default=2)
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    for window in options.windows:
        a, b, c, d, e, f = WINDOWS[window]
        (X, Y), (X_val, Y_val), (X_read, Y_read) = days(a, b), days(c, d), days(e, f)
        for seed in range(options.seeds):
            for name in options.only:
                model = FSMDClassifier(random_state=seed, **VARIANTS[name]).fit(X, Y, X_val=X_val, Y_val=Y_val)
                p, given = model.predict_marginals(X_read), model.predict_conditionals(X_read)[:, 1]
                row = measures.of_predictions(Y_read, p, given)
                found = "  ".join(f"{key} {np.round(value, 5)}" for key, value in row.items() if key.endswith("_auc"))
                print(f"{window}  {name}  {seed}  {found}", flush=True)


if __name__ == "__main__":
    main()
