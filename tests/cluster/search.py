"""The searches whose scores must not depend on where they run."""

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


def assert_the_same_as_alone(backend, options=lambda X, Y: {}):
    X, Y = make_frame(400)
    for alone, shared in zip(searches(), searches(), strict=True):
        alone.fit(X, Y)
        with joblib.parallel_config(backend, **options(X, Y)):
            shared.fit(X, Y)
        for name in alone.cv_results_:
            if name.endswith("test_score"):
                np.testing.assert_array_equal(shared.cv_results_[name], alone.cv_results_[name])
        assert shared.best_params_ == alone.best_params_
        assert len(set(alone.cv_results_["mean_test_score"])) > 1
        np.testing.assert_array_equal(shared.predict(X), alone.predict(X))
