"""On a GPU the same models come out, at the same calls, and nothing is left behind."""

import gc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import torch
from skorch.callbacks import Callback

import sklearn_fsmd
from sklearn_fsmd import FSMDClassifier, MultiTaskClassifier
from sklearn_fsmd.training import Net
from tests.conftest import SMALL, make_frame, supported

DEVICE = "cuda"
NAMED = [
    cls
    for cls in map(sklearn_fsmd.__dict__.get, sklearn_fsmd.__all__)
    if isinstance(cls, type) and issubclass(cls, MultiTaskClassifier)
]
OPTIONS = [
    {"task_weighting": "uncertainty"},
    {"task_weighting": "gradnorm"},
    {"task_weighting": "pcgrad"},
    {"embedding_optimizer": "sparse"},
    {"bias_features": ["visits"]},
    {"n_members": 2},
    {"pretrain_epochs": 1},
]


def fitted(cls=FSMDClassifier, resume=False, **params):
    X, Y = make_frame(1000)
    return cls(**supported(cls, SMALL) | {"device": DEVICE} | params).fit(X, Y, resume=resume), X


def assert_as_on_the_cpu(model, X, folder):
    model.save(folder / "m")
    there = type(model).load(folder / "m", device="cpu")
    np.testing.assert_allclose(model.predict_marginals(X), there.predict_marginals(X), atol=1e-5)


@pytest.mark.parametrize("cls", NAMED)
def test_every_estimator(cls, tmp_path):
    assert_as_on_the_cpu(*fitted(cls), tmp_path)


@pytest.mark.parametrize("params", OPTIONS, ids=str)
def test_every_option(params, tmp_path):
    assert_as_on_the_cpu(*fitted(**params), tmp_path)


def test_an_extractor_that_lies_on_the_gpu():
    class Own(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = torch.nn.Parameter(torch.ones(8))

        def forward(self, x):
            return [x[:, :8] * self.scale] * 2

    model, X = fitted(MultiTaskClassifier, extractor=Own().to(DEVICE))
    assert model.predict_marginals(X).shape == (len(X), 2)


def test_bfloat16_is_near():
    (near, X), (exact, _) = fitted(precision="bf16"), fitted()
    assert np.abs(near.predict_marginals(X) - exact.predict_marginals(X)).mean() < 0.05


def test_the_same_bits_again_and_in_threads():
    first, X = fitted()
    with ThreadPoolExecutor(2) as pool:
        for other, _ in pool.map(lambda _: fitted(), range(2)):
            np.testing.assert_array_equal(first.predict_marginals(X), other.predict_marginals(X))


def test_deterministic_algorithms_are_there_for_all():
    torch.use_deterministic_algorithms(True)
    try:
        fitted(bias_features=["visits"])
    finally:
        torch.use_deterministic_algorithms(False)


class OnlySteps(Callback):
    """Let torch raise where a step waits for the device; what comes before and after it may."""

    n = 0

    def on_batch_begin(self, net, **kwargs):
        torch.cuda.set_sync_debug_mode("error")

    def on_batch_end(self, net, **kwargs):
        torch.cuda.set_sync_debug_mode("default")
        self.n += 1


def test_a_step_waits_for_nothing():
    steps = OnlySteps()
    try:
        fitted(callbacks=[steps])
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert steps.n > 10


@pytest.mark.parametrize("n", [65_535, 65_536, 65_537])
def test_rows_about_a_chunk(n, tmp_path):
    model, X = fitted()
    assert_as_on_the_cpu(model, pd.concat([X] * 66, ignore_index=True)[:n], tmp_path)


def test_memory_stays_flat():
    fitted()
    gc.collect()
    before = torch.cuda.memory_allocated()
    for seed in range(20):
        fitted(random_state=seed, max_epochs=1)
    gc.collect()
    assert torch.cuda.memory_allocated() <= before + 2**20


def test_a_fit_that_was_stopped_goes_on_to_the_same_bits(tmp_path, monkeypatch):
    whole, X = fitted(checkpoint=tmp_path / "whole")
    run = Net.run_single_epoch

    def run_or_stop(net, *args, **kwargs):
        if len(net.history) == 2:
            raise KeyboardInterrupt
        return run(net, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(Net, "run_single_epoch", run_or_stop)
        with pytest.raises(KeyboardInterrupt):
            fitted(checkpoint=tmp_path / "stopped")
    again, _ = fitted(checkpoint=tmp_path / "stopped", resume=True)
    np.testing.assert_array_equal(whole.predict_marginals(X), again.predict_marginals(X))
