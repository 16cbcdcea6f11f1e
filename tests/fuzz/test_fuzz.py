"""A fixed share of the attacks of ``make fuzz``. What these have found is written out in the tests of its file."""

import warnings

import numpy as np
import pytest

from tests.fuzz.attacks import ATTACKS

SEEDS = {"encoding": 600, "targets": 200, "options": 100}


@pytest.mark.parametrize(("name", "first"), [(name, first) for name, n in SEEDS.items() for first in range(0, n, 100)])
def test_attacks_find_nothing(name, first):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for seed in range(first, first + 100):
            ATTACKS[name](np.random.RandomState(seed))
