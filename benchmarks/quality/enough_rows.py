"""How many rows are enough to be better than a logistic regression per target: ``make enough-rows``.

Contenders are the defaults, which average the network with such regressions on few rows, the network alone, and a
pipeline with the regression of scikit-learn. All have their defaults and are tested on rows that had no part in the
fit, see ``by_rows.py``. Only the regression has a smaller `tol`: with that of scikit-learn it ends too early where
events are rare. The pipeline gets one-hot columns for categories that occur twice, and standardised numbers. A
separate regression for the step after a click is trained on the clicked rows.
"""

import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from benchmarks.quality import by_rows

SIZES = (300, 1000, 3000, 10_000, 30_000, 90_000)


def network(**params):
    def evaluate(train, new, is_funnel, seed):
        return by_rows.evaluate(by_rows.model_of(is_funnel, seed, **params).fit(*train), new, is_funnel)

    return evaluate


def evaluate_regression(train, new, is_funnel, seed):
    (X, Y), (X_new, _) = train, new
    marginals = pd.DataFrame({name: regression().fit(X, Y[name]).predict_proba(X_new)[:, 1] for name in Y})
    after = None
    if is_funnel:
        clicked = Y.iloc[:, 0] == 1
        after = regression().fit(X[clicked], Y.iloc[:, 1][clicked]).predict_proba(X_new)[:, 1]
    return by_rows.evaluate_predictions(new, marginals.to_numpy(), after)


def regression():
    numbers = make_pipeline(SimpleImputer(keep_empty_features=True), StandardScaler())
    columns = make_column_transformer(
        (numbers, make_column_selector(dtype_include="number")),
        (
            OneHotEncoder(min_frequency=2, handle_unknown="infrequent_if_exist"),
            make_column_selector(dtype_exclude="number"),
        ),
    )
    return make_pipeline(columns, LogisticRegression(max_iter=1000, tol=1e-6))


CONTENDERS = {
    "defaults": network(logistic_regression="auto"),
    "network alone": network(logistic_regression=False),
    "logistic regression": evaluate_regression,
}


def rows_of(parts, is_funnel, seed):
    train, _, new = parts
    for name, evaluate in CONTENDERS.items():
        yield {"model": name, **evaluate(train, new, is_funnel, seed)}


if __name__ == "__main__":
    by_rows.run("enough_rows", __doc__, rows_of, sizes=SIZES, seeds=3, by="model")
