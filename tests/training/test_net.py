"""Scoring many rows in threads."""

import pickle
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import nn

from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.inference import predictor as inference
from sklearn_fsmd.parameters.machine import threads
from sklearn_fsmd.training import Batches, TensorData
from tests.conftest import SMALL, make_frame


@pytest.fixture(scope="module")
def fitted():
    X, Y = make_frame(400)
    return FSMDClassifier(**SMALL).fit(X, Y), X


def test_threads_split_the_rows_without_changing_predictions(fitted, monkeypatch):
    model, X = fitted
    expected = model.set_params(n_threads=1).predict_marginals(X)
    monkeypatch.setattr(inference, "CPU_CHUNK", 30)
    seen, before = set(), torch.get_num_threads()
    forward = model.module_.forward

    def watched(*arguments):
        seen.add((threading.current_thread().name, torch.get_num_threads()))
        time.sleep(0.005)  # time for another thread to take the next chunk, even on a busy machine
        return forward(*arguments)

    monkeypatch.setattr(model.module_, "forward", watched)
    one = model.predict_marginals(X)
    assert seen == {(threading.current_thread().name, 1)}
    seen.clear()
    several = model.set_params(n_threads=3).predict_marginals(X)
    assert len({name for name, _ in seen}) > 1
    assert {n for _, n in seen} == {1}
    assert torch.get_num_threads() == before
    np.testing.assert_allclose(one, expected, atol=1e-6)
    np.testing.assert_array_equal(several, one)


def test_an_error_in_a_thread_is_raised(fitted, monkeypatch):
    model, X = fitted
    monkeypatch.setattr(inference, "CPU_CHUNK", 30)
    before = torch.get_num_threads()

    def broken(*arguments):
        raise RuntimeError("out of order")

    monkeypatch.setattr(model.module_, "forward", broken)
    with pytest.raises(RuntimeError, match="out of order"):
        model.set_params(n_threads=2).predict_marginals(X)
    assert torch.get_num_threads() == before


def test_predicting_in_chunks_restores_the_number_of_threads():
    """Another thread sets its number of threads while rows are predicted in chunks, and ends after them."""
    chunk_started, other_started, chunks_done = (threading.Event() for _ in range(3))

    class Chunk(nn.Module):
        def forward(self, x):
            chunk_started.set()
            assert other_started.wait(timeout=60)
            return x

    def other():
        assert chunk_started.wait(timeout=60)
        with threads(3):
            other_started.set()
            assert chunks_done.wait(timeout=60)
        return torch.get_num_threads()

    torch.set_num_threads(2)
    try:
        with ThreadPoolExecutor(1) as pool:
            result = pool.submit(other)
            inference.in_chunks(Chunk(), torch.zeros(3 * inference.CPU_CHUNK))
            chunks_done.set()
            assert result.result() == 2
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(torch.get_num_threads).result() == 2
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


@pytest.mark.parametrize("in_files", [False, True])
def test_a_fitted_model_keeps_no_rows(in_files, tmp_path):
    X, Y = make_frame(1200)
    model = FSMDClassifier(**SMALL | {"early_stopping": True}, checkpoint=tmp_path / "fit.checkpoint")
    if in_files:
        X.join(Y).to_parquet(tmp_path / "a.parquet")
        model.fit_dataset(tmp_path / "a.parquet", list(Y))
    else:
        model.fit(X, Y)
    kept = [one for _, callback in model.net_.callbacks_ for one in vars(callback).values()]
    assert len(kept) > 20
    assert not [one for one in kept if isinstance(one, (TensorData, Batches))]


def test_a_first_validation_check_that_diverges_is_reported():
    X, Y = make_frame(1200)
    params = SMALL | {"early_stopping": True, "numeric_scaling": None, "max_epochs": 1}
    model = FSMDClassifier(**params, warm_start=True).fit(X, Y, X_val=X[:200], Y_val=Y[:200])
    model = pickle.loads(pickle.dumps(model))
    with pytest.raises(FloatingPointError, match="The loss became"):
        model.fit(X, Y, X_val=X[:200].assign(price=np.float32(3e38)), Y_val=Y[:200])
