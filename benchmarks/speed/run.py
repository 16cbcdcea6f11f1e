"""Speed and memory, compared with two libraries, a bare loop and the matrix products: ``make bench``.

Each contender has a separate process. They run in turn, one at a time, round after round. A rate is the median over the
rounds. A ratio is the median of the ratios within the rounds, since the speed of a machine drifts. Absolute numbers
are not comparable between machines.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from benchmarks.speed import data, growth
from benchmarks.speed.contenders import CONTENDERS, Ours
from benchmarks.speed.first_fit import first_fit
from benchmarks.speed.isolation import Isolated, seconds
from benchmarks.speed.scoring_memory import scoring_memory
from sklearn_fsmd.execution import available_way

RESULTS = Path(__file__).parent.parent / "results.json"
OURS = "sklearn-fsmd"
BF16, PLAIN = {"bf16": {"precision": "bf16"}}, {"by torch alone": {"execution": "torch"}}
"""Variants of this library."""
EPOCHS = 2
PEERS = "deepctr-torch", "torch-rechub"


def build(name, batch_size, n, options):
    """A contender, and its data."""
    if execution := options.pop("execution", None):
        os.environ["SKLEARN_FSMD_EXECUTION"] = execution
    contender = CONTENDERS[name](batch_size, **options)
    return contender, data.make(n)


def train_rate(built):
    """Training rows per second; the time includes validation."""
    contender, table = built
    return len(table[0]) * contender.trained * EPOCHS / seconds(contender.fit, *table, EPOCHS)


def prepare(built, n=20_000):
    """Fit a contender that needs a fit before it can score."""
    contender, table = built
    if hasattr(contender, "model"):
        contender.fit(*(part[:n] for part in table), 1)


def score_rate(built):
    contender, (codes, numbers, _) = built
    return len(codes) / seconds(contender.predict, codes, numbers)


def in_turn(processes, measure, rounds):
    """The result of `measure` for each contender in each round; the contenders run in turn."""
    figures = {name: [] for name in processes}
    for i in range(rounds):
        for name, process in processes.items():
            figures[name].append(process.call(measure))
            print(f"    round {i}  {name:18s} {figures[name][-1]:12.1f}", flush=True)
    return figures


def summary(figures):
    """For each contender the median, and how many times as fast this library is."""
    table = {}
    for name, values in figures.items():
        ratios = [a / b for a, b in zip(figures[OURS], values, strict=True)]
        table[name] = {"median": statistics.median(values), "ours_over": statistics.median(ratios), "rounds": values}
    return table


def compare(batch_size, n, rounds, measure, *, variants=None, warm_up=None):
    variants = variants or {}
    builds = {name: (name, batch_size, n, {}) for name in CONTENDERS}
    builds |= {f"{OURS} {variant}": (OURS, batch_size, n, options) for variant, options in variants.items()}
    processes = {name: Isolated(build, *arguments) for name, arguments in builds.items()}
    try:
        for process in processes.values():
            process.call(warm_up or measure)
        figures = in_turn(processes, measure, rounds)
    finally:
        for process in processes.values():
            process.close()
    table = summary(figures)
    for variant in variants:
        of_variant = figures[f"{OURS} {variant}"]
        table[f"{OURS} {variant}"]["over"] = {
            name: statistics.median(a / b for a, b in zip(of_variant, values, strict=True))
            for name, values in figures.items()
        }
    return table


def latency(rounds=2000):
    """Milliseconds for one row, as an array and as a DataFrame."""
    codes, numbers, labels = data.make(5000)
    array = data.as_array(codes, numbers)
    frame = pd.DataFrame(array, columns=[f"x{i}" for i in range(array.shape[1])])
    names = list(frame.columns[: data.N_CATEGORICAL])
    frame = frame.astype(dict.fromkeys(names, "int64"))
    result = {}
    for kind, X in (("array", array), ("DataFrame", frame)):
        model = Ours(2048, max_epochs=1, **({"categorical_features": names} if kind == "DataFrame" else {})).model
        model.fit(X, labels)
        row = X[:1]
        times = sorted(seconds(model.predict_proba, row) for _ in range(rounds))
        result[kind] = {"p50_ms": times[len(times) // 2] * 1e3, "p99_ms": times[len(times) * 99 // 100] * 1e3}
    return result


def encode(n=200_000, rounds=5):
    """Seconds to encode a frame of 30 string and 10 numeric columns."""
    from sklearn_fsmd import PLEClassifier
    from sklearn_fsmd.encoding.table import FeatureEncoder

    codes, numbers, _ = data.make(n)
    frame = pd.DataFrame({f"c{i}": np.char.add("v", codes[:, i].astype(str)) for i in range(data.N_CATEGORICAL)})
    frame = pd.concat([frame, pd.DataFrame(numbers, columns=[f"x{i}" for i in range(data.N_NUMERIC)])], axis=1)
    encoders = [FeatureEncoder.from_params(PLEClassifier()) for _ in range(rounds)]
    fit = [seconds(encoder.fit_encode, frame) for encoder in encoders]
    transform = [seconds(encoder.encode, frame) for encoder in encoders]
    return {"fit_transform_s": statistics.median(fit), "transform_s": statistics.median(transform)}


def importing(rounds=7):
    """Seconds to import this package in a new process, and their ratio to importing only torch and scikit-learn."""
    code = "import time; start = time.perf_counter(); import {}; print(time.perf_counter() - start)"

    def measure(names):
        run = subprocess.run([sys.executable, "-c", code.format(names)], capture_output=True, text=True, check=True)
        return float(run.stdout)

    pairs = [(measure("sklearn_fsmd"), measure("torch, sklearn")) for _ in range(rounds)]
    return {"seconds": statistics.median(a for a, _ in pairs), "ratio": statistics.median(a / b for a, b in pairs)}


def machine():
    info = Path("/proc/cpuinfo")  # Linux only; elsewhere Python names the processor
    lines = info.read_text().splitlines() if info.exists() else []
    fields = {line.split("\t")[0]: line.partition(": ")[2] for line in lines}  # of the last core
    return {
        "processor": fields.get("model name") or platform.processor() or platform.machine(),
        "family and model": f"{fields.get('cpu family', '?')}, {fields.get('model', '?')}",  # AMD 25, 17 is Zen 4
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "execution": ", ".join(available_way("cpu")),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("torch", "scikit-learn", "skorch", "numpy", *PEERS)},
        "commit": commit(),
    }


def commit():
    run = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return run.stdout.strip()


def write(results):
    temporary = RESULTS.with_suffix(".tmp")
    temporary.write_text(json.dumps(results, indent=1) + "\n")
    os.replace(temporary, RESULTS)


def show(result):
    """Print a result: a table, if there is one, and the single numbers below it."""
    table = result.get("points", result)
    if all(isinstance(row, dict) for row in table.values()):
        figures = pd.DataFrame(table).T.drop(columns=["over", "rounds"], errors="ignore")
        print(figures.astype(float).round(3).to_string())
    for name, value in result.items():
        if not isinstance(value, dict):
            print(f"{name}: {value:.3f}")


def main():
    warnings.filterwarnings("ignore")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=60_000, help="rows to train on (default: 60000)")
    parser.add_argument("--score-rows", type=int, default=1_000_000, help="rows to score (default: 1000000)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--parts", nargs="*", help="run only these parts, and keep the other results")
    options = parser.parse_args()
    parts = {
        "train, batch 2048": lambda: compare(2048, options.rows, options.rounds, train_rate, variants=BF16 | PLAIN),
        "train, batch 256": lambda: compare(256, options.rows, options.rounds, train_rate, variants=PLAIN),
        "score": lambda: compare(2048, options.score_rows, options.rounds, score_rate, variants=PLAIN, warm_up=prepare),
        "one row": latency,
        "encode 200 k x 40": encode,
        "import": importing,
        "first fit": first_fit,
        "scoring memory": scoring_memory,
        "growth, rows": growth.rows,
        "growth, experts": growth.experts,
        "growth, vocabulary": growth.vocabulary,
        "growth, tasks": growth.tasks,
        "task weighting": growth.weighting,
    }
    results = json.loads(RESULTS.read_text()) if options.parts and RESULTS.exists() else {"made": {}}
    made = {"rows": options.rows, "score_rows": options.score_rows, "rounds": options.rounds, **machine()}
    for name in options.parts or parts:
        print(name, flush=True)
        results[name] = parts[name]()
        results["made"][name] = made  # parts may come from different runs
        show(results[name])
        write(results)
    if all(name in results for name in parts):
        from benchmarks.speed.plot import draw

        draw(results, RESULTS.with_suffix(".png"))


if __name__ == "__main__":
    main()
