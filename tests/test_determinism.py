"""The same seed gives the same bits: in repeated fits, in other processes, and while other threads work."""

import copy
import os
import random
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from joblib import parallel_config
from joblib.externals.loky import get_reusable_executor
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_predict
from skorch.callbacks import Callback

from sklearn_fsmd import BaseMTL, FSMDClassifier, MMoEClassifier, SingleTaskClassifier
from sklearn_fsmd.datasets import make_funnel
from sklearn_fsmd.encoding.table.single_rows import FEW_ROWS
from sklearn_fsmd.inference.predictor import CPU_CHUNK
from tests.conftest import SMALL, make_frame

DROPOUT = {"dropout": 0.5}
WAYS = {
    "plain": {"dropout": 0.0},
    "dropout": DROPOUT,
    **{rule: {**DROPOUT, "task_weighting": rule} for rule in ("uncertainty", "pcgrad", "gradnorm")},
    "pretraining": {**DROPOUT, "pretrain_epochs": 1},
    "bias features": {**DROPOUT, "bias_features": ["visits"]},
    "early stopping": {**DROPOUT, "early_stopping": True},
    "sparse tables": {**DROPOUT, "embedding_optimizer": "sparse"},
    "members": {**DROPOUT, "n_members": 3, "early_stopping": True},
}
"""Training options that draw random numbers or make decisions."""

N_ROWS = 150  # three batches

many_ways = pytest.mark.parametrize("way", WAYS)


def small(way="dropout", **changes):
    return FSMDClassifier(**{**SMALL, "max_epochs": 1, **WAYS[way], **changes})


@pytest.fixture(scope="module")
def frame():
    return make_frame(N_ROWS)


def weights(model):
    return {name: tensor.clone() for name, tensor in model.module_.state_dict().items()}


def assert_same_bits(one, other):
    assert one.keys() == other.keys()
    assert [name for name in one if not torch.equal(one[name], other[name])] == []


def in_threads(n, function, arguments):
    """Apply `function` to each argument in `n` threads that start at the same time."""
    together = threading.Barrier(n)

    def work(i, argument):
        if i < n:
            together.wait(timeout=60)
        return function(argument)

    with ThreadPoolExecutor(n) as pool:
        return list(pool.map(work, range(len(arguments)), arguments))


# ------------------------------------------------------------------------------------------------------- repeated fits


@many_ways
def test_the_same_seed_gives_the_same_weights_on_one_thread_and_on_two(frame, way):
    first, again, on_two = (weights(small(way, n_threads=n).fit(*frame)) for n in (1, 1, 2))
    assert_same_bits(first, again)
    assert_same_bits(first, on_two)


@pytest.mark.usefixtures("multiplied_by")
@pytest.mark.parametrize("batch_size", [256, 1024])
@pytest.mark.parametrize("n_tasks", [1, 2, 3])
@pytest.mark.parametrize(
    ("cls", "params"),
    [
        (FSMDClassifier, {}),
        (FSMDClassifier, {"n_levels": 2}),
        (BaseMTL, {}),
        (MMoEClassifier, {"n_experts": 3}),
        (SingleTaskClassifier, {}),
    ],
)
def test_large_batches_give_the_same_weights_on_one_thread_and_on_two(cls, params, n_tasks, batch_size):
    """Two threads cannot split an odd number of tasks, experts or rows into equal halves; the last batch is odd."""
    X, Y = make_funnel(n_samples=1999, random_state=0, return_X_y=True)
    Y = Y.assign(again=Y["conversion"]).iloc[:, :n_tasks]
    first, on_two = (
        weights(cls(random_state=0, batch_size=batch_size, max_epochs=1, n_threads=n_threads, **params).fit(X, Y))
        for n_threads in (1, 2)
    )
    assert_same_bits(first, on_two)


def generator_states():
    return torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate()


def seed_all(seed):
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)


@many_ways
def test_global_generators_are_neither_used_nor_changed(frame, way):
    X, Y = frame
    found = []
    for seed in (1, 2):
        seed_all(seed)
        before = generator_states()
        model = small(way).fit(X, Y)
        model.partial_fit(X, Y)
        for rows in (X, X[:1]):
            model.predict(rows)
        assert generator_states() == before
        found.append(weights(model))
    assert_same_bits(*found)


# ------------------------------------------------------------------------------------------------- processes, threads


@pytest.fixture(scope="module", params=["loky", "threading"])
def two_jobs(request):
    with parallel_config(request.param, n_jobs=2):
        yield
    if request.param == "loky":
        get_reusable_executor().shutdown()


def folds(n):
    even = np.arange(n) % 2 == 0
    return [(np.flatnonzero(even), np.flatnonzero(~even)), (np.flatnonzero(~even), np.flatnonzero(even))]


def search(X, Y):
    grid = {"random_state": [0, 1]}
    network = small(logistic_regression=False)  # regressions are equal for all seeds
    return GridSearchCV(network, grid, cv=folds(len(X))).fit(X, Y)


def cross_predict(X, Y):
    return np.stack(cross_val_predict(small(), X, Y, cv=folds(len(X)), method="predict_proba"))


@pytest.fixture(scope="module")
def one_job(frame):
    return search(*frame), cross_predict(*frame)


def test_two_jobs_give_the_results_of_one_job(frame, one_job, two_jobs):
    (one, p), (two, q) = one_job, (search(*frame), cross_predict(*frame))
    for name in ("split0_test_score", "split1_test_score"):
        assert len(set(one.cv_results_[name])) > 1
        np.testing.assert_array_equal(one.cv_results_[name], two.cv_results_[name])
    assert one.best_params_ == two.best_params_
    assert_same_bits(weights(one.best_estimator_), weights(two.best_estimator_))
    np.testing.assert_array_equal(p, q)


