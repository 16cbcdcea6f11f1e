"""The default learning rate of a fit."""

from pathlib import Path

import pytest

from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.datasets import make_funnel
from sklearn_fsmd.training import making
from sklearn_fsmd.training.automatic import lr_of
from tests.conftest import SMALL

DATA = Path(__file__).parents[1] / "data"
QUICK = SMALL | {"max_epochs": 1, "batch_size": 4096}
VERY_FEW, FEW, MANY = 1e-2, 5e-3, 2e-3


@pytest.fixture(scope="module")
def funnel():
    return make_funnel(n_samples=20_000, random_state=0, return_X_y=True)


def quick(X, Y, **params):
    return FSMDClassifier(**QUICK, **params).fit(X, Y)


def lrs_of(model):
    return {group["lr"] for group in model.net_.optimizer_.param_groups} | {model.net_.lr}


def test_auto_depends_on_the_number_of_rows():
    assert [lr_of(n) for n in (1, 999)] == [VERY_FEW] * 2
    assert [lr_of(n) for n in (1000, 19_999)] == [FEW] * 2
    assert [lr_of(n) for n in (20_000, 10**9, None)] == [MANY] * 3


def test_all_rows_of_a_fit_are_counted(funnel, tmp_path):
    X, Y = funnel
    assert quick(X, Y).get_params()["lr"] == "auto"
    for n, lr in ((20_000, MANY), (19_999, FEW), (1000, FEW), (999, VERY_FEW)):
        assert lrs_of(quick(X[:n], Y[:n])) == {lr}
        X[:n].assign(**Y[:n]).to_parquet(tmp_path / "log.parquet")
        assert lrs_of(FSMDClassifier(**QUICK).fit_dataset(tmp_path / "log.parquet", list(Y))) == {lr}


def test_a_number_is_taken_as_it_is(funnel):
    X, Y = (part[:320] for part in funnel)
    assert lrs_of(quick(X, Y, lr=0.03)) == {0.03}


def test_the_first_chunk_is_no_measure(funnel):
    X, Y = (part[:320] for part in funnel)
    model = FSMDClassifier(**QUICK).partial_fit(X, Y)
    assert lrs_of(model) == {MANY}
    assert lrs_of(model.partial_fit(X, Y)) == {MANY}


def test_training_that_goes_on_keeps_it(funnel, tmp_path):
    X, Y = funnel
    model = quick(X[:320], Y[:320], warm_start=True)
    assert lrs_of(model.fit(X, Y)) == {VERY_FEW}
    assert lrs_of(model.partial_fit(X[:100], Y[:100])) == {VERY_FEW}
    assert lrs_of(model.set_params(lr=0.03).fit(X, Y)) == {0.03}
    assert lrs_of(model.set_params(lr="auto").fit(X, Y)) == {VERY_FEW}
    model.save(tmp_path / "model")
    loaded = FSMDClassifier.load(tmp_path / "model")
    assert loaded.get_params()["lr"] == "auto"
    assert lrs_of(loaded) == {VERY_FEW}
    assert lrs_of(loaded.partial_fit(X, Y)) == {VERY_FEW}


def test_a_file_that_does_not_say_it_is_of_many_rows():
    model = FSMDClassifier.load(DATA / "format-2.safetensors").set_params(lr="auto")
    assert making.resume_training(model, model.net_).lr == MANY
