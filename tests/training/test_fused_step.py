"""The fused step of Adam and of the weight average, compared with the two separate steps."""

import copy

import pytest
import torch

from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.execution.crew import Crew
from sklearn_fsmd.training import Net
from sklearn_fsmd.training.optimizers.fused_step import FusedStep
from sklearn_fsmd.training.optimizers.rowwise_adam import RowWiseAdam, RowWiseAdamW
from sklearn_fsmd.training.optimizers.weight_average import WeightAverage
from tests.conftest import SMALL, make_frame


def network():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(400, 300), torch.nn.ReLU(), torch.nn.Linear(300, 1))


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("decay", [0.0, 0.9])
@pytest.mark.parametrize("kind", [RowWiseAdam, RowWiseAdamW])
def test_the_fused_step_equals_the_separate_steps(kind, decay, n_threads):
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


@pytest.mark.parametrize("execution", ["torch", "fused"])
def test_moments_of_unused_rows_decay_to_zero(execution, monkeypatch):
    """Denormal numbers would stay as they are, and make each step many times slower."""
    monkeypatch.setenv("SKLEARN_FSMD_EXECUTION", execution)
    seen, step = [], Net.train_step

    def watched(net, batch, **options):
        state = net.optimizer_.state.get(net.module_.embedding.table.weight)
        moments = [state["exp_avg"], state["exp_avg_sq"]] if state else []
        for moment in moments:
            moment[0] = 1e-41  # row 0 belongs to no value, so no batch uses it
        done = step(net, batch, **options)
        seen.extend(moment[0].abs().max().item() for moment in moments)
        return done

    monkeypatch.setattr(Net, "train_step", watched)
    X, Y = make_frame(300)
    FSMDClassifier(**SMALL | {"max_epochs": 2, "unknown_rate": 0.0, "embedding_optimizer": "dense"}).fit(X, Y)
    assert len(seen) > 2
    assert not any(seen)
    assert (torch.tensor([1e-40]) * 1).item() > 0  # outside a step denormal numbers are kept


@pytest.mark.parametrize("n_threads", [1, 2])
def test_each_thread_of_a_crew_flushes_denormal_numbers(n_threads):
    table, crew = torch.nn.Embedding(3000, 100), Crew(n_threads)
    optimizer = RowWiseAdam(table.parameters(), lr=0.01, fused=True)
    step = FusedStep(optimizer, WeightAverage(table, 0.9), crew)
    for _ in range(2):  # the first step creates the moments
        table.weight.grad = torch.zeros_like(table.weight)
        for name in ("exp_avg", "exp_avg_sq") if optimizer.state else ():
            optimizer.state[table.weight][name].fill_(1e-41)
        step()
    crew.close()
    assert not any(optimizer.state[table.weight][name].any() for name in ("exp_avg", "exp_avg_sq"))


def test_parameters_without_a_gradient_or_with_a_sparse_one():
    """The fused step leaves them to torch and to the row-wise step."""
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


def test_optimizer_hooks_run_once_and_their_changes_count():
    """One hook clips gradients and one clamps weights, with and without the fused step."""
    torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))])  # now torch has wrapped the step of Adam itself too
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
