"""Boosted trees: a model per target, and one for the second step, trained on rows with a positive first target."""

import os
from functools import partial

import numpy as np
from sklearn.base import clone
from sklearn.compose import make_column_selector

from benchmarks.quality.tuning import best_settings

THREADS = int(os.environ.get("OMP_NUM_THREADS", 2))
LIGHTGBM_SPACE = {
    "num_leaves": [15, 31, 63, 127],
    "learning_rate": [0.02, 0.05, 0.1],
    "min_child_samples": [20, 100, 500],
    "colsample_bytree": [0.5, 0.8, 1.0],
    "reg_lambda": [0.0, 1.0, 10.0],
    "cat_smooth": [10, 50, 200],
}
CATBOOST_SPACE = {
    "depth": [4, 6, 8],
    "learning_rate": [0.03, 0.06, 0.1],
    "l2_leaf_reg": [1, 3, 10, 30],
    "random_strength": [0.5, 1, 2],
    "max_ctr_complexity": [1, 2, 4],
}


def lightgbm(X, y, X_val, y_val, seed, **params):
    from lightgbm import LGBMClassifier, early_stopping

    model = LGBMClassifier(n_estimators=1000, random_state=seed, verbose=-1, **params)
    return model.fit(X, y, eval_set=[(X_val, y_val)], callbacks=[early_stopping(30, verbose=False)])


def lightgbm_again(model, X, y):
    """The same model on more rows, with the best number of trees."""
    return clone(model).set_params(n_estimators=model.best_iteration_).fit(X, y)


def catboost(X, y, X_val, y_val, seed, **params):
    from catboost import CatBoostClassifier

    model = CatBoostClassifier(
        random_seed=seed,
        cat_features=categories_of(X),
        thread_count=THREADS,
        allow_writing_files=False,
        verbose=0,
        **params,
    )
    return model.fit(X, y, eval_set=(X_val, y_val), early_stopping_rounds=50)


def catboost_again(model, X, y):
    """The same model on more rows, with the best number of trees and the learning rate that CatBoost had chosen."""
    fitted = {"iterations": model.tree_count_, "learning_rate": model.get_all_params()["learning_rate"]}
    return type(model)(**model.get_params() | fitted).fit(X, y)


def categories_of(X):
    """The names of the categorical columns."""
    return make_column_selector(dtype_exclude="number")(X)


def with_categories_of_fit(data):
    """Give all parts the categories of the training rows: LightGBM uses the positions of categories."""
    dtypes = data.train.X.dtypes
    return lambda X: X.astype(dtypes)


def as_text(data):
    """Convert categories to text, as CatBoost requires."""
    names = categories_of(data.train.X)
    return lambda X: X.assign(**{name: X[name].astype(object).fillna("missing").astype(str) for name in names})


def contender(fit_one, prepare):
    """A model per target, and one for the second step, with the library's defaults."""
    return models_of(lambda job, X, y, X_val, y_val, seed: fit_one(X, y, X_val, y_val, seed), prepare)


def tuned(name, fit_one, prepare, space):
    """The same models, each with the best settings of a random search on validation rows."""

    def fit(job, X, y, X_val, y_val, seed):
        fit_with = partial(fit_one, X, y, X_val, y_val, seed)
        return fit_with(**best_settings(fit_with, space, X_val, y_val, seed, contender=name, **job))

    return models_of(fit, prepare)


def models_of(fit_job, prepare):
    def fit(data, seed):
        ready = prepare(data)
        models = [
            fit_job({"data": data.name, "model": name}, *rows, seed) for name, rows in jobs_of(data, ready).items()
        ]
        return predictions_of(models, ready)

    return fit


def jobs_of(data, ready):
    """The data of each model: X, y, X_val, y_val."""
    (X, Y), (X_val, Y_val) = ((ready(part.X), part.Y.to_numpy()) for part in (data.train, data.valid))
    jobs = {name: (X, Y[:, k], X_val, Y_val[:, k]) for k, name in enumerate(["first", "second"])}
    if data.is_funnel:
        after, after_val = Y[:, 0] == 1, Y_val[:, 0] == 1
        jobs["after the first"] = X[after], Y[after, 1], X_val[after_val], Y_val[after_val, 1]
    return jobs


def predictions_of(models, ready):
    def predict(X):
        columns = [model.predict_proba(ready(X))[:, 1] for model in models]
        return np.stack(columns[:2], axis=1), columns[2] if len(columns) > 2 else None

    return predict


CONTENDERS = {
    "LightGBM": contender(lightgbm, with_categories_of_fit),
    "CatBoost": contender(catboost, as_text),
    "LightGBM, tuned": tuned("LightGBM, tuned", lightgbm, with_categories_of_fit, LIGHTGBM_SPACE),
    "CatBoost, tuned": tuned("CatBoost, tuned", catboost, as_text, CATBOOST_SPACE),
}
