"""Gain from using the latest rows for more than early stopping: ``make all-rows``.

The validation rows are the latest ones. In `make quality` they are used for early stopping only. Here they are also
used afterwards. This library gets all rows and sets the last ones aside by itself (``validation="last"``): its network
is not trained on them, but they are added to the target statistics at the end of training. Boosted trees are trained
again on all rows, with the best number of trees. Each contender is compared with itself on the training rows alone.
"""

import argparse
import time
import warnings
from pathlib import Path

import pandas as pd

from benchmarks.paper.store import Store
from benchmarks.quality import boosted, data, measures, ours
from benchmarks.quality.versions import is_current, version_of
from sklearn_fsmd import FSClassifier, FSMDClassifier

HERE = Path(__file__).parent


def this_library(**params):
    def fit(table, seed):
        yield "training", ours.contender(**params)(table, seed)
        whole = with_all_rows(table).train
        aside = {"validation": "last", "validation_fraction": len(table.valid.X) / len(whole.X)}
        cls = FSMDClassifier if table.is_funnel else FSClassifier
        yield "all", ours.predictions_of(cls(random_state=seed, **aside, **params).fit(*whole), table)

    return fit


def trees(fit_one, fit_again, prepare):
    def fit(table, seed):
        ready, whole = prepare(table), with_all_rows(table)
        models = [fit_one(*job, seed) for job in boosted.jobs_of(table, ready).values()]
        yield "training", boosted.predictions_of(models, ready)
        ready = prepare(whole)
        jobs = boosted.jobs_of(whole, ready).values()
        again = [fit_again(model, X, y) for model, (X, y, *_) in zip(models, jobs, strict=True)]
        yield "all", boosted.predictions_of(again, ready)

    return fit


def with_all_rows(table):
    """The data set with the validation rows appended to the training rows."""
    X, Y = (pd.concat(parts, ignore_index=True) for parts in zip(table.train, table.valid, strict=True))
    categories = {name: "category" for name, dtype in table.train.X.dtypes.items() if dtype == "category"}
    return table._replace(train=data.Part(X.astype(categories), Y))


CONTENDERS = {
    "sklearn-fsmd": this_library(),
    "sklearn-fsmd, 4 members": this_library(n_members=4),
    "LightGBM": trees(boosted.lightgbm, boosted.lightgbm_again, boosted.with_categories_of_fit),
    "CatBoost": trees(boosted.catboost, boosted.catboost_again, boosted.as_text),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", choices=["kuairand", "census"], nargs="*", default=["kuairand"])
    parser.add_argument("--only", nargs="*", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    store = Store("all_rows", HERE, is_kept=is_current)
    for seed in range(options.seeds):
        for name in options.data:
            for contender in options.only:
                key = {"data": name, "contender": contender, "seed": seed}
                if store.has(key):
                    continue
                table, rows, start = data.load(name), [], time.perf_counter()
                X, Y = table.tests["test"]
                for used_rows, predict in CONTENDERS[contender](table, seed):
                    figures = {"seconds": time.perf_counter() - start, **measures.of_predictions(Y, *predict(X))}
                    rows.append({**key, "version": version_of(contender), "rows": used_rows, **figures})
                    start = time.perf_counter()
                store.add(rows)
                print(pd.DataFrame(rows).round(4).to_string(index=False), flush=True)
    means = pd.DataFrame(store.rows).groupby(["data", "contender", "rows"], sort=False).mean(numeric_only=True)
    print(means.drop(columns="seed").dropna(axis=1, how="all").round(4).to_string())


if __name__ == "__main__":
    main()
