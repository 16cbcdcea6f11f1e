"""Speed against two peers, a bare loop and the matrix products: ``make bench``.

All contenders run in one process, in turn, round after round; a figure is the median over the rounds, and a ratio the
median of the ratios within the rounds, since the speed of a machine drifts. Absolute figures say little elsewhere.
"""

import argparse
import json
import os
import platform
import statistics
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from benchmarks.speed import data
from benchmarks.speed.contenders import CONTENDERS, Ours

RESULTS = Path(__file__).parent.parent / "results.json"


def seconds(function, *arguments):
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def in_turn(makers, measure, rounds):
    """Rows a second (or whatever `measure` returns) of each contender in each round, the first round left out."""
    contenders = {name: make() for name, make in makers.items()}
    figures = {name: [] for name in contenders}
    for i in range(rounds + 1):
        for name, contender in contenders.items():
            value = measure(contender)
            if i:
                figures[name].append(value)
            print(f"    round {i}  {name:14s} {value:12.1f}", flush=True)
    return figures


def summary(figures, ours="sklearn-fsmd"):
    """For each contender the median, and how many times as fast ours is."""
    table = {}
    for name, values in figures.items():
        ratios = [a / b for a, b in zip(figures[ours], values, strict=True)]
        table[name] = {"median": statistics.median(values), "ours_over": statistics.median(ratios)}
    return table


def train(n, batch_size, rounds, epochs=2):
    codes, numbers, labels = data.make(n)
    makers = {name: (lambda cls=cls: cls(batch_size)) for name, cls in CONTENDERS.items()}
    return summary(in_turn(makers, lambda c: n * epochs / seconds(c.fit, codes, numbers, labels, epochs), rounds))


def predict(n, rounds):
    codes, numbers, labels = data.make(n)
    small = slice(0, 20_000)

    def fitted(cls):
        contender = cls(2048)
        if hasattr(contender, "model"):
            contender.fit(codes[small], numbers[small], labels[small], 1)
        return contender

    makers = {name: (lambda cls=cls: fitted(cls)) for name, cls in CONTENDERS.items()}
    return summary(in_turn(makers, lambda c: n / seconds(c.predict, codes, numbers), rounds))


def latency(rounds=300):
    """Milliseconds for one row, as an array and as a DataFrame."""
    codes, numbers, labels = data.make(5000)
    array = data.as_array(codes, numbers)
    frame = pd.DataFrame(array, columns=[f"x{i}" for i in range(array.shape[1])])
    frame = frame.astype({f"x{i}": "int64" for i in range(data.N_CATEGORICAL)})
    names = list(frame.columns[: data.N_CATEGORICAL])
    result = {}
    for kind, X in (("array", array), ("DataFrame", frame)):
        model = Ours(2048, max_epochs=1, **({"categorical_features": names} if kind == "DataFrame" else {})).model
        model.fit(X, labels)
        row = X[:1]
        times = sorted(seconds(model.predict_proba, row) for _ in range(rounds))
        result[kind] = {"p50_ms": times[len(times) // 2] * 1e3, "p99_ms": times[len(times) * 99 // 100] * 1e3}
    return result


def encode(n=200_000, rounds=3):
    """Seconds to encode a frame of 30 string and 10 numeric columns."""
    from sklearn_fsmd import PLEClassifier
    from sklearn_fsmd.features import FeatureEncoder

    codes, numbers, _ = data.make(n)
    frame = pd.DataFrame({f"c{i}": np.char.add("v", codes[:, i].astype(str)) for i in range(data.N_CATEGORICAL)})
    frame = pd.concat([frame, pd.DataFrame(numbers, columns=[f"x{i}" for i in range(data.N_NUMERIC)])], axis=1)
    encoder = FeatureEncoder.of(PLEClassifier())
    fit = [seconds(encoder.fit_encode, frame) for _ in range(rounds)]
    transform = [seconds(encoder.encode, frame) for _ in range(rounds)]
    return {"fit_transform_s": statistics.median(fit), "transform_s": statistics.median(transform)}


def machine():
    return {
        "processor": platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def write(results):
    temporary = RESULTS.with_suffix(".tmp")
    temporary.write_text(json.dumps(results, indent=1) + "\n")
    os.replace(temporary, RESULTS)


def main():
    warnings.filterwarnings("ignore")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    parts = {
        "train, batch 2048": lambda: train(options.rows, 2048, options.rounds),
        "train, batch 256": lambda: train(options.rows, 256, options.rounds),
        "score": lambda: predict(options.rows, options.rounds),
        "one row": latency,
        "encode 200 k x 40": encode,
    }
    results = {"machine": machine(), "rows": options.rows}
    for name, part in parts.items():
        print(name, flush=True)
        results[name] = part()
        print(
            pd.DataFrame(results[name]).T.round(3)
            if name in ("one row",) or "ours" in str(results[name])
            else results[name]
        )
        write(results)


if __name__ == "__main__":
    main()
