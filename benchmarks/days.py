"""Compare ways to update a model each day: ``make days``.

A model is fitted on six days of KuaiRand, and then updated after each of the next days in one of several ways. It is
evaluated on the day that follows: AUC and log loss of clicks and of conversions.
"""

import argparse
import copy
import tempfile
import time
import warnings
from functools import cache
from itertools import pairwise
from pathlib import Path

import pandas as pd
from sklearn.metrics import log_loss, roc_auc_score

from benchmarks.paper.store import Store
from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.datasets import fetch_kuairand_pure

FIRST, DAYS = ("2022-04-25", "2022-04-30"), [f"2022-05-0{day}" for day in range(1, 7)]


def leave_alone(model, new, all_days):
    return model


def count(model, new, all_days):
    return model.update_statistics(*new)


def continue_training(model, new, all_days):
    return model.partial_fit(*new)


def continue_from_file(model, new, all_days):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        model.save(path)
        return FSMDClassifier.load(path).partial_fit(*new)


def one_epoch_on_all_days(model, new, all_days):
    return model.set_params(warm_start=True, max_epochs=1).fit(*all_days)


def fit_again(model, new, all_days):
    return FSMDClassifier(random_state=model.random_state).fit(*all_days)


WAYS = {
    "left alone": leave_alone,
    "`update_statistics`": count,
    "the same, and new ids get rows": count,
    "`partial_fit`": continue_training,
    "the same, saved and loaded each day": continue_from_file,
    "an epoch of `warm_start` over all days": one_epoch_on_all_days,
    "a fit of all days": fit_again,
}
PARAMS = {"the same, and new ids get rows": {"new_categories": "grow"}}


@cache
def rows(start, end):
    return fetch_kuairand_pure(start=start, end=end, return_X_y=True)


@cache
def fitted(seed, **params):
    return FSMDClassifier(random_state=seed, **params).fit(*rows(*FIRST))


def measure(name, seed):
    """Yield a row for each day except the first, predicted by the model of the day before."""
    way, model = WAYS[name], copy.deepcopy(fitted(seed, **PARAMS.get(name, {})))
    for day, next_day in pairwise(DAYS):
        new, all_days, (X, Y) = rows(day, day), rows(FIRST[0], day), rows(next_day, next_day)
        start = time.perf_counter()
        model = way(model, new, all_days)
        row = {"way": name, "seed": seed, "day": next_day, "seconds": time.perf_counter() - start}
        for k, (target, p) in enumerate(zip(Y, model.predict_marginals(X).T, strict=True)):
            row |= {f"{target}_auc": roc_auc_score(Y.iloc[:, k], p), f"{target}_log_loss": log_loss(Y.iloc[:, k], p)}
        yield row


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="*", choices=WAYS, default=list(WAYS))
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    store = Store("days", Path(__file__).parent)
    for seed in range(options.seeds):
        for name in options.only:
            if not store.has({"way": name, "seed": seed}):
                store.add(list(measure(name, seed)))
                print(seed, name, flush=True)
    means = pd.DataFrame(store.rows).groupby("way", sort=False).mean(numeric_only=True)
    print(means.drop(columns="seed").round(4).to_string())


if __name__ == "__main__":
    main()
