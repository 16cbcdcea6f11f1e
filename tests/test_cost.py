"""What a step of training and a prediction cost, counted and not timed."""

import numpy as np
import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from sklearn_fsmd import FSMDClassifier, PLEClassifier
from sklearn_fsmd.encoding import validation
from sklearn_fsmd.encoding.table_encoder import FeatureEncoder
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


def operators(function, *arguments):
    """How many operators of torch `function` calls, those within others included."""
    with profile(activities=[ProfilerActivity.CPU]) as record:
        function(*arguments)
    return sum(event.count for event in record.key_averages() if event.key.startswith("aten::"))


def operators_a_step(**params):
    X, Y = rows(10 * BATCH)
    few, many = (operators(model(**params).fit, X[: n * BATCH], Y[: n * BATCH]) for n in (4, 10))
    return (many - few) / 6


MORE = {"n_task_experts": 6, "n_shared_experts": 6}
"""A dozen experts more, at two levels."""


@pytest.mark.usefixtures("multiplied_by")
def test_operators_of_a_training_step_the_fused_way(monkeypatch):
    """Each expert more may have products of its own, and views of what they read."""
    monkeypatch.setenv(VARIABLE, "fused")
    few = operators_a_step()
    assert few <= 1840
    assert operators_a_step(**MORE) <= few + 12 * 2 * 72


def test_operators_of_a_training_step(monkeypatch):
    """More experts cost no more operators."""
    monkeypatch.setenv(VARIABLE, "torch")
    few = operators_a_step()
    assert few <= 1540
    assert operators_a_step(**MORE) == few


def test_operators_of_a_prediction():
    X, Y = rows(200)
    fitted = model().fit(X, Y)
    fitted.predict_proba(X[:1])  # from then on the layers keep what batch norm makes of their weights
    assert operators(fitted.predict_proba, X[:1]) < 222
    assert operators(fitted.predict_proba, X) < 265  # the gates turn their logits around, which pays


def test_a_frame_that_is_as_in_fit_is_not_checked_again(monkeypatch, frame):
    X, Y = frame
    fitted = FSMDClassifier(**SMALL).fit(X, Y)
    wanted = fitted.predict_marginals(X[:3])
    monkeypatch.setattr(validation, "validate_data", None)
    np.testing.assert_array_equal(fitted.predict_marginals(X[:3]), wanted)


def test_the_encoded_data_is_not_copied(monkeypatch):
    """Not by the split, not by the tensors and not by the batches: one table is all there is."""
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
    assert len(n_batches) == 6  # five of the only epoch, and one look at the last step


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
def test_importing_the_package_does_not_import(module):
    import subprocess
    import sys

    code = f"import sys, sklearn_fsmd; sys.exit({module!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
