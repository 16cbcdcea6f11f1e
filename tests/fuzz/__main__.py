"""Attacks without end, or for some minutes: ``python -m tests.fuzz --minutes 10``. Each is repeated by its seed."""

import argparse
import itertools
import time
import traceback
import warnings

import numpy as np

from tests.fuzz.attacks import ATTACKS


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument(
        "--seed", type=int, default=None, help="the first seed; by default one that was not used before"
    )
    parser.add_argument("--attack", choices=ATTACKS, default=None)
    parser.add_argument("--count", type=int, default=None, help="how many attacks at most")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    first = np.random.SeedSequence().generate_state(1)[0] // 2 if given.seed is None else given.seed
    end, found, n = time.monotonic() + 60 * given.minutes, 0, 0
    attacks = {given.attack: ATTACKS[given.attack]} if given.attack else ATTACKS
    for seed in itertools.count(int(first)):
        if time.monotonic() > end or n == given.count:
            break
        for name, attack in attacks.items():
            if name == "interruption" and given.attack is None and seed % 50:
                continue  # it takes as long as 50 of the others
            n += 1
            try:
                attack(np.random.RandomState(seed))
            except Exception:
                found += 1
                print(f"--- {name}, seed {seed} (python -m tests.fuzz --attack {name} --seed {seed} --count 1)")
                traceback.print_exc(limit=-3)
                if found >= 20:
                    break
        if found >= 20:
            break
    print(f"{n} attacks, {found} found something")
    raise SystemExit(found > 0)


main()
