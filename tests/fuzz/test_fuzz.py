"""A fixed part of the cases of ``make fuzz``. Each fault that they found has its own test in the matching file."""

import warnings

import numpy as np
import pytest

from tests.fuzz.attacks import FUZZ_TESTS

SEEDS = {"encoding": 600, "targets": 200, "options": 100}


@pytest.mark.parametrize(("name", "first"), [(name, first) for name, n in SEEDS.items() for first in range(0, n, 100)])
def test_fuzz_tests_find_no_fault(name, first):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for seed in range(first, first + 100):
            FUZZ_TESTS[name](np.random.RandomState(seed))
