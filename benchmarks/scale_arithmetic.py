"""Estimated cost of training on a large log: ``python -m benchmarks.scale_arithmetic``.

Nothing is measured here. The speeds come from docs/scale.md.
"""

import argparse

FLOAT, INDEX = 4, 8


def memory(ids, dim):
    """Bytes of a table of `ids` rows in each process: weights, two moments of Adam, the average, the last steps."""
    return ids * (dim * FLOAT * 4 + 2 * FLOAT)


def row(options, machines):
    """Hours and bytes on `machines` machines, with one process on each."""
    share = options.batch_per_machine
    touched = share * options.columns
    sent = touched * (options.dim * FLOAT + INDEX)
    received = sent * (machines - 1) + 2 * options.dense * FLOAT * (machines - 1) / machines
    speed = options.speed * options.threads_gain
    computation = share / speed
    communication = received / options.network
    return {
        "machines": machines,
        "rows per step": share * machines,
        "two passes before, h": 2 * options.rows / options.passes_speed / 3600,
        "computing, h per epoch": options.rows / (speed * machines) / 3600,
        "received per step, MB": received / 1e6,
        "computing per step, ms": computation * 1e3,
        "network per step, ms": communication * 1e3,
        "total, h per epoch": options.rows / (share * machines) * (computation + communication) / 3600,
        "table in each process, GB": memory(options.ids, options.dim) / 1e9,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=float, default=5e9)
    parser.add_argument("--ids", type=float, default=1e9)
    parser.add_argument("--dim", type=int, default=16)
    parser.add_argument("--columns", type=int, default=40, help="columns of codes, including the bins of numbers")
    parser.add_argument("--dense", type=float, default=1e6, help="number of weights outside the table")
    parser.add_argument("--batch-per-machine", type=int, default=1024)
    parser.add_argument("--speed", type=float, default=45_000, help="rows per second of one thread in an epoch")
    parser.add_argument("--threads-gain", type=float, default=1.0, help="speedup of a process by more threads")
    parser.add_argument("--passes-speed", type=float, default=250_000, help="rows per second before the first epoch")
    parser.add_argument("--network", type=float, default=1.25e9, help="bytes per second that a machine receives")
    options = parser.parse_args()
    rows = [row(options, machines) for machines in (1, 8, 64)]
    for name in rows[0]:
        print(f"{name:30}", *(f"{column[name]:>12,.1f}" for column in rows))


if __name__ == "__main__":
    main()
