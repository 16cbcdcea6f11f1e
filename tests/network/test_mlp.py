"""Stacked linear layers and MLPs, and the cache of predictions."""

import copy
import pickle

import numpy as np
import pytest
import torch
import torch.nn.utils.parametrize
import torch.nn.utils.prune

from sklearn_fsmd.network.seam import Execution, set_execution
from sklearn_fsmd.network.stacked_mlp import HiddenLayer, StackedLinear, StackedMLP


def test_stacked_linear_is_n_separate_products():
    layer = StackedLinear(3, 5, 2).double()
    torch.nn.init.normal_(layer.bias)
    shared, separate = torch.randn(7, 5).double(), torch.randn(3, 7, 5).double()
    for e in range(3):
        weight, bias = layer.weight[e], layer.bias[e]
        torch.testing.assert_close(layer(shared)[e], shared @ weight + bias)
        torch.testing.assert_close(layer(separate)[e], separate[e] @ weight + bias)


def test_a_shared_input_equals_repeated_inputs():
    layer = StackedLinear(4, 6, 3)
    x = torch.randn(5, 6)
    torch.testing.assert_close(layer(x), layer(x.expand(4, -1, -1)))


def test_stacked_mlp_equals_numpy():
    mlp = StackedMLP(2, 3, (5, 4)).double()
    x = np.random.RandomState(0).normal(size=(6, 3))
    first, second = mlp.layers[0], mlp.layers[1]
    for e in range(2):
        hidden = np.maximum(x @ first.weight[e].detach().numpy(), 0)
        expected = np.maximum(hidden @ second.weight[e].detach().numpy(), 0)
        np.testing.assert_allclose(mlp(torch.tensor(x))[e].detach(), expected)


def test_without_layers_each_member_gets_the_input():
    mlp = StackedMLP(3, 5, ())
    x = torch.randn(4, 5)
    assert mlp(x).shape == (3, 4, 5)
    assert mlp.out_features == 5
    torch.testing.assert_close(mlp(x)[1], x)


@pytest.mark.parametrize("per_member", [False, True])
def test_gradients_are_right(per_member):
    mlp = StackedMLP(3, 4, (5, 2), batch_norm=True).double()
    x = torch.randn(3, 6, 4).double() if per_member else torch.randn(6, 4).double()
    assert torch.autograd.gradcheck(mlp, (x.requires_grad_(),))


def trained_layer(seed=0):
    """A layer in evaluation mode, with running statistics that differ from the initial ones."""
    torch.manual_seed(seed)
    layer = HiddenLayer(2, 6, 5, dropout=0.2, batch_norm=True).double()
    for _ in range(3):
        layer(3 * torch.randn(8, 6).double() + 1)
    with torch.no_grad():
        layer.scale.uniform_(0.5, 2)
        layer.bias.uniform_(-0.5, 0.5)
    return layer.eval()


@torch.no_grad()
def in_place(layer):
    layer.scale.mul_(2)


@torch.inference_mode()
def in_inference_mode(layer):
    layer.running_mean.add_(1)


def new_memory(layer):
    layer.weight.data = layer.weight.data * 2


def new_parameter(layer):
    layer.bias = torch.nn.Parameter(layer.bias + 1)


def loaded_state(layer):
    layer.load_state_dict(trained_layer(1).state_dict())


def by_a_fused_step(layer):
    """These steps do not change the version of a tensor, but they need gradients, which disable the cache."""
    optimizer = torch.optim.AdamW(layer.parameters(), lr=0.1, fused=True)
    layer(torch.ones(3, 6).double()).sum().backward()
    with torch.inference_mode():  # between the gradients and the step, too
        layer(torch.ones(3, 6).double())
    optimizer.step()


def replaced_twice(layer):
    """The second tensor may have the address of the first."""
    for _ in range(2):
        layer.scale = torch.nn.Parameter(torch.rand_like(layer.scale))


class Scaled(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.factor = torch.nn.Parameter(torch.ones(()))

    def forward(self, weight):
        return weight * self.factor


def by_parametrization(layer):
    torch.nn.utils.parametrize.register_parametrization(layer, "weight", Scaled(), unsafe=True)
    with torch.inference_mode():
        layer(torch.ones(3, 6).double())
    with torch.no_grad():
        layer.parametrizations.weight[0].factor.fill_(-1)


@torch.inference_mode()
def inference_tensors(layer):
    layer.float().double()
    layer(torch.ones(3, 6).double())
    layer.scale.mul_(2)


def by_addresses(layer):
    """The compiled core changes weights at their address, without a new version of the tensor."""
    layer.train()
    layer.running_var.numpy()[:] *= 4
    layer.eval()


CHANGES = [in_place, in_inference_mode, new_memory, new_parameter, loaded_state, by_a_fused_step]
CHANGES += [replaced_twice, by_parametrization, inference_tensors, by_addresses]


@pytest.mark.parametrize("change", CHANGES)
def test_predictions_use_the_current_weights(change):
    """The cache is computed again when weights change. Outside inference mode the formula is used."""
    layer, x = trained_layer(), torch.randn(3, 6).double()

    def both():
        with torch.inference_mode():
            predicted = layer(x)
        with torch.no_grad():
            torch.testing.assert_close(predicted, layer(x))
        return predicted

    before = both()
    assert layer._cached is not None
    change(layer)
    assert not torch.equal(before, both())


def test_copies_do_not_contain_the_cache():
    layer = trained_layer()
    size = len(pickle.dumps(layer))
    with torch.inference_mode():
        layer(torch.zeros(1, 6).double())
    assert len(pickle.dumps(layer)) == size
    assert copy.deepcopy(layer)._cached is None is not layer._cached


def test_hooks_of_layers_run_on_every_call():
    """An execution does not call the layers, so it is not used if a layer has hooks."""

    class Fast(Execution):
        def supports(self, x, *, training):
            return True

        def hidden(self, stack, x, weights):
            raise AssertionError("asked")

    mlp, seen = StackedMLP(2, 3, (5, 4)), []
    set_execution(mlp, Fast())
    with pytest.raises(AssertionError, match="asked"):
        mlp(torch.zeros(4, 3))
    hook = mlp.layers[1].register_forward_hook(lambda *_: seen.append(0))
    mlp(torch.zeros(4, 3))
    hook.remove()
    torch.nn.utils.prune.random_unstructured(mlp.layers[0], "weight", 0.5)
    mlp(torch.zeros(4, 3)).sum().backward()
    assert seen == [0]
    assert mlp.layers[0].weight_orig.grad is not None
