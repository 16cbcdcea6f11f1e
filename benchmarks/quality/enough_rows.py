"""From how many rows on the network is ahead of a logistic regression per target: ``make enough-rows``.

Both with their defaults, on rows that had no part in the fit, as in ``slopes.py``. The regression has the categories
that occur twice as columns of 0 and 1, numbers standardised, and a model of its own for the step after a click, which
is trained on the clicked rows.
"""

import argparse
import warnings
from pathlib import Path

import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from benchmarks.paper.store import Store
from benchmarks.quality import measures
from benchmarks.quality.patience import read
from benchmarks.quality.slopes import parts
from sklearn_fsmd import FSClassifier, FSMDClassifier

HERE = Path(__file__).parent
SIZES = (300, 1000, 3000, 10_000, 30_000)


def of_network(train, new, is_funnel, seed):
    model = (FSMDClassifier if is_funnel else FSClassifier)(random_state=seed)
    return read(model.fit(*train), new, is_funnel)


def of_regression(train, new, is_funnel, seed):
    (X, Y), (X_new, Y_new) = train, new
    marginals = pd.DataFrame({name: regression().fit(X, Y[name]).predict_proba(X_new)[:, 1] for name in Y})
    after = None
    if is_funnel:
        clicked = Y.iloc[:, 0] == 1
        after = regression().fit(X[clicked], Y.iloc[:, 1][clicked]).predict_proba(X_new)[:, 1]
    return measures.of_predictions(Y_new.set_axis(["first", "second"], axis=1), marginals.to_numpy(), after)


def regression():
    numbers = make_pipeline(SimpleImputer(keep_empty_features=True), StandardScaler())
    columns = make_column_transformer(
        (numbers, make_column_selector(dtype_include="number")),
        (
            OneHotEncoder(min_frequency=2, handle_unknown="infrequent_if_exist"),
            make_column_selector(dtype_exclude="number"),
        ),
    )
    return make_pipeline(columns, LogisticRegression(max_iter=1000))


CONTENDERS = {"defaults": of_network, "logistic regression": of_regression}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="*", default=["funnel", "kuairand", "census"])
    parser.add_argument("--sizes", nargs="*", type=int, default=SIZES)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    store = Store("enough_rows", HERE)
    for n in options.sizes:
        for name in options.data:
            for seed in range(options.seeds):
                key = {"data": name, "rows": n, "seed": seed}
                if store.has(key):
                    continue
                (train, _, new), is_funnel = parts(name, n, seed)
                rows = [{**key, "model": of, **run(train, new, is_funnel, seed)} for of, run in CONTENDERS.items()]
                store.add(rows)
                print(pd.DataFrame(rows).round(4).to_string(index=False), flush=True)
    means = pd.DataFrame(store.rows).groupby(["data", "rows", "model"], sort=False).mean(numeric_only=True)
    print(means.drop(columns="seed").round(4).to_string())


if __name__ == "__main__":
    main()
