"""Dropout with its own random numbers."""

import pytest
import torch

from sklearn_fsmd.network.dropout import Dropout, seed_dropout


@pytest.mark.parametrize("p", [0.1, 0.3, 0.5, 0.9])
def test_drops_the_right_share_and_keeps_the_mean(p):
    dropout = Dropout(p)
    y = dropout(torch.ones(1000, 501))
    assert (y == 0).float().mean().item() == pytest.approx(p, abs=0.003)
    assert y.mean().item() == pytest.approx(1.0, abs=0.01)
    assert len(y.unique()) == 2


def test_neighbouring_units_are_dropped_independently():
    kept = Dropout(0.5)(torch.ones(100_000, 9)) > 0
    for lag in range(1, 9):
        both_kept = (kept[:, :-lag] & kept[:, lag:]).float().mean().item()
        assert both_kept == pytest.approx(0.25, abs=0.005)


def test_returns_the_input_in_evaluation_or_at_rate_0():
    x = torch.randn(5, 3)
    assert Dropout(0.5).eval()(x) is x
    assert Dropout(0.0)(x) is x


def test_draws_from_its_own_generator():
    dropout = torch.nn.Sequential(Dropout(0.5))
    before = torch.get_rng_state()
    seed_dropout(dropout, 7)
    first = dropout(torch.ones(100))
    assert torch.equal(torch.get_rng_state(), before)
    seed_dropout(dropout, 7)
    assert torch.equal(dropout(torch.ones(100)), first)
    assert not torch.equal(dropout(torch.ones(100)), first)


@pytest.mark.parametrize("p", [-0.1, 1.0])
def test_invalid_rates_are_refused(p):
    with pytest.raises(ValueError, match=rf"must be in \[0, 1\), got p={p}"):
        Dropout(p)
