"""How often a step happens where the one before it did."""

import numpy as np
import pytest

from sklearn_fsmd.encoding import StepSums
from sklearn_fsmd.encoding.targets import Targets

CHAIN = (None, 0, 1)


def rates(labels, weights, parents=CHAIN):
    targets = Targets(np.array(labels, np.float32), None if weights is None else np.array(weights, np.float32))
    return StepSums.from_targets(targets, parents).rates(parents)


def test_rates_are_conditional():
    labels = [[1, 1, 0], [1, 0, 0], [0, 0, 0], [1, 1, 1]]
    np.testing.assert_allclose(rates(labels, None), [3 / 4, 2 / 3, 1 / 2])
    np.testing.assert_allclose(rates(labels, None, (None, None, None)), [3 / 4, 2 / 4, 1 / 4])


def test_labels_that_are_missing_or_weighted_after_a_step():
    labels = [[1, 1, 0], [1, 0, 0], [1, 0, 0], [0, 0, 0], [0, 0, 0]]
    weights = [[1, 3, 1], [1, 1, 1], [1, 0, 0], [1, 1, 1], [1, 1, 1]]
    np.testing.assert_allclose(rates(labels, weights), [3 / 5, 3 / 4, 0])


def test_where_the_step_before_is_never_known_its_rate_divides_the_marginal():
    labels = [[1, 0, 0], [0, 0, 0], [0, 1, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0]]
    weights = [[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 1, 0], [0, 1, 0]]
    np.testing.assert_allclose(rates(labels, weights), [1 / 2, (1 / 4) / (1 / 2), 1 / 2])


def test_sums_of_parts_are_those_of_all():
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


def test_after_a_known_click_a_step_is_not_divided_by_the_rate_of_clicks():
    """One log knows click and cart, the other click and buy."""
    random = np.random.RandomState(0)
    labels = np.cumprod(random.uniform(size=(40_000, 3)) < [0.1, 0.5, 0.2], axis=1)
    weights = np.ones(labels.shape)
    clicked, first = labels[:, 0] == 1, random.uniform(size=len(labels)) < 0.5
    weights[clicked & first, 2], weights[clicked & ~first, 1] = 0, 0
    np.testing.assert_allclose(rates(labels, weights), [0.1, 0.5, 0.2], rtol=0.1)


def test_a_few_rows_that_know_all_do_not_outvote_the_others():
    labels = np.repeat([[1, 1, 1], [1, 0, 1], [1, 0, 0], [1, 1, 0]], [1, 250, 750, 500], axis=0)
    weights = np.repeat([[1, 1, 1], [1, 0, 1], [1, 0, 1], [1, 1, 0]], [1, 250, 750, 500], axis=0)
    click, cart, buy = rates(labels, weights)
    assert (click, cart) == (1, 1)
    assert buy == pytest.approx(251 / 1001)
