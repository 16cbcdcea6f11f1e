"""Adam and the average of the weights in one pass, against both one after the other."""

import copy

import pytest
import torch

from sklearn_fsmd.execution.crew import Crew
from sklearn_fsmd.runtime import without_denormals
from sklearn_fsmd.training.fused_step import FusedStep
from sklearn_fsmd.training.rowwise_adam import RowWiseAdam, RowWiseAdamW
from sklearn_fsmd.training.weight_average import WeightAverage


def network():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(400, 300), torch.nn.ReLU(), torch.nn.Linear(300, 1))


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("decay", [0.0, 0.9])
@pytest.mark.parametrize("kind", [RowWiseAdam, RowWiseAdamW])
def test_steps(kind, decay, n_threads):
    plain = network()
    fused = copy.deepcopy(plain)
    x, crew = torch.randn(60, 400), Crew(n_threads)
    optimizers = [kind(net.parameters(), lr=0.01, weight_decay=0.1, fused=True) for net in (plain, fused)]
    averages = [WeightAverage(net, decay) for net in (plain, fused)]
    step = FusedStep(optimizers[1], averages[1], crew)
    for i in range(7):
        for net, optimizer in zip((plain, fused), optimizers, strict=True):
            optimizer.param_groups[0]["lr"] = 0.01 / (i + 1)  # as a schedule does
            optimizer.zero_grad()
            (net(x).sum() + net(x).square().mean()).backward()
        averages[0].before_step(), averages[1].before_step()
        optimizers[0].step()
        averages[0].update()
        step()
    crew.close()
    for a, b in zip(plain.parameters(), fused.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)
        for name in ("step", "exp_avg", "exp_avg_sq"):
            torch.testing.assert_close(optimizers[0].state[a][name], optimizers[1].state[b][name], rtol=1e-4, atol=1e-6)
    assert averages[0].step == averages[1].step
    for a, b in zip(averages[0].others, averages[1].others, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("is_fused", [False, True])
def test_moments_of_rows_that_are_not_read_end_at_zero(is_fused):
    """As denormal numbers they would stay where they are, and each step would take many times as long."""
    table, crew = torch.nn.Embedding(1000, 100), Crew(2)
    optimizer = RowWiseAdam(table.parameters(), lr=0.01, fused=True)
    fused = FusedStep(optimizer, WeightAverage(table, 0.9), crew)

    def step():
        table.weight.grad = torch.zeros_like(table.weight)
        if is_fused:
            fused()
        else:
            with without_denormals():
                optimizer.step()

    step()  # which makes the moments
    moments = [optimizer.state[table.weight][name] for name in ("exp_avg", "exp_avg_sq")]
    for tiny in (1e-41, 2**-126):  # half of this one's next value is denormal
        for moment in moments:
            moment.fill_(tiny)
        step()
        assert not any(moment.any() for moment in moments)
    crew.close()
    assert (torch.tensor([1e-40]) * 1).item() > 0  # elsewhere they are numbers as others are


def test_what_a_step_leaves_out_stays_as_it_is():
    """A parameter without a gradient, and one with a sparse one, are torch's and the row-wise step's business."""
    nets = [
        torch.nn.ModuleDict(
            {
                "table": torch.nn.Embedding(50, 3, sparse=True),
                "out": torch.nn.Linear(3, 1),
                "idle": torch.nn.Linear(2, 2),
            }
        )
        for _ in range(2)
    ]
    nets[1].load_state_dict(nets[0].state_dict())
    optimizers = [RowWiseAdamW(net.parameters(), lr=0.01, fused=True) for net in nets]
    averages = [WeightAverage(net, 0.9) for net in nets]
    step = FusedStep(optimizers[1], averages[1], Crew(1))
    for i in range(5):
        for net, optimizer, average in zip(nets, optimizers, averages, strict=True):
            optimizer.zero_grad()
            net["out"](net["table"](torch.arange(i, i + 4))).square().sum().backward()
            average.before_step()
        optimizers[0].step()
        averages[0].update()
        step()
    for average in averages:
        average.swap_in()
    for a, b in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def clip(net):
    for p in net.parameters():
        p.grad.clamp_(-0.1, 0.1)


def clamp(net):
    for p in net.parameters():
        p.data.clamp_(-0.02, 0.02)


def test_hooks_see_all_gradients_once_and_what_they_change_counts():
    """A hook that clips, one that clamps: with the fused step as without it."""
    torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))])  # from here on torch has wrapped Adam's own step too
    nets = [network() for _ in range(2)]
    optimizers = [RowWiseAdam(net.parameters(), lr=0.01, fused=True) for net in nets]
    averages = [WeightAverage(net, 0.9) for net in nets]
    step, calls = FusedStep(optimizers[1], averages[1], Crew(1)), []
    for net, optimizer in zip(nets, optimizers, strict=True):
        optimizer.register_step_pre_hook(lambda *_, net=net: clip(net))
        optimizer.register_step_post_hook(lambda *_, net=net: calls.append(clamp(net)))
    x = torch.randn(60, 400)
    for _ in range(4):
        for net, optimizer, average in zip(nets, optimizers, averages, strict=True):
            optimizer.zero_grad()
            net(x).square().sum().backward()
            average.before_step()
        optimizers[0].step()
        averages[0].update()
        step()
    assert len(calls) == 8
    for a, b in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        torch.testing.assert_close(a, b)
    for a, b in zip(averages[0].others, averages[1].others, strict=True):
        torch.testing.assert_close(a, b)
