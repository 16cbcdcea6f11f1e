"""Scoring many rows in threads."""

import threading

import numpy as np
import pytest
import torch

from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.training import net
from tests.conftest import SMALL, make_frame


@pytest.fixture(scope="module")
def fitted():
    X, Y = make_frame(400)
    return FSMDClassifier(**SMALL).fit(X, Y), X


def test_threads_share_the_rows_and_change_nothing(fitted, monkeypatch):
    model, X = fitted
    expected = model.set_params(n_threads=1).predict_marginals(X)
    monkeypatch.setattr(net, "CPU_CHUNK", 30)
    seen, before = set(), torch.get_num_threads()
    forward = model.module_.forward

    def watched(*arguments):
        seen.add((threading.current_thread().name, torch.get_num_threads()))
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


def test_an_error_in_a_thread_comes_out(fitted, monkeypatch):
    model, X = fitted
    monkeypatch.setattr(net, "CPU_CHUNK", 30)
    before = torch.get_num_threads()

    def broken(*arguments):
        raise RuntimeError("out of order")

    monkeypatch.setattr(model.module_, "forward", broken)
    with pytest.raises(RuntimeError, match="out of order"):
        model.set_params(n_threads=2).predict_marginals(X)
    assert torch.get_num_threads() == before
