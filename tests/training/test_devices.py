"""Checks of the code for GPUs without a GPU: training steps on torch's device "meta", whose tensors have no values.

An operation that needs a value in Python (``.item()``, or a mask of unknown size) raises on this device, and so does
an operation that mixes devices. On a GPU, waiting for a value would take longer than the step.
"""

import pickle

import numpy as np
import pytest
import torch

from sklearn_fsmd import (
    DeepFMClassifier,
    DenoisingEmbedder,
    ESMMClassifier,
    FSMDClassifier,
    MMoEClassifier,
    SingleTaskClassifier,
)
from sklearn_fsmd.export.onnx import to_onnx
from sklearn_fsmd.inspection import attributions, item_vectors
from sklearn_fsmd.network import set_execution
from sklearn_fsmd.network.dropout import Dropout
from sklearn_fsmd.parameters.machine import memory_of, resolve_device
from sklearn_fsmd.training.batches import BatchIterator, TensorData
from tests.conftest import SMALL, make_frame, supported

META = torch.device("meta")
RULES_THAT_WAIT = {"pcgrad", "gradnorm"}
"""Rules that need the norms of the gradients of a step."""


def steps_on_meta(model):
    """Train a fitted network for one more epoch on the device "meta"; returns the devices of the losses."""
    X, Y = make_frame()
    model.fit(X, Y)
    net = model.net_.copy()
    net.device, net.crew, net.fused_step_ = "meta", None, None
    net.module_.to(META)
    net.criterion_.to(META)
    net.initialize_optimizer()
    for group in net.optimizer_.param_groups:
        group["fused"] = False  # torch has fused optimizers for real devices only
    set_execution(net.module_)
    for part in net.module_.modules():
        if isinstance(part, Dropout):
            part.source = None  # torch has no generator for this device
    encoder, n = model._encoder, len(X)
    rows = encoder.encode(X)
    labels = torch.zeros((n, 2 + len(model.value_names_)), device=META)
    data = TensorData(rows.tensors("meta"), labels, torch.ones_like(labels), n_values=len(model.value_names_))
    bias = None if encoder.bias is None else torch.as_tensor(encoder.bias.offsets, device=META)
    batches = BatchIterator(
        data,
        64,
        torch.Generator(),
        offsets=torch.as_tensor(encoder.main.offsets, device=META),
        n_categories=len(encoder.main.categories),
        unknown_rate=0.3,
        bias_offsets=bias,
        bias_dropout=0.3,
    )
    net.module_.train()
    net.average_.swap_out()
    with net.balance.watching(net.module_):
        return [net.train_step(batch)["loss"].device for batch in batches]


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"n_members": 2},
        {"fm_sharing": "per_task", "gate_dims": (8,), "n_levels": 2},
        {"bias_features": ["visits"]},
        {"task_weighting": "uncertainty"},
    ],
    ids=str,
)
def test_a_training_step_does_not_wait_for_values(params):
    devices = steps_on_meta(FSMDClassifier(**supported(FSMDClassifier, SMALL) | params))
    assert len(devices) > 1
    assert set(devices) == {META}


@pytest.mark.parametrize("cls", [SingleTaskClassifier, DeepFMClassifier, ESMMClassifier, MMoEClassifier])
def test_a_training_step_of_other_models_does_not_wait_for_values(cls):
    assert set(steps_on_meta(cls(**supported(cls, SMALL)))) == {META}


@pytest.mark.parametrize("rule", sorted(RULES_THAT_WAIT))
def test_balancing_rules_that_use_gradient_norms_wait_for_values(rule):
    with pytest.raises(NotImplementedError, match="meta"):
        steps_on_meta(FSMDClassifier(**supported(FSMDClassifier, SMALL), task_weighting=rule))


def test_cuda_resolves_to_the_number_of_the_current_gpu(monkeypatch):
    monkeypatch.setattr(torch, "zeros", lambda *shape, device: np.zeros(1))
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    assert resolve_device("cuda") == "cuda:1"
    assert resolve_device("cuda:0") == "cuda:0"
    assert resolve_device("cpu") == resolve_device("cpu:0") == "cpu"


def test_the_memory_of_a_gpu_counts_unused_reserved_memory_as_free(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (100, 1000))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 50)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 20)
    assert memory_of("cuda:0") == 130


def test_dropout_on_a_gpu_draws_random_bytes(monkeypatch):
    monkeypatch.setattr(torch.Tensor, "random_", None)  # GPUs of Apple do not draw all 64 bits
    layer = Dropout(0.25).train()
    mask = layer.mask(torch.empty(5, 7, device=META))
    assert mask.shape == (5, 7)
    assert mask.dtype == torch.float32
    assert mask.device == META


@pytest.fixture
def default_device_meta():
    """Tensors that are created without a device are on "meta", so that most operations on them raise."""
    torch.set_default_device("meta")
    yield
    torch.set_default_device(None)


def all_outputs(frame, folder):
    """All predictions of a model that was trained further and calibrated, of its copies from files, and its exports."""
    X, Y = frame
    X, Y = X.assign(last=[["a", "b"], ["c"]] * (len(X) // 2)), Y.assign(watched=Y["click"] * 3.0)
    options = {"value_targets": ["watched"], "value_parents": {"watched": "click"}, "bias_features": ["visits"]}
    model = FSMDClassifier(**SMALL, **options, n_members=2, pretrain_epochs=1, device="cpu")
    model.fit(X, Y).partial_fit(X[:200], Y[:200]).calibrate(X, Y)
    model.save(folder / "model.safetensors")
    models = [model, FSMDClassifier.load(folder / "model.safetensors"), pickle.loads(pickle.dumps(model))]
    methods = ("predict_marginals", "predict_conditionals", "predict_values", "gate_weights")
    outputs = [getattr(each, method)(rows) for each in models for method in methods for rows in (X, X[:1])]
    outputs.append(DenoisingEmbedder(n_epochs=1, random_state=0, device="cpu").fit(X[["city"]]).transform(X[["city"]]))
    to_onnx(model, folder / "model.onnx")
    exported = (folder / "model.onnx").read_bytes()
    return [
        *outputs,
        attributions(model, X[:3]).predictions,
        item_vectors(model, "last"),
        np.frombuffer(exported, "u1"),
    ]


def test_the_default_device_of_torch_does_not_matter(frame, tmp_path, request):
    expected = all_outputs(frame, tmp_path)
    request.getfixturevalue("default_device_meta")
    for found, each in zip(all_outputs(frame, tmp_path), expected, strict=True):
        np.testing.assert_array_equal(found, each)
