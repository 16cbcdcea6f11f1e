"""Scikit-learn's own judgment of every public estimator."""

import inspect

import pytest
from sklearn.base import BaseEstimator
from sklearn.utils.estimator_checks import parametrize_with_checks

import sklearn_fsmd

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
}
"""Full batches to convergence, so that a weight of 2 and a row twice can be the same; weights do not enter the scale of
the columns, so that is left out."""


def test_the_list_is_complete():
    public = [getattr(sklearn_fsmd, name) for name in sklearn_fsmd.__all__]
    estimators = {cls for cls in public if inspect.isclass(cls) and issubclass(cls, BaseEstimator)}
    assert estimators == set(CLASSES)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@pytest.mark.filterwarnings("ignore:.*the step before it, is 0")  # random labels are no funnel
@parametrize_with_checks([cls(**CONVERGING) for cls in CLASSES])
def test_scikit_learn_checks(estimator, check):
    check(estimator)
