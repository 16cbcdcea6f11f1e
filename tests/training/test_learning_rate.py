"""The default learning rate of a fit."""

from pathlib import Path

import pytest

from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.datasets import make_funnel
from sklearn_fsmd.training import construction
from sklearn_fsmd.training.automatic import lr_of
from tests.conftest import SMALL

DATA = Path(__file__).parents[1] / "data"
QUICK = SMALL | {"max_epochs": 1, "batch_size": 4096}
LR_VERY_FEW, LR_FEW, LR_MANY = 1e-2, 5e-3, 2e-3


@pytest.fixture(scope="module")
def funnel():
    return make_funnel(n_samples=20_000, random_state=0, return_X_y=True)


def quick_fit(X, Y, **params):
    return FSMDClassifier(**QUICK, **params).fit(X, Y)


def lrs_of(model):
    return {group["lr"] for group in model.net_.optimizer_.param_groups} | {model.net_.lr}


def test_auto_depends_on_the_number_of_rows():
    assert [lr_of(n) for n in (1, 999)] == [LR_VERY_FEW] * 2
    assert [lr_of(n) for n in (1000, 19_999)] == [LR_FEW] * 2
    assert [lr_of(n) for n in (20_000, 10**9, None)] == [LR_MANY] * 3


def test_auto_counts_all_rows_of_fit_and_fit_dataset(funnel, tmp_path):
    X, Y = funnel
    assert quick_fit(X, Y).get_params()["lr"] == "auto"
    for n, lr in ((20_000, LR_MANY), (19_999, LR_FEW), (1000, LR_FEW), (999, LR_VERY_FEW)):
        assert lrs_of(quick_fit(X[:n], Y[:n])) == {lr}
        X[:n].assign(**Y[:n]).to_parquet(tmp_path / "log.parquet")
        assert lrs_of(FSMDClassifier(**QUICK).fit_dataset(tmp_path / "log.parquet", list(Y))) == {lr}


def test_a_given_learning_rate_is_used_unchanged(funnel):
    X, Y = (part[:320] for part in funnel)
    assert lrs_of(quick_fit(X, Y, lr=0.03)) == {0.03}


def test_partial_fit_on_a_new_model_uses_the_rate_for_many_rows(funnel):
    X, Y = (part[:320] for part in funnel)
    model = FSMDClassifier(**QUICK).partial_fit(X, Y)
    assert lrs_of(model) == {LR_MANY}
    assert lrs_of(model.partial_fit(X, Y)) == {LR_MANY}


def test_further_training_keeps_the_rate(funnel, tmp_path):
    X, Y = funnel
    model = quick_fit(X[:320], Y[:320], warm_start=True)
    assert lrs_of(model.fit(X, Y)) == {LR_VERY_FEW}
    assert lrs_of(model.partial_fit(X[:100], Y[:100])) == {LR_VERY_FEW}
    assert lrs_of(model.set_params(lr=0.03).fit(X, Y)) == {0.03}
    assert lrs_of(model.set_params(lr="auto").fit(X, Y)) == {LR_VERY_FEW}
    model.save(tmp_path / "model")
    loaded = FSMDClassifier.load(tmp_path / "model")
    assert loaded.get_params()["lr"] == "auto"
    assert lrs_of(loaded) == {LR_VERY_FEW}
    assert lrs_of(loaded.partial_fit(X, Y)) == {LR_VERY_FEW}


def test_files_without_a_stored_rate_use_the_rate_for_many_rows():
    model = FSMDClassifier.load(DATA / "format-2.safetensors").set_params(lr="auto")
    assert construction.resume_training(model, model.net_).lr == LR_MANY
