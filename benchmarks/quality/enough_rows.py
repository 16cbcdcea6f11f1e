"""From how many rows on the network is ahead of a logistic regression per target: ``make enough-rows``.

Both with their defaults, on rows that had no part in the fit, see ``by_rows.py``. The regression has the categories
that occur twice as columns of 0 and 1, numbers standardised, and a model of its own for the step after a click, which
is trained on the clicked rows.
"""

import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from benchmarks.quality import by_rows

SIZES = (300, 1000, 3000, 10_000, 30_000)


def of_network(train, new, is_funnel, seed):
    return by_rows.read(by_rows.model_of(is_funnel, seed).fit(*train), new, is_funnel)


def of_regression(train, new, is_funnel, seed):
    (X, Y), (X_new, _) = train, new
    marginals = pd.DataFrame({name: regression().fit(X, Y[name]).predict_proba(X_new)[:, 1] for name in Y})
    after = None
    if is_funnel:
        clicked = Y.iloc[:, 0] == 1
        after = regression().fit(X[clicked], Y.iloc[:, 1][clicked]).predict_proba(X_new)[:, 1]
    return by_rows.measured(new, marginals.to_numpy(), after)


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


def rows_of(parts, is_funnel, seed):
    train, _, new = parts
    for name, of in CONTENDERS.items():
        yield {"model": name, **of(train, new, is_funnel, seed)}


if __name__ == "__main__":
    by_rows.run("enough_rows", __doc__, rows_of, sizes=SIZES, seeds=3, by="model")
