import numpy as np
import pytest
import torch

from sklearn_fsmd.network.stacked_mlp import StackedLinear, StackedMLP


def test_stacked_linear_is_n_separate_products():
    layer = StackedLinear(3, 5, 2).double()
    torch.nn.init.normal_(layer.bias)
    shared, own = torch.randn(7, 5).double(), torch.randn(3, 7, 5).double()
    for e in range(3):
        weight, bias = layer.weight[e], layer.bias[e]
        torch.testing.assert_close(layer(shared)[e], shared @ weight + bias)
        torch.testing.assert_close(layer(own)[e], own[e] @ weight + bias)


def test_equal_inputs_give_the_same_either_way():
    layer = StackedLinear(4, 6, 3)
    x = torch.randn(5, 6)
    torch.testing.assert_close(layer(x), layer(x.expand(4, -1, -1)))


def test_stacked_mlp_against_numpy():
    mlp = StackedMLP(2, 3, (5, 4)).double()
    x = np.random.RandomState(0).normal(size=(6, 3))
    first, second = mlp.layers[0], mlp.layers[1]
    for e in range(2):
        hidden = np.maximum(x @ first.weight[e].detach().numpy(), 0)
        expected = np.maximum(hidden @ second.weight[e].detach().numpy(), 0)
        np.testing.assert_allclose(mlp(torch.tensor(x))[e].detach(), expected)


def test_no_layers_hand_the_input_to_each():
    mlp = StackedMLP(3, 5, ())
    x = torch.randn(4, 5)
    assert mlp(x).shape == (3, 4, 5)
    assert mlp.out_features == 5
    torch.testing.assert_close(mlp(x)[1], x)


@pytest.mark.parametrize("per_member", [False, True])
def test_gradients(per_member):
    mlp = StackedMLP(3, 4, (5, 2), batch_norm=True).double()
    x = torch.randn(3, 6, 4).double() if per_member else torch.randn(6, 4).double()
    assert torch.autograd.gradcheck(mlp, (x.requires_grad_(),))
