"""Boosted trees: a model per target, and one of the second step trained on the rows where the first has happened."""

import numpy as np
from sklearn.compose import make_column_selector
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import ParameterSampler

N_TRIALS = 20
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
    model.fit(X, y, eval_set=[(X_val, y_val)], callbacks=[early_stopping(30, verbose=False)])
    return lambda X: model.predict_proba(X)[:, 1]


def catboost(X, y, X_val, y_val, seed, **params):
    from catboost import CatBoostClassifier

    model = CatBoostClassifier(
        random_seed=seed, cat_features=categories_of(X), thread_count=2, allow_writing_files=False, verbose=0, **params
    )
    model.fit(X, y, eval_set=(X_val, y_val), early_stopping_rounds=50)
    return lambda X: model.predict_proba(X)[:, 1]


def categories_of(X):
    return make_column_selector(dtype_exclude="number")(X)


def with_categories_of_fit(data):
    """LightGBM takes a column's categories by their position: all parts get those of fit."""
    dtypes = data.train.X.dtypes
    return lambda X: X.astype(dtypes)


def as_text(data):
    """CatBoost takes categories as text."""
    names = categories_of(data.train.X)
    return lambda X: X.assign(**{name: X[name].astype(object).fillna("missing").astype(str) for name in names})


def contender(fit_one, prepare, space=None):
    """A model per target, and one of the step; with `space` each is the best of some random settings on validation."""

    def fit(data, seed):
        ready = prepare(data)
        (X, Y), (X_val, Y_val) = ((ready(part.X), part.Y.to_numpy()) for part in (data.train, data.valid))
        everyone = np.ones(len(Y), dtype=bool), np.ones(len(Y_val), dtype=bool)
        jobs = [(k, *everyone) for k in range(2)] + ([(1, Y[:, 0] == 1, Y_val[:, 0] == 1)] if data.is_funnel else [])
        models = [
            best(fit_one, X[rows], Y[rows, k], X_val[rows_val], Y_val[rows_val, k], seed, space)
            for k, rows, rows_val in jobs
        ]

        def predict(X):
            columns = [model(ready(X)) for model in models]
            return np.stack(columns[:2], axis=1), columns[2] if data.is_funnel else None

        return predict

    return fit


def best(fit_one, X, y, X_val, y_val, seed, space):
    if space is None:
        return fit_one(X, y, X_val, y_val, seed)
    settings = ParameterSampler(space, N_TRIALS, random_state=seed)
    models = [fit_one(X, y, X_val, y_val, seed, **params) for params in settings]
    return max(models, key=lambda model: roc_auc_score(y_val, model(X_val)))


CONTENDERS = {
    "LightGBM": contender(lightgbm, with_categories_of_fit),
    "CatBoost": contender(catboost, as_text),
    "LightGBM, tuned": contender(lightgbm, with_categories_of_fit, LIGHTGBM_SPACE),
    "CatBoost, tuned": contender(catboost, as_text, CATBOOST_SPACE),
}
