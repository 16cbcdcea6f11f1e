"""The default number of epochs of a fit."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.metrics import log_loss

from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.datasets import make_funnel
from sklearn_fsmd.training.automatic import epochs_of
from tests.cases import SMALL

DEFAULT = {name: value for name, value in SMALL.items() if name not in {"max_epochs", "batch_size"}}


@pytest.fixture(scope="module")
def funnel():
    return make_funnel(n_samples=20_500, random_state=0, return_X_y=True)


@pytest.mark.parametrize(
    ("n_steps", "n_epochs", "reason"),
    [(1, 30, "at most 30 epochs"), (4, 8, "30 steps"), (6, 5, "30 steps"), (1000, 3, "at least 3 epochs")],
)
def test_auto_is_30_epochs_with_validation_rows_and_30_steps_without(n_steps, n_epochs, reason):
    assert epochs_of("auto", n_steps, is_watched=False) == n_epochs, reason
    assert epochs_of("auto", n_steps, is_watched=True) == 30
    assert {epochs_of(7, n_steps, is_watched) for is_watched in (False, True)} == {7}


def test_few_rows_are_trained_on_for_30_steps(funnel):
    X, Y = (part[:160] for part in funnel)
    model = FSMDClassifier(**DEFAULT).fit(X, Y)
    assert model.get_params()["max_epochs"] == "auto"
    assert len(model.history_) == 6  # 5 steps per epoch
    assert len(model.set_params(max_epochs=14).fit(X, Y).history_) == 14


def test_ensemble_members_take_as_many_steps_as_a_single_model(funnel):
    X, Y = (part[:256] for part in funnel)
    model = FSMDClassifier(**DEFAULT, n_members=4).fit(X, Y)
    assert len(model.history_) == 8  # 4 steps per epoch; half of the members use each row of a batch


def test_auto_does_not_limit_epochs_if_there_are_validation_rows(funnel):
    X, Y = funnel
    options = DEFAULT | {"lr": 1e-9, "patience": 30, "early_stopping": True}
    assert len(FSMDClassifier(**options).fit(X[:320], Y[:320]).history_) == 30
    options = DEFAULT | {"early_stopping": False}
    model = FSMDClassifier(**options, batch_size=32).fit(X[:320], Y[:320], X_val=X[320:500], Y_val=Y[320:500])
    assert len(model.history_) == 30


def test_without_early_stopping_many_rows_get_three_epochs(funnel):
    X, Y = (part[:2000] for part in funnel)
    assert len(FSMDClassifier(**DEFAULT, early_stopping=False).fit(X, Y).history_) == 3


def test_fit_dataset_takes_as_many_epochs_as_fit(funnel, tmp_path):
    X, Y = (part[:160] for part in funnel)
    X.assign(**Y).to_parquet(tmp_path / "log.parquet")
    model = FSMDClassifier(**DEFAULT).fit_dataset(tmp_path / "log.parquet", list(Y))
    assert len(model.history_) == 6


def test_a_warm_start_trains_for_the_default_epochs_again(funnel):
    X, Y = (part[:160] for part in funnel)
    model = FSMDClassifier(**DEFAULT, warm_start=True).fit(X, Y).fit(X, Y)
    assert [epoch["epoch"] for epoch in model.history_] == list(range(1, 13))
    assert len(model.partial_fit(X, Y).history_) == 13


def test_the_default_does_not_overfit_few_rows(funnel):
    X, Y = funnel
    new = slice(500, None)
    alone = FSMDClassifier(logistic_regression=False, random_state=0)
    loss, loss_of_30 = (
        log_loss(Y["click"][new], model.fit(X[:500], Y[:500]).predict_marginals(X[new])[:, 0])
        for model in (alone, clone(alone).set_params(max_epochs=30))
    )
    loss_of_the_rate = log_loss(Y["click"][new], np.full(20_000, Y["click"][:500].mean()))
    assert loss < loss_of_the_rate + 0.03
    assert loss_of_30 > loss_of_the_rate + 0.2
