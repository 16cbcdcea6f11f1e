"""Extractors with experts: Eqs. (4), (5) and (8) compared with plain loops, with sizes that are all different."""

import numpy as np
import pytest
import torch
from torch import nn

from sklearn_fsmd.network.extractors import PLE, Gates, MMoE, Separate, SharedBottom

PLAIN = {"dropout": 0.0, "batch_norm": False}
N_IN, K, B = 5, 3, 7
DIMS = (6, 4)


def numpy_of(parameter):
    return parameter.detach().numpy()


def mlp_output(stack, e, x):
    for layer in stack.layers:
        x = np.maximum(x @ numpy_of(layer.weight)[e] + numpy_of(layer.bias)[e], 0)
    return x


def gate_output(gates, g, x):
    hidden = mlp_output(gates.hidden, g, x)
    z = hidden @ numpy_of(gates.logits.weight)[g] + numpy_of(gates.logits.bias)[g]
    z = np.where(gates.excluded[g].numpy() == 0, np.exp(z - z.max()), 0)
    return z / z.sum(axis=1, keepdims=True)


def level_output(level, inputs, reads, n_gates):
    """Eq. (5) for each gate, which mixes the experts that it may select."""
    experts = [mlp_output(level.experts, e, inputs[read]) for e, read in enumerate(reads)]
    mixtures = []
    for g in range(n_gates):
        weights = gate_output(level.gates, g, inputs[g])
        mixtures.append(sum(weights[:, [e]] * experts[e] for e in range(len(experts))))
    return mixtures


@pytest.fixture
def x():
    return torch.randn(B, N_IN, dtype=torch.float64)


def randomised(module):
    module = module.double()
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.7)
    return module


@pytest.mark.parametrize("gate_dims", [(), (4,), (4, 3), (4, 3, 2)])
def test_mmoe_is_equations_4_and_5(x, gate_dims):
    mmoe = randomised(MMoE(N_IN, K, DIMS, n_experts=4, gate_dims=gate_dims, **PLAIN))
    expected = level_output(mmoe.level, [x.numpy()] * K, [0] * 4, K)
    np.testing.assert_allclose(numpy_of(mmoe(x)), np.stack(expected, axis=1))


@pytest.mark.parametrize("n_levels", [1, 2, 3])
@pytest.mark.parametrize(("n_task_experts", "n_shared_experts"), [(1, 2), (3, 1), (2, 2)])
@pytest.mark.parametrize("gate_dims", [(), (3,)])
def test_ple_is_equation_8(x, n_levels, n_task_experts, n_shared_experts, gate_dims):
    ple = randomised(
        PLE(
            N_IN,
            K,
            DIMS,
            n_task_experts=n_task_experts,
            n_shared_experts=n_shared_experts,
            n_levels=n_levels,
            gate_dims=gate_dims,
            **PLAIN,
        )
    )
    groups = [k for k in range(K) for _ in range(n_task_experts)] + [K] * n_shared_experts
    inputs = [x.numpy()] * (K + 1)
    for j, level in enumerate(ple.levels):
        is_last = j == n_levels - 1
        inputs = level_output(level, inputs, groups, K if is_last else K + 1)
    np.testing.assert_allclose(numpy_of(ple(x)), np.stack(inputs, axis=1))


def test_a_task_never_selects_the_experts_of_another(x):
    ple = PLE(N_IN, K, DIMS, n_task_experts=2, n_shared_experts=3, n_levels=2, gate_dims=(), **PLAIN).double()
    for weights in ple.gate_weights(x):
        assert weights.shape == (B, K, 9)
        torch.testing.assert_close(weights.sum(2), torch.ones(B, K).double())
        for k in range(K):
            others = [e for e in range(6) if e // 2 != k]
            assert (weights[:, k, others] == 0).all()
            assert (weights[:, k, [2 * k, 2 * k + 1, 6, 7, 8]] > 0).all()
    assert (ple.levels[0].gates.excluded[K] == 0).all()  # the shared gate mixes all experts
    assert ple.levels[1].gates.excluded.shape[0] == K  # the last level has no shared gate


def test_mmoe_with_one_expert_is_shared_bottom(x):
    mmoe = MMoE(N_IN, K, DIMS, n_experts=1, gate_dims=(3,), **PLAIN).double()
    bottom = SharedBottom(N_IN, K, DIMS, **PLAIN).double()
    bottom.bottom.load_state_dict(mmoe.level.experts.state_dict())
    torch.testing.assert_close(mmoe(x), bottom(x))


def test_ple_with_one_level_is_cgc(x):
    """In customized gate control the gate of a task mixes its own and the shared experts; there is no shared gate."""
    ple = randomised(PLE(N_IN, 2, DIMS, n_task_experts=2, n_shared_experts=1, n_levels=1, gate_dims=(), **PLAIN))
    (level,) = ple.levels
    experts = [mlp_output(level.experts, e, x.numpy()) for e in range(5)]
    for k, task_experts in enumerate([[0, 1, 4], [2, 3, 4]]):
        logits = (
            x.numpy() @ numpy_of(level.gates.logits.weight)[k][:, task_experts]
            + numpy_of(level.gates.logits.bias)[k, task_experts]
        )
        weights = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        expected = sum(weights[:, [i]] * experts[e] for i, e in enumerate(task_experts))
        np.testing.assert_allclose(numpy_of(ple(x))[:, k], expected)


def test_separate_shares_nothing(x):
    separate = Separate(N_IN, K, DIMS, **PLAIN).double()
    rows = x.unsqueeze(1).repeat(1, K, 1).requires_grad_()
    separate(rows)[:, 1].sum().backward()
    assert (rows.grad[:, [0, 2]] == 0).all()
    assert rows.grad[:, 1].abs().sum() > 0


def test_gates_have_no_batch_norm_or_dropout():
    gates = Gates(N_IN, torch.ones(2, 3, dtype=torch.bool), (4,))
    kinds = {type(module).__name__ for module in gates.modules()}
    assert kinds == {"Gates", "StackedMLP", "ModuleList", "StackedLinear", "HiddenLayer", "Dropout"}
    assert not any(
        getattr(module, "batch_norm", False) or getattr(module, "threshold", 0) for module in gates.modules()
    )


@pytest.mark.parametrize("batch", [1, 2])
def test_accepts_batches_of_one_and_two_rows(batch):
    ple = PLE(
        N_IN, K, DIMS, n_task_experts=1, n_shared_experts=1, n_levels=2, gate_dims=(), dropout=0.2, batch_norm=True
    )
    assert ple(torch.randn(batch, N_IN)).shape == (batch, K, DIMS[-1])


def test_gradients_are_right(x):
    ple = PLE(N_IN, 2, (4, 3), n_task_experts=1, n_shared_experts=2, n_levels=2, gate_dims=(2,), **PLAIN).double()
    assert torch.autograd.gradcheck(ple, (x.requires_grad_(),))
