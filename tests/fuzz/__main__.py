"""Run fuzz tests until they are stopped, or for some minutes: ``python -m tests.fuzz --minutes 10``.

The seed of a case repeats it.
"""

import argparse
import itertools
import time
import traceback
import warnings

import numpy as np

from tests.fuzz.attacks import FUZZ_TESTS


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--seed", type=int, default=None, help="the first seed; by default a random one")
    parser.add_argument("--attack", choices=FUZZ_TESTS, default=None)
    parser.add_argument("--count", type=int, default=None, help="the maximum number of cases")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    first = np.random.SeedSequence().generate_state(1)[0] // 2 if arguments.seed is None else arguments.seed
    end, n_faults, n_cases = time.monotonic() + 60 * arguments.minutes, 0, 0
    fuzz_tests = {arguments.attack: FUZZ_TESTS[arguments.attack]} if arguments.attack else FUZZ_TESTS
    for seed in itertools.count(int(first)):
        if time.monotonic() > end or n_cases == arguments.count:
            break
        for name, fuzz_test in fuzz_tests.items():
            if name == "interruption" and arguments.attack is None and seed % 50:
                continue  # one case takes as long as 50 cases of the others
            n_cases += 1
            try:
                fuzz_test(np.random.RandomState(seed))
            except Exception:
                n_faults += 1
                print(f"--- {name}, seed {seed} (python -m tests.fuzz --attack {name} --seed {seed} --count 1)")
                traceback.print_exc(limit=-3)
                if n_faults >= 20:
                    break
        if n_faults >= 20:
            break
    print(f"{n_cases} cases, {n_faults} faults")
    raise SystemExit(n_faults > 0)


main()
