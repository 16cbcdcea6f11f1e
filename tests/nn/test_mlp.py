import numpy as np
import pytest
import torch

from sklearn_fsmd.nn.mlp import StackedBatchNorm, StackedLinear, StackedMLP


def test_stacked_linear_is_n_separate_products():
    layer = StackedLinear(3, 5, 2).double()
    torch.nn.init.normal_(layer.bias)
    shared, own = torch.randn(7, 5).double(), torch.randn(7, 3, 5).double()
    for e in range(3):
        weight, bias = layer.weight[:, e], layer.bias[e]
        torch.testing.assert_close(layer(shared)[:, e], shared @ weight + bias)
        torch.testing.assert_close(layer(own)[:, e], own[:, e] @ weight + bias)


def test_equal_inputs_give_the_same_either_way():
    layer = StackedLinear(4, 6, 3)
    x = torch.randn(5, 6)
    torch.testing.assert_close(layer(x), layer(x.unsqueeze(1).expand(-1, 4, -1)))


def test_stacked_mlp_against_numpy():
    mlp = StackedMLP(2, 3, (5, 4)).double()
    x = np.random.RandomState(0).normal(size=(6, 3))
    first, second = mlp.layers[0], mlp.layers[2]
    for e in range(2):
        hidden = np.maximum(x @ first.weight[:, e].detach().numpy(), 0)
        expected = np.maximum(hidden @ second.weight[:, e].detach().numpy(), 0)
        np.testing.assert_allclose(mlp(torch.tensor(x))[:, e].detach(), expected)


def test_batch_norm_treats_every_unit_of_every_member_alone():
    norm = StackedBatchNorm(3, 2).double()
    x = torch.randn(50, 3, 2).double() * torch.tensor([1.0, 10.0, 100.0]).view(1, 3, 1) + 5
    y = norm(x)
    torch.testing.assert_close(y.mean(0), torch.zeros(3, 2).double(), atol=1e-12, rtol=0)
    expected = (x - x.mean(0)) / (x.var(0, unbiased=False) + norm.eps).sqrt()
    torch.testing.assert_close(y, expected)


def test_batch_norm_of_one_row_uses_the_running_statistics():
    norm = StackedBatchNorm(3, 2)
    norm(torch.randn(50, 3, 2) + 4)
    before = norm.running_mean.clone()
    x = torch.randn(1, 3, 2)
    in_training = norm(x)
    torch.testing.assert_close(in_training, norm.eval()(x))
    torch.testing.assert_close(norm.running_mean, before)


def test_no_layers_hand_the_input_to_each():
    mlp = StackedMLP(3, 5, ())
    x = torch.randn(4, 5)
    assert mlp(x).shape == (4, 3, 5)
    assert mlp.out_features == 5
    torch.testing.assert_close(mlp(x)[:, 1], x)


@pytest.mark.parametrize("per_member", [False, True])
def test_gradients(per_member):
    mlp = StackedMLP(3, 4, (5, 2), batch_norm=True).double()
    x = torch.randn(6, 3, 4).double() if per_member else torch.randn(6, 4).double()
    assert torch.autograd.gradcheck(mlp, (x.requires_grad_(),))
