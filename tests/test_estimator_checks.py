"""The estimator checks of scikit-learn for every public estimator."""

import inspect

import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

import sklearn_fsmd
from sklearn_fsmd import DenoisingEmbedder, compose, history
from tests.conftest import supported

CLASSES = [
    sklearn_fsmd.MultiTaskClassifier,
    sklearn_fsmd.SingleTaskClassifier,
    sklearn_fsmd.WideDeepClassifier,
    sklearn_fsmd.DeepFMClassifier,
    sklearn_fsmd.SharedBottomClassifier,
    sklearn_fsmd.ESMMClassifier,
    sklearn_fsmd.MMoEClassifier,
    sklearn_fsmd.PLEClassifier,
    sklearn_fsmd.BaseMTL,
    sklearn_fsmd.FGClassifier,
    sklearn_fsmd.FSClassifier,
    sklearn_fsmd.FSMDClassifier,
]

CONVERGING = {
    "embedding_dim": 4,
    "expert_dims": (8,),
    "tower_dims": (),
    "gate_dims": (),
    "n_experts": 2,
    "n_task_experts": 1,
    "n_shared_experts": 1,
    "numeric_scaling": None,
    "numeric_bins": 1,
    "dropout": 0.0,
    "batch_norm": False,
    "unknown_rate": 0.0,
    "average_decay": 0.0,
    "weight_decay": 0.0,
    "lr": 0.05,
    "batch_size": 1024,
    "max_epochs": 60,
    "logistic_regression": False,  # its ridge penalty makes the number of rows count, not only their weights
}
"""Full batches, so that a weight of 2 can equal a repeated row. Scaling ignores weights, so it is left out."""


EXPECTED_FAILURE = {
    "check_sample_weight_equivalence_on_dense_data": "it requires seven digits after 60 steps in float32, whose sums "
    "depend on the order of the rows; test_a_weight_of_2_equals_a_repeated_row has a tolerance"
}


NOT_STRICT = {"xfail_strict": False} if "xfail_strict" in inspect.signature(parametrize_with_checks).parameters else {}
"""Whether the check fails depends on the machine. Scikit-learn 1.7 lacks the parameter `xfail_strict`."""


TESTED_ELSEWHERE = {compose.ForTask, compose.TimeFeatures}
WITHOUT_CHECKS = {history.HistoryFeatures}
"""The checks pass arrays; `HistoryFeatures` needs a DataFrame, and its tag says so."""


def test_every_public_estimator_is_tested():
    public = [getattr(module, name) for module in (sklearn_fsmd, compose, history) for name in module.__all__]
    estimators = {cls for cls in public if inspect.isclass(cls) and issubclass(cls, BaseEstimator)}
    assert estimators == {*CLASSES, DenoisingEmbedder, *TESTED_ELSEWHERE, *WITHOUT_CHECKS}
    assert not get_tags(history.HistoryFeatures()).input_tags.two_d_array


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@pytest.mark.filterwarnings("ignore:.*the step before it, is 0")  # random labels do not form a funnel
@pytest.mark.filterwarnings("ignore:.*has only one class")
@parametrize_with_checks(
    [*(cls(**supported(cls, CONVERGING)) for cls in CLASSES), DenoisingEmbedder(embedding_dim=2, n_epochs=1)],
    expected_failed_checks=lambda _: EXPECTED_FAILURE,
    **NOT_STRICT,
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("cls", CLASSES)
def test_a_weight_of_2_equals_a_repeated_row(cls, rng):
    X = rng.normal(size=(40, 3))
    Y = np.cumprod(X[:, :2] + rng.normal(size=(40, 2)) > 0, axis=1)
    weights = np.append(rng.randint(1, 4, size=38), [0, 0])  # a row of weight 0 equals a removed row
    repeated = np.repeat(np.arange(40), weights)
    model = cls(**{**supported(cls, CONVERGING), "lr": 0.01, "max_epochs": 30}, random_state=0)
    by_weight = clone(model).fit(X, Y, sample_weight=weights).predict_marginals(X)
    by_rows = clone(model).fit(X[repeated], Y[repeated]).predict_marginals(X)
    np.testing.assert_allclose(by_weight, by_rows, atol=2e-4)
    unweighted = clone(model).fit(X, Y).predict_marginals(X)
    assert np.abs(unweighted - by_rows).max() > 0.02
