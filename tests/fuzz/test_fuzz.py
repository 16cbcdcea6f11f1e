"""A fixed share of the attacks of ``make fuzz``; a seed that has found something is added to `FOUND`, and stays."""

import warnings

import numpy as np
import pytest

from tests.fuzz.attacks import ATTACKS

SEEDS = {"encoding": 600, "targets": 200}
FOUND = {"encoding": [61, 358, 660, 1720, 1894, 11292], "targets": [73, 316]}


@pytest.mark.parametrize("first", range(0, 600, 100))
@pytest.mark.parametrize("name", SEEDS)
def test_attacks_find_nothing(name, first):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for seed in range(first, min(first + 100, SEEDS[name])):
            ATTACKS[name](np.random.RandomState(seed))


@pytest.mark.parametrize(("name", "seed"), [(name, seed) for name, seeds in FOUND.items() for seed in seeds])
def test_what_was_found_once(name, seed):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ATTACKS[name](np.random.RandomState(seed))
