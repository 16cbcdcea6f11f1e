"""Losses: Eqs. (7) and (11), the likelihood of a chain, and properties of any loss."""

import itertools
import math

import numpy as np
import pytest
import torch

from sklearn_fsmd.network.links import TreeLink
from sklearn_fsmd.network.losses import CHAIN_LOSSES, MultiTaskLoss

CHAIN, TREE, INDEPENDENT = (None, 0, 1), (None, 0, 0, 1), (None, None, None)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


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
    loss = MultiTaskLoss(TreeLink(INDEPENDENT), torch.ones(3))
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


def test_masked_labels_do_not_affect_gradients():
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


@pytest.mark.parametrize("parents", [CHAIN, INDEPENDENT])
def test_gradients_are_right(parents):
    loss = MultiTaskLoss(TreeLink(parents), torch.tensor([1.0, 2.0, 0.5]).double())
    z = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    y = torch.tensor([[0, 0, 0], [1, 0, 0], [1, 1, 0], [1, 1, 1], [0, 0, 0]], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda z: loss(z, y), (z,))


def joint_probability(parents, z, y):
    """P(all labels) of one row by definition; after a label 0 all later labels are 0."""
    p = 1.0
    for k, parent in enumerate(parents):
        rate = sigmoid(z[k]) if parent is None or y[parent] else 0.0
        p *= rate if y[k] else 1 - rate
    return p


def log_likelihood(parents, z, y, observed):
    """Log P(observed labels): the sum over all values of the missing labels."""
    possible = itertools.product(*((int(y[k]),) if observed[k] else (0, 1) for k in range(len(y))))
    return math.log(sum(joint_probability(parents, z, labels) for labels in possible))


def funnel_rows(parents, n=60, seed=0):
    random = np.random.RandomState(seed)
    z = random.normal(scale=2, size=(n, len(parents)))
    y = np.zeros((n, len(parents)))
    for k, parent in enumerate(parents):
        y[:, k] = (random.uniform(size=n) < 0.6) * (1 if parent is None else y[:, parent])
    return random, z, y


@pytest.mark.parametrize("parents", [CHAIN, (None, 0, 1, 2), (None,), (None, None, 1)])
@pytest.mark.parametrize("share", [1.0, 0.6])
def test_the_likelihood_is_the_probability_of_the_observed_labels(parents, share):
    random, z, y = funnel_rows(parents)
    observed = random.uniform(size=y.shape) < share
    weights = None if share == 1 else torch.tensor(observed, dtype=torch.float64)
    loss = MultiTaskLoss(TreeLink(parents), torch.ones(len(parents)).double(), "likelihood")
    found = loss(torch.tensor(z), torch.tensor(y), weights).item()
    expected = [log_likelihood(parents, *row) for row in zip(z, y, observed, strict=True)]
    assert found == pytest.approx(-np.mean(expected))


def test_the_likelihood_of_a_tree_with_all_labels_observed():
    _, z, y = funnel_rows(TREE)
    loss = MultiTaskLoss(TreeLink(TREE), torch.ones(4).double(), "likelihood")
    expected = [log_likelihood(TREE, *row, np.ones(4, dtype=bool)) for row in zip(z, y, strict=True)]
    assert loss(torch.tensor(z), torch.tensor(y)).item() == pytest.approx(-np.mean(expected))


def test_weights_apply_to_the_steps_that_take_place():
    random, z, y = funnel_rows((None, 0))
    weights = random.uniform(0.5, 2, size=y.shape)
    steps = -(y * np.log(sigmoid(z)) + (1 - y) * np.log(1 - sigmoid(z)))
    counts = weights * np.stack((np.ones(60), y[:, 0]), axis=1)
    loss = MultiTaskLoss(TreeLink((None, 0)), torch.tensor([2.0, 0.5]).double(), "likelihood")
    losses, counted = loss.per_task(torch.tensor(z), torch.tensor(y), torch.tensor(weights))
    np.testing.assert_allclose(losses, (steps * counts).mean(axis=0))
    np.testing.assert_allclose(counted, counts.mean(axis=0))


def test_the_loss_both_is_the_mean_of_the_other_two():
    random, z, y = funnel_rows(CHAIN)
    rows = torch.tensor(z), torch.tensor(y), torch.tensor(random.uniform(size=y.shape))
    losses = {name: MultiTaskLoss(TreeLink(CHAIN), torch.ones(3).double(), name) for name in CHAIN_LOSSES}
    for part in range(2):
        parts = {name: loss.per_task(*rows)[part] for name, loss in losses.items()}
        torch.testing.assert_close(parts["both"], (parts["entire_space"] + parts["likelihood"]) / 2)
    assert not torch.allclose(losses["both"](*rows), losses["likelihood"](*rows))


@pytest.mark.parametrize("name", CHAIN_LOSSES)
def test_for_independent_tasks_all_chain_losses_are_equal(name):
    z, y = torch.randn(8, 3), torch.randint(2, (8, 3)).float()
    loss, plain = (MultiTaskLoss(TreeLink(INDEPENDENT), torch.ones(3), kind) for kind in (name, "entire_space"))
    assert torch.equal(loss(z, y), plain(z, y))


@pytest.mark.parametrize("name", CHAIN_LOSSES)
@pytest.mark.parametrize("parents", [CHAIN, TREE])
def test_gradients_of_every_chain_loss_are_right(name, parents):
    random, z, y = funnel_rows(parents, n=6)
    loss = MultiTaskLoss(TreeLink(parents), torch.ones(len(parents)).double(), name)
    weights = torch.tensor(random.choice([0.0, 1.0, 2.0], size=y.shape))
    assert torch.autograd.gradcheck(lambda z: loss(z, torch.tensor(y), weights), (torch.tensor(z, requires_grad=True),))


@pytest.mark.parametrize("z", [-200.0, 200.0])
@pytest.mark.parametrize("name", CHAIN_LOSSES)
def test_every_chain_loss_is_finite_at_extreme_logits(name, z):
    logits = torch.full((2, 2), z, requires_grad=True)
    labels, weights = torch.tensor([[1.0, 0.0], [1.0, 1.0]]), torch.tensor([[0.0, 1.0], [1.0, 1.0]])
    MultiTaskLoss(TreeLink((None, 0)), torch.ones(2), name)(logits, labels, weights).backward()
    assert torch.isfinite(logits.grad).all()
