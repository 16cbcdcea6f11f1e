"""The hidden layers computed by their formula, compared with a sequence of layers of torch."""

import copy

import pytest
import torch
from torch import nn

from sklearn_fsmd.execution.choice import ByTorch
from sklearn_fsmd.network.dropout import seed_dropout
from sklearn_fsmd.network.seam import set_execution
from sklearn_fsmd.network.stacked_mlp import StackedMLP

N, B, N_IN, DIMS = 3, 50, 6, (5, 4)
INPUTS = {"shared": None, "separate": None, "groups": (0, 0, 1)}


def stack(*, dropout=0.0, batch_norm=True, reads=None, dtype=torch.float64):
    torch.manual_seed(0)
    mlp = StackedMLP(N, N_IN, DIMS, dropout=dropout, batch_norm=batch_norm, reads=reads).to(dtype)
    for parameter in mlp.parameters():
        nn.init.normal_(parameter)
    seed_dropout(mlp, 0)
    return mlp


def inputs_of(input_kind, dtype=torch.float64):
    torch.manual_seed(1)
    shape = {"shared": (B, N_IN), "separate": (N, B, N_IN), "groups": (2, B, N_IN)}[input_kind]
    return (torch.randn(shape, dtype=dtype) * 3 + 1).requires_grad_()


def layers_of_torch(mlp, e):
    """The hidden layers of member `e` as layers of torch."""
    layers = []
    for layer in mlp.layers:
        n_in, width = layer.weight.shape[1:]
        linear, norm = nn.Linear(n_in, width), nn.BatchNorm1d(width)
        linear.weight.data, linear.bias.data = layer.weight[e].detach().t().clone(), torch.zeros(width)
        bias = layer.bias[e].detach().clone()
        if mlp.layers[0].batch_norm:
            norm.weight.data, norm.bias.data = layer.scale[e].detach().clone(), bias
            layers += [linear, norm, nn.ReLU()]
        else:
            linear.bias.data = bias
            layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers).double()


@pytest.mark.parametrize("batch_norm", [True, False])
@pytest.mark.parametrize("input_kind", INPUTS)
def test_outputs_and_gradients_equal_those_of_torch(input_kind, batch_norm):
    mlp = stack(batch_norm=batch_norm, reads=INPUTS[input_kind])
    members = [layers_of_torch(mlp, e) for e in range(N)]
    x, theirs = inputs_of(input_kind), inputs_of(input_kind)
    weights = torch.randn(N, B, DIMS[-1], dtype=torch.float64)
    out = mlp(x)
    (out * weights).sum().backward()
    input_of = {
        "shared": lambda e: theirs,
        "separate": lambda e: theirs[e],
        "groups": lambda e: theirs[(0, 0, 1)[e]],
    }
    expected = torch.stack([member(input_of[input_kind](e)) for e, member in enumerate(members)])
    (expected * weights).sum().backward()
    torch.testing.assert_close(out, expected)
    torch.testing.assert_close(x.grad, theirs.grad)
    for e, member in enumerate(members):
        linears = [layer for layer in member if isinstance(layer, nn.Linear)]
        norms = [layer for layer in member if isinstance(layer, nn.BatchNorm1d)]
        for layer, linear in zip(mlp.layers, linears, strict=True):
            torch.testing.assert_close(layer.weight.grad[e], linear.weight.grad.t())
        for layer, reference in zip(mlp.layers, norms or linears, strict=True):
            torch.testing.assert_close(layer.bias.grad[e], reference.bias.grad)
        for layer, norm in zip(mlp.layers, norms, strict=False):
            torch.testing.assert_close(layer.scale.grad[e], norm.weight.grad)
            torch.testing.assert_close(layer.running_mean[e], norm.running_mean)
            torch.testing.assert_close(layer.running_var[e], norm.running_var)
    mlp.eval()
    expected = torch.stack([member.eval()(input_of[input_kind](e)) for e, member in enumerate(members)])
    torch.testing.assert_close(mlp(x), expected)


@pytest.mark.parametrize("batch_norm", [True, False])
@pytest.mark.parametrize("input_kind", INPUTS)
def test_gradients_with_dropout_are_right(input_kind, batch_norm):
    mlp = stack(dropout=0.5, batch_norm=batch_norm, reads=INPUTS[input_kind])
    names = [name for name, _ in mlp.named_parameters()]

    def run(x, *parameters):
        seed_dropout(mlp, 3)  # the same mask each time
        return torch.func.functional_call(mlp, dict(zip(names, parameters, strict=True)), (x,))

    few = inputs_of(input_kind)[..., :5, :].detach()
    inputs = (few, *(p.detach() for p in mlp.parameters()))
    assert torch.autograd.gradcheck(run, tuple(t.clone().requires_grad_() for t in inputs))


@pytest.mark.parametrize("batch_norm", [True, False])
def test_dropout_zeroes_and_scales_positive_outputs(batch_norm):
    mlp = StackedMLP(N, N_IN, (40,), dropout=0.25, batch_norm=batch_norm).double()
    plain = StackedMLP(N, N_IN, (40,), batch_norm=batch_norm).double()
    plain.load_state_dict(mlp.state_dict())
    x = inputs_of("shared")
    with_dropout, without = mlp(x), plain(x)
    dropped = (with_dropout == 0) & (without > 0)
    assert dropped.sum() / (without > 0).sum() == pytest.approx(0.25, abs=0.05)
    kept = with_dropout > 0
    torch.testing.assert_close(with_dropout[kept], without[kept] / 0.75)


def test_one_row_uses_the_running_statistics():
    mlp = stack()
    x = inputs_of("shared").detach()
    mlp(x)
    before = mlp.layers[0].running_mean.clone()
    torch.testing.assert_close(mlp(x[:1]), mlp.eval()(x[:1]))
    torch.testing.assert_close(mlp.layers[0].running_mean, before)


@pytest.mark.parametrize("input_kind", INPUTS)
def test_bf16_products_are_close_and_gradients_stay_float32(input_kind):
    exact = stack(reads=INPUTS[input_kind], dtype=torch.float32)
    low = copy.deepcopy(exact)
    set_execution(low, ByTorch(torch.bfloat16))
    x, y = inputs_of(input_kind, torch.float32), inputs_of(input_kind, torch.float32)
    weights = torch.randn(N, B, DIMS[-1])
    outputs = [mlp(given) for mlp, given in ((exact, x), (low, y))]
    assert not torch.equal(*outputs)
    torch.testing.assert_close(outputs[1], outputs[0], rtol=0.05, atol=0.05)
    for out in outputs:
        (out * weights).sum().backward()
    pairs = zip([y, *low.parameters()], [x, *exact.parameters()], strict=True)
    for ours, expected in ((a.grad.flatten(), b.grad.flatten()) for a, b in pairs):
        assert ours.dtype == torch.float32
        assert torch.cosine_similarity(ours, expected, dim=0) > 0.99
