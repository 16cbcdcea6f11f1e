"""What the default parameters reach on two public data sets: ``make quality``.

Census: FS (the tasks are no funnel), stopped on the validation half of the published test file, read on the other half.
KuaiRand: FSMD, trained on 25 April to 4 May 2022, stopped *and* read on 5 and 6 May: the log ends there for us, so this
figure is one of validation.
"""

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np
import pandas as pd

from sklearn_fsmd import FSClassifier, FSMDClassifier
from sklearn_fsmd.datasets import fetch_census_income, fetch_kuairand_pure
from sklearn_fsmd.metrics import auc_per_task, expected_calibration_error

RESULTS = {
    "float32": Path(__file__).parent / "quality.json",
    "bf16": Path(__file__).parent / "quality-bf16.json",
}


def census():
    parts = [fetch_census_income(subset=subset, return_X_y=True) for subset in ("train", "validation", "test")]
    return FSClassifier, *parts


def kuairand():
    days = [("2022-04-25", "2022-05-04"), ("2022-05-05", "2022-05-06")]
    train, last = (fetch_kuairand_pure(start=start, end=end, return_X_y=True) for start, end in days)
    return FSMDClassifier, train, last, last


def measure(name, load, seeds, precision):
    cls, (X, Y), (X_val, Y_val), (X_test, Y_test) = load()
    rows = []
    for seed in seeds:
        start = time.perf_counter()
        model = cls(random_state=seed, precision=precision).fit(X, Y, X_val=X_val, Y_val=Y_val)
        row = {"data": name, "model": cls.__name__, "seed": seed, "fit_seconds": round(time.perf_counter() - start, 1)}
        row["epochs"] = model.n_iter_
        p = model.predict_marginals(X_test)
        for k, (task, auc) in enumerate(zip(model.task_names_, auc_per_task(Y_test, p), strict=True)):
            row[f"auc_{k + 1}"] = round(float(auc), 5)
            row[f"ece_{k + 1}"] = round(expected_calibration_error(Y_test[task], p[:, k]), 5)
        print(row, flush=True)
        rows.append(row)
    return rows


def write(rows, path):
    """Under a temporary name first, so that a run that is cut off leaves the former results whole."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(rows, indent=1) + "\n")
    os.replace(temporary, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--data", choices=["census", "kuairand"], nargs="*", default=["census", "kuairand"])
    parser.add_argument("--precision", choices=list(RESULTS), default="float32")
    options = parser.parse_args()
    rows = []
    for name in options.data:
        rows += measure(name, {"census": census, "kuairand": kuairand}[name], range(options.seeds), options.precision)
    write(rows, RESULTS[options.precision])
    table = pd.DataFrame(rows).groupby(["data", "model"]).agg(["mean", np.std]).drop(columns="seed")
    print(table.round(4).T.to_string())


if __name__ == "__main__":
    main()