@many_ways
def test_eight_concurrent_fits_equal_serial_fits(frame, way):
    models = [small(way, random_state=seed) for seed in range(8)]
    serial = [weights(clone(model).fit(*frame)) for model in models]
    together = in_threads(8, lambda model: weights(model.fit(*frame)), models)
    for one, other in zip(serial, together, strict=True):
        assert_same_bits(one, other)


@pytest.fixture(scope="module")
def fitted(frame):
    return small().fit(*frame)


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("n_rows", [1, FEW_ROWS, 4 * CPU_CHUNK - 1])
def test_32_concurrent_predictions_equal_serial_predictions(fitted, n_rows, n_threads):
    X, _ = make_frame(n_rows + 31)
    parts = [X[i : i + n_rows] for i in range(32)]
    model = copy.deepcopy(fitted).set_params(n_threads=n_threads)
    serial = [fitted.predict_marginals(part) for part in parts]
    for one, other in zip(serial, in_threads(32, model.predict_marginals, parts), strict=True):
        np.testing.assert_array_equal(one, other)


def test_predictions_are_the_same_while_another_model_is_fitted(frame, fitted):
    X, Y = frame
    rows = [X[:1], X, make_frame(4 * CPU_CHUNK)[0]]
    expected = [fitted.predict_marginals(part) for part in rows]
    other = small(random_state=1)
    alone = weights(clone(other).fit(X, Y))
    with ThreadPoolExecutor(1) as pool:
        fit = pool.submit(lambda: weights(other.fit(X, Y)))
        n_rounds = 0
        while not fit.done() or n_rounds == 0:
            n_rounds += 1
            for part, p in zip(rows, expected, strict=True):
                np.testing.assert_array_equal(fitted.predict_marginals(part), p)
    assert_same_bits(fit.result(), alone)


# ------------------------------------------------------------------------------------------------- torch's own threads


class Synchronise(Callback):
    """Signal that training has begun, wait for permission to continue, and record the thread count of torch."""

    def __init__(self, begun, go_on):
        self.begun, self.go_on = begun, go_on

    def on_train_begin(self, net, **kwargs):
        self.begun.set()
        assert self.go_on.wait(timeout=60)
        self.n_threads = torch.get_num_threads()


def test_concurrent_fits_with_different_n_threads_restore_the_thread_count(frame):
    """The second fit begins during the first one and is still running when the first one ends."""
    first_begun, second_begun, first_done = (threading.Event() for _ in range(3))
    first, second = Synchronise(first_begun, second_begun), Synchronise(second_begun, first_done)
    before = torch.get_num_threads()
    with ThreadPoolExecutor(1) as one_thread, ThreadPoolExecutor(1) as other_thread:
        one = one_thread.submit(small(n_threads=before + 1, callbacks=[first]).fit, *frame)
        assert first_begun.wait(timeout=60)
        other = other_thread.submit(small(n_threads=before + 2, callbacks=[second]).fit, *frame)
        one.result()
        first_done.set()
        other.result()
        assert (first.n_threads, second.n_threads) == (before + 1, before + 2)
        assert [pool.submit(torch.get_num_threads).result() for pool in (one_thread, other_thread)] == [before] * 2
    assert torch.get_num_threads() == before
    assert in_threads(1, lambda _: torch.get_num_threads(), [None]) == [before]  # later threads begin with this number


def test_a_prediction_within_a_fit_restores_the_thread_count_of_the_fit(frame, fitted):
    before = torch.get_num_threads()
    seen = []
    within = copy.deepcopy(fitted).set_params(n_threads=before + 2)

    class Predict(Callback):
        def on_batch_end(self, net, **kwargs):
            within.predict(frame[0])
            seen.append(torch.get_num_threads())

    small(n_threads=before + 1, callbacks=[Predict()]).fit(*frame)
    assert set(seen) == {before + 1}
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("way", ["plain", "uncertainty", "gradnorm", "pretraining", "bias features"])
def test_networks_are_float32_whatever_the_default_dtype_of_torch(way):
    X, Y = make_frame(N_ROWS)
    wanted = small(way).fit(X, Y).predict_marginals(X)
    torch.set_default_dtype(torch.float64)
    try:
        model = small(way).fit(X, Y)
        for one in (model, copy.deepcopy(model)):
            np.testing.assert_array_equal(one.predict_marginals(X), wanted)
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


def test_fit_works_within_torch_no_grad():
    X, Y = make_frame(N_ROWS)
    wanted = small().fit(X, Y).predict_marginals(X)
    with torch.no_grad():
        np.testing.assert_array_equal(small().fit(X, Y).predict_marginals(X), wanted)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no processes are forked here")
def test_a_forked_process_does_not_wait_for_threads_of_its_parent():
    """At the fork, one thread builds a network and another one computes; the child has neither of them."""
    script = """
        import os
        from sklearn_fsmd.parameters.machine import seeding, thread_count
        seeding._building.acquire()
        thread_count._inside[-1] = 7
        child = os.fork()
        if not child:
            free = seeding._building.acquire(timeout=5)
            os._exit(0 if free and not thread_count._inside else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert thread_count._inside == {-1: 7}
    """
    subprocess.run([sys.executable, "-W", "ignore", "-c", textwrap.dedent(script)], check=True)
