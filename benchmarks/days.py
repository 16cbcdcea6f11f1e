"""What is gained by bringing a model up to date each day: ``make days``.

A model is fitted on six days of KuaiRand, and then brought up to date after each of the next days in one of several
ways. It is judged on the day that follows: AUC and log loss of clicks and of conversions.
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


def leave_alone(model, new, known):
    return model


def count(model, new, known):
    return model.update_statistics(*new)


def go_on(model, new, known):
    return model.partial_fit(*new)


def go_on_from_a_file(model, new, known):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        model.save(path)
        return FSMDClassifier.load(path).partial_fit(*new)


def one_epoch_of_all(model, new, known):
    return model.set_params(warm_start=True, max_epochs=1).fit(*known)


def anew(model, new, known):
    return FSMDClassifier(random_state=model.random_state).fit(*known)


WAYS = {
    "left alone": leave_alone,
    "`update_statistics`": count,
    "the same, and new ids get rows": count,
    "`partial_fit`": go_on,
    "the same, saved and loaded each day": go_on_from_a_file,
    "an epoch of `warm_start` over all days": one_epoch_of_all,
    "a fit of all days": anew,
}


PARAMS = {"the same, and new ids get rows": {"new_categories": "grow"}}


@cache
def rows(start, end):
    return fetch_kuairand_pure(start=start, end=end, return_X_y=True)


@cache
def fitted(seed, **params):
    return FSMDClassifier(random_state=seed, **params).fit(*rows(*FIRST))


def measured(name, seed):
    """A row for each day but the first: how well it is foretold by what was known before it."""
    way, model = WAYS[name], copy.deepcopy(fitted(seed, **PARAMS.get(name, {})))
    for day, next_day in pairwise(DAYS):
        new, known, (X, Y) = rows(day, day), rows(FIRST[0], day), rows(next_day, next_day)
        start = time.perf_counter()
        model = way(model, new, known)
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
                store.add(list(measured(name, seed)))
                print(seed, name, flush=True)
    means = pd.DataFrame(store.rows).groupby("way", sort=False).mean(numeric_only=True)
    print(means.drop(columns="seed").round(4).to_string())


if __name__ == "__main__":
    main()
