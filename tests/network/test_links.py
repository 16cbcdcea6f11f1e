"""Eqs. (7), (10) and (11), and what holds of any link."""

import math

import numpy as np
import pytest
import torch

from sklearn_fsmd.network.links import MultiTaskLoss, TreeLink

CHAIN, TREE, ALONE = (None, 0, 1), (None, 0, 0, 1), (None, None, None)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def marginals_by_path(parents, z):
    """The product of the sigmoids on the way from the root."""
    out = np.empty_like(z)
    for k in range(z.shape[1]):
        node, p = k, 1.0
        while node is not None:
            p = p * sigmoid(z[:, node])
            node = parents[node]
        out[:, k] = p
    return out


@pytest.mark.parametrize("parents", [CHAIN, TREE, ALONE, (None,), (None, 0, 1, 2, 3)])
def test_marginals_are_products_along_the_path(parents):
    z = np.random.RandomState(0).normal(scale=3, size=(20, len(parents)))
    link, expected = TreeLink(parents), marginals_by_path(parents, z)
    np.testing.assert_allclose(link.marginals(torch.tensor(z)), expected)
    log_yes, log_no = link.log_probs(torch.tensor(z))
    np.testing.assert_allclose(log_yes, np.log(expected))
    np.testing.assert_allclose(log_no, np.log(1 - expected), rtol=1e-6)


def test_marginals_never_rise_along_a_chain():
    logits = torch.randn(10_000, 5) * 20
    p = TreeLink((None, 0, 1, 2, 3)).marginals(logits)
    assert (p.diff(dim=1) <= 0).all()
    assert (p >= 0).all()


def test_the_loss_of_fsmd_is_equation_11():
    z = np.random.RandomState(0).normal(size=(8, 2))
    y = np.array([[0, 0], [1, 0], [1, 1], [0, 0], [1, 1], [1, 0], [0, 0], [1, 0]], dtype=float)
    pctr, pcvr = sigmoid(z).T
    pctcvr = pctr * pcvr
    click = -np.mean(y[:, 0] * np.log(pctr) + (1 - y[:, 0]) * np.log(1 - pctr))
    conversion = -np.mean(y[:, 1] * np.log(pctcvr) + (1 - y[:, 1]) * np.log(1 - pctcvr))
    loss = MultiTaskLoss(TreeLink((None, 0)), torch.tensor([2.0, 0.5]).double())
    assert loss(torch.tensor(z), torch.tensor(y)).item() == pytest.approx(2.0 * click + 0.5 * conversion)


def test_the_independent_loss_is_equation_7():
    z, y = torch.randn(8, 3), torch.randint(2, (8, 3)).float()
    loss = MultiTaskLoss(TreeLink(ALONE), torch.ones(3))
    expected = torch.nn.functional.binary_cross_entropy_with_logits(z, y) * 3
    torch.testing.assert_close(loss(z, y), expected)


@pytest.mark.parametrize("z", [-200.0, -60.0, 60.0, 200.0])
@pytest.mark.parametrize("label", [0.0, 1.0])
def test_loss_and_gradient_stay_exact_at_extreme_logits(z, label):
    logits = torch.full((1, 2), z, requires_grad=True)
    loss = MultiTaskLoss(TreeLink((None, 0)), torch.ones(2))
    value = loss(logits, torch.full((1, 2), label))
    value.backward()
    wrong = (z > 0) != (label > 0)
    if wrong and z > 0:  # P(no conversion) is about 2·exp(−z); its log falls with both logits
        assert value.item() == pytest.approx(z + z - math.log(2), rel=1e-6)
        torch.testing.assert_close(logits.grad, torch.tensor([[1.5, 0.5]]))
    elif wrong:  # log P(conversion) = 2·z
        assert value.item() == pytest.approx(3 * abs(z), rel=1e-6)
        torch.testing.assert_close(logits.grad, torch.tensor([[-2.0, -1.0]]))
    else:
        assert value.item() == pytest.approx(0.0, abs=1e-20)
    assert torch.isfinite(logits.grad).all()


def test_masked_labels_do_not_move_gradients():
    z = torch.randn(6, 2, requires_grad=True)
    weights = torch.ones(6, 2)
    weights[2, 1] = weights[4] = 0
    loss = MultiTaskLoss(TreeLink((None, None)), torch.ones(2))
    gradients = []
    for label in (0.0, 1.0):
        y = torch.tensor([[1.0, 0.0]]).repeat(6, 1)
        y[2, 1] = y[4, 0] = y[4, 1] = label
        gradients.append(torch.autograd.grad(loss(z, y, weights), z)[0])
    assert torch.equal(*gradients)
    assert gradients[0][2, 1] == 0
    assert (gradients[0][4] == 0).all()


@pytest.mark.parametrize("parents", [CHAIN, ALONE])
def test_gradients(parents):
    loss = MultiTaskLoss(TreeLink(parents), torch.tensor([1.0, 2.0, 0.5]).double())
    z = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    y = torch.tensor([[0, 0, 0], [1, 0, 0], [1, 1, 0], [1, 1, 1], [0, 0, 0]], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda z: loss(z, y), (z,))


@pytest.mark.parametrize("parents", [CHAIN, TREE[:3], ALONE])
def test_prior_logits_give_the_rates_back(parents):
    link, rates = TreeLink(parents), torch.tensor([0.5, 0.2, 0.05])
    torch.testing.assert_close(link.marginals(link.prior_logits(rates).unsqueeze(0))[0], rates)


def test_prior_logits_of_rates_0_and_1_are_finite():
    assert torch.isfinite(TreeLink((None, 0)).prior_logits(torch.tensor([0.0, 0.0]))).all()
    assert torch.isfinite(TreeLink((None, 0)).prior_logits(torch.tensor([1.0, 1.0]))).all()
