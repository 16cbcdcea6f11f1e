"""Rates of the steps of a chain, each given that the previous step has happened."""

import numpy as np
import pytest

from sklearn_fsmd.encoding.targets import StepSums
from sklearn_fsmd.encoding.targets.encoder import Targets

CHAIN = (None, 0, 1)


def rates(labels, weights, parents=CHAIN):
    targets = Targets(np.array(labels, np.float32), None if weights is None else np.array(weights, np.float32))
    return StepSums.from_targets(targets, parents).rates(parents)


def test_rates_are_conditional():
    labels = [[1, 1, 0], [1, 0, 0], [0, 0, 0], [1, 1, 1]]
    np.testing.assert_allclose(rates(labels, None), [3 / 4, 2 / 3, 1 / 2])
    np.testing.assert_allclose(rates(labels, None, (None, None, None)), [3 / 4, 2 / 4, 1 / 4])


def test_missing_and_weighted_labels_of_later_steps():
    labels = [[1, 1, 0], [1, 0, 0], [1, 0, 0], [0, 0, 0], [0, 0, 0]]
    weights = [[1, 3, 1], [1, 1, 1], [1, 0, 0], [1, 1, 1], [1, 1, 1]]
    np.testing.assert_allclose(rates(labels, weights), [3 / 5, 3 / 4, 0])


def test_if_the_previous_step_is_never_known_its_rate_divides_the_marginal():
    labels = [[1, 0, 0], [0, 0, 0], [0, 1, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0]]
    weights = [[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 1, 0], [0, 1, 0]]
    np.testing.assert_allclose(rates(labels, weights), [1 / 2, (1 / 4) / (1 / 2), 1 / 2])


def test_sums_of_parts_add_up_to_the_sums_of_all_rows():
    random = np.random.RandomState(0)
    labels = np.cumprod(random.randint(2, size=(40, 3)), axis=1)
    weights = random.choice([0.0, 1.0, 2.5], size=(40, 3))
    targets = Targets(labels.astype(np.float32), weights.astype(np.float32))
    parts = [
        StepSums.from_targets(targets.part(np.arange(40)[s]).scaled(), CHAIN) for s in (slice(0, 15), slice(15, 40))
    ]
    whole = StepSums.from_targets(Targets(labels.astype(np.float32), weights.astype(np.float32)), CHAIN)
    raw = [
        StepSums.from_targets(Targets(targets.labels[s], targets.weights[s]), CHAIN)
        for s in (slice(0, 15), slice(15, 40))
    ]
    for together, one in zip(raw[0].plus(raw[1]), whole, strict=True):
        np.testing.assert_allclose(together, one)
    assert parts[0].rates(CHAIN) == pytest.approx(raw[0].rates(CHAIN))


def test_steps_after_a_known_click_are_not_divided_by_the_click_rate():
    """One log has labels of click and cart, the other of click and buy."""
    random = np.random.RandomState(0)
    labels = np.cumprod(random.uniform(size=(40_000, 3)) < [0.1, 0.5, 0.2], axis=1)
    weights = np.ones(labels.shape)
    clicked, first = labels[:, 0] == 1, random.uniform(size=len(labels)) < 0.5
    weights[clicked & first, 2], weights[clicked & ~first, 1] = 0, 0
    np.testing.assert_allclose(rates(labels, weights), [0.1, 0.5, 0.2], rtol=0.1)


def test_a_few_rows_with_all_labels_do_not_outweigh_the_others():
    labels = np.repeat([[1, 1, 1], [1, 0, 1], [1, 0, 0], [1, 1, 0]], [1, 250, 750, 500], axis=0)
    weights = np.repeat([[1, 1, 1], [1, 0, 1], [1, 0, 1], [1, 1, 0]], [1, 250, 750, 500], axis=0)
    click, cart, buy = rates(labels, weights)
    assert (click, cart) == (1, 1)
    assert buy == pytest.approx(251 / 1001)
