"""Weights of whole networks after three steps: plain torch and fused code agree, with every optimizer."""

import numpy as np
import pytest
import torch
from torch import nn

from sklearn_fsmd import MultiTaskClassifier
from sklearn_fsmd.execution.choice import VARIABLE
from tests.conftest import SMALL, make_frame

STEPS = SMALL | {
    "max_epochs": 3,
    "batch_size": 300,
    "early_stopping": False,
    "dropout": 0.0,
    "link": "independent",
    "fm_scale": 1.0,
}
OPTIMIZERS = {"adamw": 0.1, "adam": 0.1, "adagrad": 0.1, "sgd": None}
"""`eps` by optimizer. It is large, since at its default the sign of mere rounding errors sets the step."""


class TransposedGradient(torch.autograd.Function):
    """x·W; the gradient of W has the memory layout of its transpose."""

    @staticmethod
    def forward(ctx, x, weight):
        ctx.save_for_backward(x, weight)
        return x @ weight

    @staticmethod
    def backward(ctx, grad):
        x, weight = ctx.saved_tensors
        return grad @ weight.t(), (grad.t() @ x).t()


class CustomExtractor(nn.Module):
    """A custom extractor with a gradient that is not contiguous and a gradient that is expanded."""

    def __init__(self, n_inputs, n_tasks):
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(-0.5, 0.5, n_inputs * 6).view(n_inputs, 6))
        self.shift = nn.Parameter(torch.zeros(n_tasks, 6))

    def forward(self, x):
        y = TransposedGradient.apply(x, self.weight)
        return torch.stack([(y + shift).tanh() for shift in self.shift.expand(len(self.shift), 6)], dim=1)


EXTRACTORS = {
    "ple": {"extractor": "ple", "n_levels": 2},
    "mmoe": {"extractor": "mmoe"},
    "mmoe with MLP gates": {"extractor": "mmoe", "gate_dims": (5,)},
    "custom extractor": {"extractor": CustomExtractor},
}


@pytest.fixture(scope="module")
def data():
    X, Y = make_frame(300)
    return X, np.column_stack([Y, Y["click"] == Y["conversion"]]).astype(int)


def weights_after_three_steps(data, optimizer, **params):
    eps = OPTIMIZERS[optimizer]
    options = {} if eps is None else {"optimizer__eps": eps}
    options |= params.pop("net_params", {})
    model = MultiTaskClassifier(**STEPS | {"optimizer": optimizer, "lr": 0.022, "net_params": options} | params)
    return model.fit(*data).module_.state_dict()


def assert_same_weights(found, expected, tolerance):
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=0, atol=tolerance, msg=lambda m, name=name: f"{name}: {m}")


@pytest.mark.parametrize("extractor", EXTRACTORS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("batch_norm", [True, False])
@pytest.mark.parametrize("weighting", ["fixed", "uncertainty", "pcgrad", "gradnorm"])
def test_fused_execution_gives_the_same_weights_as_torch(
    weighting, batch_norm, optimizer, extractor, data, monkeypatch
):
    params = {"task_weighting": weighting, "batch_norm": batch_norm, **EXTRACTORS[extractor]}
    monkeypatch.setenv(VARIABLE, "fused")
    fused = weights_after_three_steps(data, optimizer, **params)
    monkeypatch.setenv(VARIABLE, "torch")
    assert_same_weights(fused, weights_after_three_steps(data, optimizer, **params), 5e-6)


@pytest.mark.parametrize("extractor", EXTRACTORS)
@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd"])
@pytest.mark.parametrize("weighting", ["fixed", "pcgrad"])
def test_fused_optimizers_give_the_same_weights_as_plain_ones(weighting, optimizer, extractor, data, monkeypatch):
    monkeypatch.setenv(VARIABLE, "torch")
    params = {"task_weighting": weighting, **EXTRACTORS[extractor]}
    fused = weights_after_three_steps(data, optimizer, **params)
    plain = weights_after_three_steps(data, optimizer, **params, net_params={"optimizer__fused": False})
    assert_same_weights(fused, plain, 1e-5)
