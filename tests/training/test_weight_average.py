"""The moving average of the weights."""

import copy
import functools

import numpy as np
import pytest
import torch
from torch import nn

from sklearn_fsmd import MultiTaskClassifier
from sklearn_fsmd.network.builders import Columns, build_network
from sklearn_fsmd.network.losses import MultiTaskLoss
from sklearn_fsmd.training import Net
from sklearn_fsmd.training.optimizers.weight_average import WeightAverage
from sklearn_fsmd.training.task_balancing import Fixed
from tests.conftest import SMALL, make_frame
from tests.test_network import params


def random_weights(n):
    return [torch.randn(3, 2) for _ in range(n)]


def test_is_the_normalised_moving_average_of_the_steps():
    linear, decay, steps = nn.Linear(2, 3, bias=False), 0.9, random_weights(25)
    average = WeightAverage(linear, decay)
    for weights in steps:
        linear.weight.data.copy_(weights)
        average.update()
    coefficients = torch.tensor([decay ** (len(steps) - 1 - i) for i in range(len(steps))])
    expected = torch.einsum("t,tij->ij", coefficients / coefficients.sum(), torch.stack(steps))
    average.swap_in()
    torch.testing.assert_close(linear.weight.data, expected)
    average.swap_out()
    assert torch.equal(linear.weight.data, steps[-1])


def test_training_continues_from_the_weights_before_averaging():
    linear = nn.Linear(2, 3)
    average = WeightAverage(linear, 0.5)
    optimizer = torch.optim.SGD(linear.parameters(), lr=1.0)
    twin = copy.deepcopy(linear)
    twin_optimizer = torch.optim.SGD(twin.parameters(), lr=1.0)
    for _ in range(3):
        for module, stepper in ((linear, optimizer), (twin, twin_optimizer)):
            stepper.zero_grad()
            module(torch.ones(1, 2)).sum().backward()
            stepper.step()
        average.update()
        average.swap_in()
        average.swap_out()
    assert torch.equal(linear.weight, twin.weight)


def test_running_statistics_are_averaged_too():
    norm = nn.BatchNorm1d(2)
    average = WeightAverage(norm, 0.5)
    norm(torch.randn(8, 2) + 3)
    average.update()
    first = norm.running_mean.clone()
    norm(torch.randn(8, 2) - 3)
    average.update()
    second = norm.running_mean.clone()
    average.swap_in()
    torch.testing.assert_close(norm.running_mean, (first + 2 * second) / 3)


def test_the_average_is_on_the_device_of_the_module():
    network = build_network(params(), Columns([3, 4], 1), 2)
    loss = MultiTaskLoss(network.link, torch.ones(2))
    net = Net(
        network,
        criterion=loss,
        optimizer=torch.optim.SGD,
        lr=0.1,
        average_decay=0.9,
        balance=Fixed(torch.ones(2)),
        device="meta",
    ).initialize()
    assert {t.device.type for t in net.average_.others} == {"meta"}


def test_without_decay_the_average_is_the_module():
    linear = nn.Linear(2, 3)
    average = WeightAverage(linear, 0.0)
    before = linear.weight.data_ptr()
    average.update()
    average.swap_in()
    assert linear.weight.data_ptr() == before


def test_reset_to_module_sets_the_average_to_the_weights():
    linear = nn.Linear(2, 3)
    average = WeightAverage(linear, 0.9)
    linear.weight.data.fill_(7.0)
    average.reset_to_module()
    average.swap_in()
    assert (linear.weight == 7.0).all()


class TiedExtractor(nn.Module):
    """An extractor with two layers whose weights are not tied, tied as one module, or tied as parameters."""

    def __init__(self, n_inputs, n_tasks, tie):
        super().__init__()
        self.n_tasks = n_tasks
        torch.manual_seed(0)
        self.first, self.a = nn.Linear(n_inputs, 6), nn.Linear(6, 6)
        with torch.random.fork_rng():  # so that all ways draw the same weights afterwards
            self.b = None if tie is None else self.a if tie == "module" else nn.Linear(6, 6)
        if tie == "parameters":
            self.b.weight, self.b.bias = self.a.weight, self.a.bias

    def forward(self, x):
        second = self.a if self.b is None else self.b
        y = second(self.a(self.first(x)).tanh())
        return y.unsqueeze(1).expand(-1, self.n_tasks, -1)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("tie", ["module", "parameters"])
def test_tied_weights_are_trained_and_averaged_once(tie, optimizer, tmp_path):
    X, Y = make_frame(200)
    p = SMALL | {"optimizer": optimizer, "early_stopping": False}
    models = [
        MultiTaskClassifier(**p, extractor=functools.partial(TiedExtractor, tie=kind)).fit(X, Y) for kind in (None, tie)
    ]
    once, twice = (model.predict_marginals(X) for model in models)
    np.testing.assert_allclose(twice, once, rtol=0, atol=1e-6)
    net = models[1].net_
    in_groups = [id(parameter) for group in net.optimizer_.param_groups for parameter in group["params"]]
    assert len(in_groups) == len(set(in_groups)) == len(list(net.module_.parameters()))
    assert len(net.average_.others) == len({id(tensor) for tensor in net.average_.tensors})
    assert models[1].module_.extractor.b.weight is models[1].module_.extractor.a.weight
    models[1].save(tmp_path / "model")
    extractor = functools.partial(TiedExtractor, tie=tie)
    loaded = MultiTaskClassifier.load(tmp_path / "model", parameters={"extractor": extractor})
    for again in (copy.deepcopy(models[1]), loaded):
        again.partial_fit(X, Y)
        assert again.module_.extractor.b.weight is again.module_.extractor.a.weight
