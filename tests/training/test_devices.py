"""What can be known of a GPU without one: a step on torch's device "meta", whose tensors have a shape and no numbers.

There whatever waits for a number, as Python has to for ``.item()`` or a mask of unknown size, raises; and so does what
mixes devices. On a GPU it would cost more than the step.
"""

import numpy as np
import pytest
import torch

from sklearn_fsmd import DeepFMClassifier, ESMMClassifier, FSMDClassifier, MMoEClassifier, SingleTaskClassifier
from sklearn_fsmd.network import set_execution
from sklearn_fsmd.network.dropout import Dropout
from sklearn_fsmd.runtime import memory_of, resolve_device
from sklearn_fsmd.training.batches import BatchIterator, TensorData
from tests.conftest import SMALL, make_frame, of

META = torch.device("meta")
WAITS_ONCE = {"pcgrad", "gradnorm"}
"""Rules that look at the norms of a step's gradients."""


def steps_on_meta(model):
    """Train a fitted model's network further, one pass, on the device "meta"; returns the devices of the losses."""
    X, Y = make_frame()
    model.fit(X, Y)
    net = model.net_.copy()
    net.device, net.crew, net.fused_step_ = "meta", None, None
    net.module_.to(META)
    net.criterion_.to(META)
    net.initialize_optimizer()
    for group in net.optimizer_.param_groups:
        group["fused"] = False  # torch has the fused ones for real devices alone
    set_execution(net.module_)
    for part in net.module_.modules():
        if isinstance(part, Dropout):
            part.source = None  # of torch's generators there is none on this device
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
def test_a_step_waits_for_no_number(params):
    devices = steps_on_meta(FSMDClassifier(**of(FSMDClassifier, SMALL) | params))
    assert len(devices) > 1
    assert set(devices) == {META}


@pytest.mark.parametrize("cls", [SingleTaskClassifier, DeepFMClassifier, ESMMClassifier, MMoEClassifier])
def test_a_step_of_others_waits_for_no_number(cls):
    assert set(steps_on_meta(cls(**of(cls, SMALL)))) == {META}


@pytest.mark.parametrize("rule", sorted(WAITS_ONCE))
def test_rules_that_look_at_gradients_have_to_wait(rule):
    with pytest.raises(NotImplementedError, match="meta"):
        steps_on_meta(FSMDClassifier(**of(FSMDClassifier, SMALL), task_weighting=rule))


def test_a_gpu_has_a_number(monkeypatch):
    monkeypatch.setattr(torch, "zeros", lambda *shape, device: np.zeros(1))
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    assert resolve_device("cuda") == "cuda:1"
    assert resolve_device("cuda:0") == "cuda:0"
    assert resolve_device("cpu") == "cpu"


def test_the_memory_of_a_gpu_is_what_is_free_of_it(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (100, 1000))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 50)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 20)
    assert memory_of("cuda:0") == 130


def test_dropout_on_a_device_draws_bytes(monkeypatch):
    monkeypatch.setattr(torch.Tensor, "random_", None)  # which Apple's GPUs have not for all 64 bits
    layer = Dropout(0.25).train()
    mask = layer.mask(torch.empty(5, 7, device=META))
    assert mask.shape == (5, 7)
    assert mask.dtype == torch.float32
    assert mask.device == META
