"""Pairs of categories that interact: which are ranked, on how many rows, and what chance may not do."""

import numpy as np
import pytest

from sklearn_fsmd.encoding.statistics import crosses
from sklearn_fsmd.encoding.statistics.crosses import Residuals, most_surprising, n_rows_of, pairs_of

SIZES = [4, 8, 30, 60, 200]
PAIRS = pairs_of(SIZES, largest=4)


def rows(seed, rate, interaction=0.0, main=0.0, n=20_000):
    """Codes, and the residuals of a prediction that knows the rate and neither main effects nor interactions."""
    random = np.random.RandomState(seed)
    codes = np.column_stack([(size * random.uniform(size=n) ** 3).astype(int) for size in SIZES])
    signs = np.random.RandomState(9).choice([-1, 1], size=(8, 30))
    log_odds = np.log(rate / (1 - rate)) + interaction * signs[codes[:, 1], codes[:, 2]] + main * (codes[:, 2] % 2)
    y = random.uniform(size=n) < 1 / (1 + np.exp(-log_odds))
    p = y.mean()
    return codes, Residuals(np.arange(n), y - p, np.full(n, p * (1 - p)))


@pytest.mark.parametrize("rate", [0.3, 0.01])
def test_chance_is_not_surprising(rate, monkeypatch):
    """Also with many combinations of hardly a row, in which a single event is far above what is expected."""
    monkeypatch.setattr(crosses, "LEAST_SCORE", 3.0)
    for seed in range(30):
        codes, step = rows(seed, rate)
        assert most_surprising(codes, SIZES, PAIRS, [step]) == []


@pytest.mark.parametrize(("rate", "interaction"), [(0.3, 0.5), (0.05, 1.0)])
def test_an_interaction_is(rate, interaction):
    codes, step = rows(0, rate, interaction)
    assert most_surprising(codes, SIZES, PAIRS, [step])[0] == (1, 2)
    of_some = Residuals(step.rows[:10], step.scores[:10], step.variances[:10])
    assert most_surprising(codes, SIZES, PAIRS, [of_some, step])[0] == (1, 2)


def test_what_a_column_explains_alone_is_not():
    codes, step = rows(0, 0.3, main=2.0)
    assert most_surprising(codes, SIZES, PAIRS, [step]) == []


def test_pairs_and_rows():
    assert PAIRS == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    assert pairs_of([2, 400, 300, 5], largest=1) == [(2, 3)]
    assert pairs_of([400, 300, 5], largest=2) == []  # more than 100,000 combinations
    assert n_rows_of(10, 1000) == 1000
    assert n_rows_of(10, 10**6) == crosses.MOST_ROWS
    assert n_rows_of(1000, 10**6) == 30_000
    assert n_rows_of(10_000, 10**6) == 0
    assert n_rows_of(10_000, 2000) == 2000
