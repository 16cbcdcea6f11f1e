"""Rows sorted by a value: their order, the sums per value, and the sums before each row."""

import numpy as np
import pytest

from sklearn_fsmd.encoding.statistics.by_value import ByValue, order_of


@pytest.mark.parametrize("largest", [0, 1, 200, 2**16 - 1, 2**16, 10**6, 2**32 - 1, 2**32, 2**62])
def test_order_of_equals_a_stable_argsort(largest):
    values = np.random.RandomState(0).randint(largest + 1, size=3000)
    values[::3] = largest
    np.testing.assert_array_equal(order_of(values), np.argsort(values, kind="stable"))


def test_no_rows_give_empty_results():
    no_values, counted = np.empty(0, np.int64), np.empty((0, 2))
    assert order_of(no_values).shape == (0,)
    values, sums = ByValue(no_values).totals(counted)
    assert values.shape == (0,)
    assert sums.shape == (0, 2)
    assert ByValue(no_values).before(counted).shape == (0, 2)


@pytest.mark.parametrize("shuffled", [False, True])
def test_sums_equal_those_of_a_loop(shuffled):
    random = np.random.RandomState(0)
    values, counted = random.randint(7, size=300), random.randint(4, size=(300, 2)).astype(float)
    order = random.permutation(300) if shuffled else np.arange(300)
    by_value = ByValue(values, order if shuffled else None)
    distinct, sums = by_value.totals(counted)
    np.testing.assert_array_equal(distinct, range(7))
    np.testing.assert_array_equal(sums, [counted[values == value].sum(axis=0) for value in range(7)])
    so_far, before = np.zeros((7, 2)), np.empty_like(counted)
    for i in order:
        before[i] = so_far[values[i]] if values[i] else 0
        so_far[values[i]] += counted[i]
    np.testing.assert_array_equal(by_value.before(counted), before)
