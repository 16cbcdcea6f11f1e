"""On a GPU, the same calls give the same models as on the CPU, and no memory stays allocated."""

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
CLASSES = [
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


def assert_predicts_as_on_the_cpu(model, X, folder):
    model.save(folder / "m")
    on_cpu = type(model).load(folder / "m", device="cpu")
    np.testing.assert_allclose(model.predict_marginals(X), on_cpu.predict_marginals(X), atol=1e-5)


@pytest.mark.parametrize("cls", CLASSES)
def test_every_estimator_predicts_as_on_the_cpu(cls, tmp_path):
    assert_predicts_as_on_the_cpu(*fitted(cls), tmp_path)


@pytest.mark.parametrize("params", OPTIONS, ids=str)
def test_every_option_predicts_as_on_the_cpu(params, tmp_path):
    assert_predicts_as_on_the_cpu(*fitted(**params), tmp_path)


def test_an_extractor_may_already_be_on_the_gpu():
    class CustomExtractor(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = torch.nn.Parameter(torch.ones(8))

        def forward(self, x):
            return [x[:, :8] * self.scale] * 2

    model, X = fitted(MultiTaskClassifier, extractor=CustomExtractor().to(DEVICE))
    assert model.predict_marginals(X).shape == (len(X), 2)


def test_bfloat16_is_close_to_float32():
    (near, X), (exact, _) = fitted(precision="bf16"), fitted()
    assert np.abs(near.predict_marginals(X) - exact.predict_marginals(X)).mean() < 0.05


def test_fits_are_equal_bit_for_bit_also_in_threads():
    first, X = fitted()
    with ThreadPoolExecutor(2) as pool:
        for other, _ in pool.map(lambda _: fitted(), range(2)):
            np.testing.assert_array_equal(first.predict_marginals(X), other.predict_marginals(X))


def test_all_operations_have_deterministic_algorithms():
    torch.use_deterministic_algorithms(True)
    try:
        fitted(bias_features=["visits"])
    finally:
        torch.use_deterministic_algorithms(False)


class ForbidWaiting(Callback):
    """Make torch raise an error if a training step waits for the device; code before and after the step may wait."""

    n = 0

    def on_batch_begin(self, net, **kwargs):
        torch.cuda.set_sync_debug_mode("error")

    def on_batch_end(self, net, **kwargs):
        torch.cuda.set_sync_debug_mode("default")
        self.n += 1


def test_training_steps_do_not_wait_for_the_device():
    steps = ForbidWaiting()
    try:
        fitted(callbacks=[steps])
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert steps.n > 10


@pytest.mark.parametrize("n", [65_535, 65_536, 65_537])
def test_row_counts_around_the_chunk_size_predict_as_on_the_cpu(n, tmp_path):
    model, X = fitted()
    assert_predicts_as_on_the_cpu(model, pd.concat([X] * 66, ignore_index=True)[:n], tmp_path)


def test_repeated_fits_do_not_leak_memory():
    fitted()
    gc.collect()
    before = torch.cuda.memory_allocated()
    for seed in range(20):
        fitted(random_state=seed, max_epochs=1)
    gc.collect()
    assert torch.cuda.memory_allocated() <= before + 2**20


def test_a_resumed_fit_equals_an_uninterrupted_one_bit_for_bit(tmp_path, monkeypatch):
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
    resumed, _ = fitted(checkpoint=tmp_path / "stopped", resume=True)
    np.testing.assert_array_equal(whole.predict_marginals(X), resumed.predict_marginals(X))
