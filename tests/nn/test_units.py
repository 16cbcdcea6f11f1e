"""Hidden units, against torch's own layers one after the other."""

import pytest
import torch
from torch import nn

from sklearn_fsmd.nn.dropout import set_generator
from sklearn_fsmd.nn.units import HiddenUnits

N, B, H = 3, 50, 4


def units(dropout=0.0, seed=0):
    made = HiddenUnits(N, H, dropout=dropout, batch_norm=True).double()
    nn.init.normal_(made.scale)
    nn.init.normal_(made.bias)
    set_generator(made, torch.Generator().manual_seed(seed))
    return made


def torch_layers(made):
    """The same as a batch norm a member and a ReLU."""
    norms = [nn.BatchNorm1d(H).double() for _ in range(N)]
    for e, norm in enumerate(norms):
        norm.weight.data.copy_(made.scale[e])
        norm.bias.data.copy_(made.bias[e])
    return norms


@pytest.fixture
def z():
    spread = torch.tensor([1.0, 10.0, 100.0]).double().view(N, 1, 1)
    return torch.randn(N, B, H, dtype=torch.float64) * spread + 50


def test_training_is_batch_norm_and_relu(z):
    made = units()
    norms = torch_layers(made)
    ours, theirs = z.clone().requires_grad_(), z.clone().requires_grad_()
    y = made(ours)
    expected = torch.stack([torch.relu(norm(x)) for norm, x in zip(norms, theirs, strict=True)])
    torch.testing.assert_close(y, expected)
    weights = torch.randn_like(y)
    (y * weights).sum().backward()
    (expected * weights).sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad)
    torch.testing.assert_close(made.scale.grad, torch.stack([norm.weight.grad for norm in norms]))
    torch.testing.assert_close(made.bias.grad, torch.stack([norm.bias.grad for norm in norms]))
    torch.testing.assert_close(made.running_mean, torch.stack([norm.running_mean for norm in norms]))
    torch.testing.assert_close(made.running_var, torch.stack([norm.running_var for norm in norms]))
    made.eval()
    expected = torch.stack([torch.relu(norm.eval()(x)) for norm, x in zip(norms, z, strict=True)])
    torch.testing.assert_close(made(z), expected)


def test_dropout_zeroes_and_scales_what_relu_lets_through(z):
    dropping, plain = units(dropout=0.25), units()
    plain.load_state_dict(dropping.state_dict())
    with_dropout, without = dropping(z), plain(z)
    dropped = (with_dropout == 0) & (without > 0)
    assert dropped.sum() / (without > 0).sum() == pytest.approx(0.25, abs=0.05)
    kept = with_dropout > 0
    torch.testing.assert_close(with_dropout[kept], without[kept] / 0.75)


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_gradients(dropout, z):
    made = units(dropout)

    def run(z, scale, bias):
        set_generator(made, torch.Generator().manual_seed(3))  # the same mask each time
        return torch.func.functional_call(made, {"scale": scale, "bias": bias}, (z,))

    inputs = (z[:, :6] - 50, made.scale.detach(), made.bias.detach())
    assert torch.autograd.gradcheck(run, tuple(t.clone().requires_grad_() for t in inputs))


def test_one_row_uses_the_running_statistics(z):
    made = units()
    made(z)
    before = made.running_mean.clone()
    in_training = made(z[:, :1])
    torch.testing.assert_close(in_training, made.eval()(z[:, :1]))
    torch.testing.assert_close(made.running_mean, before)


def test_without_batch_norm(z):
    made = HiddenUnits(N, H, dropout=0.5)
    assert not list(made.parameters())
    torch.testing.assert_close(made.eval()(z - 50), torch.relu(z - 50))
    assert (made.train()(z) == 0).double().mean() == pytest.approx(0.5, abs=0.1)
