"""Links: Eq. (10), and properties of any link."""

import numpy as np
import pytest
import torch

from sklearn_fsmd.network.links import TreeLink

CHAIN, TREE, INDEPENDENT = (None, 0, 1), (None, 0, 0, 1), (None, None, None)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def marginals_by_path(parents, z):
    """The product of the sigmoids on the path from the root."""
    out = np.empty_like(z)
    for k in range(z.shape[1]):
        node, p = k, 1.0
        while node is not None:
            p = p * sigmoid(z[:, node])
            node = parents[node]
        out[:, k] = p
    return out


@pytest.mark.parametrize("parents", [CHAIN, TREE, INDEPENDENT, (None,), (None, 0, 1, 2, 3)])
def test_marginals_are_products_along_the_path(parents):
    z = np.random.RandomState(0).normal(scale=3, size=(20, len(parents)))
    link, expected = TreeLink(parents), marginals_by_path(parents, z)
    np.testing.assert_allclose(link.marginals(torch.tensor(z)), expected)
    log_yes, log_no = link.log_probs(torch.tensor(z))
    np.testing.assert_allclose(log_yes, np.log(expected))
    np.testing.assert_allclose(log_no, np.log(1 - expected), rtol=1e-6)


def test_marginals_never_increase_along_a_chain():
    logits = torch.randn(10_000, 5) * 20
    p = TreeLink((None, 0, 1, 2, 3)).marginals(logits)
    assert (p.diff(dim=1) <= 0).all()
    assert (p >= 0).all()


@pytest.mark.parametrize("parents", [CHAIN, TREE[:3], INDEPENDENT])
def test_prior_logits_reproduce_the_rates(parents):
    link, rates = TreeLink(parents), torch.tensor([0.5, 0.2, 0.05])
    marginals = link.marginals(link.prior_logits(rates).unsqueeze(0))[0]
    before = [1.0 if parent is None else marginals[parent] for parent in parents]
    torch.testing.assert_close(marginals / torch.tensor(before), rates)


def test_prior_logits_of_rates_0_and_1_are_finite():
    assert torch.isfinite(TreeLink((None, 0)).prior_logits(torch.tensor([0.0, 0.0]))).all()
    assert torch.isfinite(TreeLink((None, 0)).prior_logits(torch.tensor([1.0, 1.0]))).all()
