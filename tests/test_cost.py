"""The cost of training steps and predictions, counted in operators instead of timed."""

import numpy as np
import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from sklearn_fsmd import FSMDClassifier, PLEClassifier
from sklearn_fsmd.encoding.table import encoder, validation
from sklearn_fsmd.encoding.table.encoder import FeatureEncoder
from sklearn_fsmd.execution.choice import VARIABLE
from sklearn_fsmd.training import BatchIterator, Net, TensorData
from tests.conftest import SMALL

BATCH = 64
NETWORK = {"expert_dims": (16, 8), "tower_dims": (8,), "n_levels": 2, "embedding_dim": 4, "dropout": 0.5}


def rows(n):
    random = np.random.default_rng(0)
    X = np.column_stack((random.integers(0, 9, (n, 6)), random.standard_normal((n, 3))))
    return X, np.cumprod(random.random((n, 2)) < 0.5, axis=1).astype(float)


def model(**params):
    fixed = {"batch_size": BATCH, "max_epochs": 1, "early_stopping": False, "random_state": 0}
    return PLEClassifier(**NETWORK, **fixed, categorical_features=range(6), **params)


def count_operators(function, *arguments):
    """The number of torch operators that `function` calls, including nested ones."""
    with profile(activities=[ProfilerActivity.CPU]) as record:
        function(*arguments)
    return sum(event.count for event in record.key_averages() if event.key.startswith("aten::"))


def count_operators_per_step(**params):
    X, Y = rows(10 * BATCH)
    few, many = (count_operators(model(**params).fit, X[: n * BATCH], Y[: n * BATCH]) for n in (4, 10))
    return (many - few) / 6


MORE_EXPERTS = {"n_task_experts": 6, "n_shared_experts": 6}
"""Twelve more experts at each of two levels."""


@pytest.mark.usefixtures("multiplied_by")
def test_a_fused_training_step_has_a_limited_number_of_operators(monkeypatch):
    """Each additional expert may have its own products and views of their inputs."""
    monkeypatch.setenv(VARIABLE, "fused")
    few = count_operators_per_step()
    assert few <= 1840
    assert count_operators_per_step(**MORE_EXPERTS) <= few + 12 * 2 * 72


def test_more_experts_cost_no_more_operators_in_a_training_step(monkeypatch):
    """The experts of a level are computed together."""
    monkeypatch.setenv(VARIABLE, "torch")
    few = count_operators_per_step()
    assert few <= 1540
    assert count_operators_per_step(**MORE_EXPERTS) == few


def test_a_prediction_has_a_limited_number_of_operators():
    X, Y = rows(200)
    fitted = model().fit(X, Y)
    fitted.predict_proba(X[:1])  # from now on, layers keep their weights with batch norm folded in
    assert count_operators(fitted.predict_proba, X[:1]) < 222
    assert count_operators(fitted.predict_proba, X) < 265  # the gates transpose their logits for a faster softmax


def test_a_frame_with_the_columns_of_fit_is_not_validated_again(monkeypatch, frame):
    X, Y = frame
    fitted = FSMDClassifier(**SMALL).fit(X, Y)
    wanted = fitted.predict_marginals(X[:3])
    monkeypatch.setattr(validation, "validate_data", None)
    np.testing.assert_array_equal(fitted.predict_marginals(X[:3]), wanted)


@pytest.mark.parametrize("n", [100, 2000])
def test_few_rows_are_encoded_without_a_thread(n, monkeypatch):
    X, Y = rows(2000)
    fitted, pools = model().fit(X, Y), []

    class Pool(encoder.ThreadPoolExecutor):
        def __init__(self, *args):
            pools.append(args)
            super().__init__(*args)

    monkeypatch.setattr(encoder, "ThreadPoolExecutor", Pool)
    fitted._encoder.encode(X[:n])
    assert bool(pools) is (n == 2000)


def test_the_encoded_data_is_not_copied(monkeypatch):
    """The split, the tensors and the batches share the memory of one table."""
    encoded, trained = [], []
    encode, run = FeatureEncoder.fit_encode, Net.run

    def watch_encode(self, X):
        encoded.append(encode(self, X))
        return encoded[-1]

    def watch_run(self, batches, valid, epochs):
        trained.append((batches, valid))
        return run(self, batches, valid, epochs)

    monkeypatch.setattr(FeatureEncoder, "fit_encode", watch_encode)
    monkeypatch.setattr(Net, "run", watch_run)
    X, Y = rows(1500)
    model().set_params(early_stopping=True, device="cpu").fit(X, Y)
    (table,), ((batches, valid),) = encoded, trained
    assert np.shares_memory(table.codes, batches.data.inputs[0].numpy())
    assert np.shares_memory(table.numbers, batches.data.inputs[1].numpy())
    assert len(batches.data) == 1350
    assert len(valid) == len(valid.inputs[0]) == 150


def test_rows_are_never_collated_one_by_one(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("rows went through a DataLoader")

    n_batches, batch = [], TensorData.batch
    monkeypatch.setattr(torch.utils.data.DataLoader, "__init__", refuse)
    monkeypatch.setattr(TensorData, "batch", lambda self, which: n_batches.append(len(which)) or batch(self, which))
    X, Y = rows(300)
    model().fit(X, Y).predict_proba(X)
    assert len(n_batches) == 6  # five in the only epoch, and one to evaluate the last step


def test_a_batch_is_one_slice_of_each_tensor():
    X, Y = rows(512)
    encoded = FeatureEncoder.from_params(model()).fit_encode(X)
    data = TensorData(encoded.tensors(), torch.from_numpy(Y.astype(np.float32)), None)
    batches = BatchIterator(
        data, BATCH, torch.Generator(), offsets=torch.zeros(9, dtype=torch.int32), n_categories=6, unknown_rate=0.0
    )
    with profile(activities=[ProfilerActivity.CPU]) as record:
        assert len(list(batches)) == 8
    counts = {event.key: event.count for event in record.key_averages()}
    assert counts["aten::index"] == 3 * 8


@pytest.mark.parametrize("module", ["matplotlib", "pooch"])
def test_importing_the_package_does_not_import_optional_modules(module):
    import subprocess
    import sys

    code = f"import sys, sklearn_fsmd; sys.exit({module!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
