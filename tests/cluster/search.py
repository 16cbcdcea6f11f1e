"""Searches whose scores must not depend on where they run."""

import joblib
import numpy as np
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import GridSearchCV, HalvingRandomSearchCV

from sklearn_fsmd import MultiTaskClassifier
from tests.conftest import SMALL, make_frame

GRID = {"link": ["chain", "independent"], "dropout": [0.0, 0.3]}


def searches():
    model = MultiTaskClassifier(**SMALL | {"max_epochs": 1, "n_threads": 1})
    halving = {"n_candidates": 3, "min_resources": 100, "factor": 3, "random_state": 0}
    return [
        GridSearchCV(model, GRID, cv=2, error_score="raise"),
        HalvingRandomSearchCV(model, GRID, cv=2, error_score="raise", **halving),
    ]


def assert_same_as_local(backend, options=lambda X, Y: {}):
    X, Y = make_frame(400)
    for local, distributed in zip(searches(), searches(), strict=True):
        local.fit(X, Y)
        with joblib.parallel_config(backend, **options(X, Y)):
            distributed.fit(X, Y)
        for name in local.cv_results_:
            if name.endswith("test_score"):
                np.testing.assert_array_equal(distributed.cv_results_[name], local.cv_results_[name])
        assert distributed.best_params_ == local.best_params_
        assert len(set(local.cv_results_["mean_test_score"])) > 1
        np.testing.assert_array_equal(distributed.predict(X), local.predict(X))
