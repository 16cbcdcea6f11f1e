"""What the latest rows are worth beyond saying when to stop: ``make all-rows``.

Rows of validation are the latest ones. In `make quality` they say when to stop and no more. Here they are used
afterwards too. This library is given all rows and sets the last ones aside by itself, ``validation="last"``: its
network is not trained on them, but the statistics of the targets know them in the end. Boosted trees are trained again
on all rows, with as many trees as were best. Beside it stands what the same contender says by the rows of training.
"""

import argparse
import time
import warnings
from pathlib import Path

import pandas as pd

from benchmarks.paper.store import Store
from benchmarks.quality import boosted, data, measures, ours
from benchmarks.quality.versions import of_today, version_of
from sklearn_fsmd import FSClassifier, FSMDClassifier

HERE = Path(__file__).parent


def of_this_library(**params):
    def fit(table, seed):
        yield "training", ours.contender(**params)(table, seed)
        whole = with_all_rows(table).train
        aside = {"validation": "last", "validation_fraction": len(table.valid.X) / len(whole.X)}
        cls = FSMDClassifier if table.is_funnel else FSClassifier
        yield "all", ours.predictions_of(cls(random_state=seed, **aside, **params).fit(*whole), table)

    return fit


def of_trees(fit_one, fit_again, prepare):
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
    """The data set with the rows of validation behind those of training."""
    X, Y = (pd.concat(parts, ignore_index=True) for parts in zip(table.train, table.valid, strict=True))
    categories = {name: "category" for name, dtype in table.train.X.dtypes.items() if dtype == "category"}
    return table._replace(train=data.Part(X.astype(categories), Y))


CONTENDERS = {
    "sklearn-fsmd": of_this_library(),
    "sklearn-fsmd, 4 members": of_this_library(n_members=4),
    "LightGBM": of_trees(boosted.lightgbm, boosted.lightgbm_again, boosted.with_categories_of_fit),
    "CatBoost": of_trees(boosted.catboost, boosted.catboost_again, boosted.as_text),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", choices=["kuairand", "census"], nargs="*", default=["kuairand"])
    parser.add_argument("--only", nargs="*", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    store = Store("all_rows", HERE, stays=of_today)
    for seed in range(options.seeds):
        for name in options.data:
            for contender in options.only:
                key = {"data": name, "contender": contender, "seed": seed}
                if store.has(key):
                    continue
                table, rows, start = data.load(name), [], time.perf_counter()
                X, Y = table.tests["test"]
                for known, predict in CONTENDERS[contender](table, seed):
                    figures = {"seconds": time.perf_counter() - start, **measures.of_predictions(Y, *predict(X))}
                    rows.append({**key, "version": version_of(contender), "rows": known, **figures})
                    start = time.perf_counter()
                store.add(rows)
                print(pd.DataFrame(rows).round(4).to_string(index=False), flush=True)
    means = pd.DataFrame(store.rows).groupby(["data", "contender", "rows"], sort=False).mean(numeric_only=True)
    print(means.drop(columns="seed").dropna(axis=1, how="all").round(4).to_string())


if __name__ == "__main__":
    main()
