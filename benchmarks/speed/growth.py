"""How time and memory grow with rows, experts, vocabulary and tasks; each point is measured in a separate process."""

import time

import numpy as np
import pandas as pd

from benchmarks.speed import data
from benchmarks.speed.contenders import PLE
from benchmarks.speed.isolation import Isolated, peak_bytes
from sklearn_fsmd import PLEClassifier
from sklearn_fsmd.encoding.table import FeatureEncoder
from sklearn_fsmd.training import Net

BATCH = 2048
TIMED_ROWS = 500_000
"""Fits are repeated until this number of rows has been timed, since short times are unreliable on a shared machine."""
STEPS = 25
"""Number of timed steps, unless the number of rows grows."""


class Case:
    """A table, and a model to fit on it."""

    def __init__(self, n, *, cardinality=data.CARDINALITY, n_tasks=2, **params):
        codes, numbers, self.labels = data.make(n, cardinality=cardinality, n_tasks=n_tasks)
        names = [f"c{i}" for i in range(data.N_CATEGORICAL)]
        self.frame = pd.DataFrame({name: codes[:, i].astype(np.int64) for i, name in enumerate(names)})
        self.frame[[f"x{i}" for i in range(data.N_NUMERIC)]] = numbers
        fixed = {"batch_size": BATCH, "lr": 1e-3, "max_epochs": 1, "random_state": 0, "categorical_features": names}
        self.model = PLEClassifier(**{**PLE, **fixed, **params})
        self.model.fit(self.frame[:4096], self.labels[:4096])  # warm-up: one-time costs are not measured

    def fit(self):
        """Median seconds of a whole fit, and the peak memory that it adds; short fits are repeated."""
        times, peaks = [], []
        for _ in range(max(TIMED_ROWS // len(self.frame), 1)):
            start = time.perf_counter()
            peaks.append(peak_bytes(self.model.fit, self.frame, self.labels)[0])
            times.append(time.perf_counter() - start)
        return {"seconds": float(np.median(times)), "peak_bytes": max(peaks), **self.sizes()}

    def sizes(self):
        n_codes = self.model.module_.embedding.table.num_embeddings
        return {
            "encoded_bytes": len(self.frame) * self.frame.shape[1] * 4,
            "parameter_bytes": sum(p.nbytes for p in self.model.module_.parameters()),
            "table_rows": n_codes,
        }

    def steps(self, table_rows=None):
        """Median milliseconds per training step; with `table_rows`, random codes from a table of that size are used."""
        times, step, encode = [], Net.train_step, FeatureEncoder.fit_encode

        def timed(net, *arguments, **options):
            start = time.perf_counter()
            result = step(net, *arguments, **options)
            times.append(time.perf_counter() - start)
            return result

        def enlarged(encoder, X):
            encoded = encode(encoder, X)
            encoder.cardinalities[-1] += table_rows - sum(encoder.cardinalities)
            encoded.codes[:] = np.random.default_rng(0).integers(table_rows, size=encoded.codes.shape)
            return encoded

        Net.train_step = timed
        if table_rows:
            FeatureEncoder.fit_encode = enlarged
        try:
            peak, _ = peak_bytes(self.model.fit, self.frame, self.labels)
        finally:
            Net.train_step, FeatureEncoder.fit_encode = step, encode
        return {"step_ms": float(np.median(times[2:])) * 1e3, "peak_bytes": peak, **self.sizes()}


def alone(n, arguments, measure, *more, **params):
    """The result of `measure` for a case, in a separate process."""
    process = Isolated(_case, n, {**params, **arguments})
    try:
        return process.call(measure, *more)
    finally:
        process.close()


def _case(n, params):
    return Case(n, **params)


def rows(sizes=(50_000, 200_000, 1_000_000, 2_000_000)):
    """Rows per second of a whole fit of one epoch; the smallest size is measured before and after the others."""
    result = {}
    for n in (*sizes, sizes[0]):
        point = alone(n, {}, Case.fit)
        point["rows_per_s"] = n / point["seconds"]
        if n in result:
            point["rows_per_s"] = (point["rows_per_s"] + result[n]["rows_per_s"]) / 2
        result[n] = point
    small, large = result[sizes[0]], result[sizes[-1]]
    return {
        "points": result,
        "large_over_small": large["rows_per_s"] / small["rows_per_s"],
        "peak_less_4_parameters_over_encoded": (large["peak_bytes"] - 4 * large["parameter_bytes"])
        / large["encoded_bytes"],
    }


def experts(counts=(2, 4, 8, 16, 32)):
    """Milliseconds per step by the number of experts per level, including the shared ones."""
    split = {n: {"n_task_experts": max(n // 4, 1), "n_shared_experts": max(n - 2 * max(n // 4, 1), 1)} for n in counts}
    return {"points": {n: alone(STEPS * BATCH, params, Case.steps) for n, params in split.items()}}


def vocabulary(sizes=(100_000, 1_000_000, 10_000_000)):
    """Milliseconds per step by the number of rows of the table; a row has 16 numbers."""
    points = {n: alone(STEPS * BATCH, {"embedding_dim": 16}, Case.steps, n) for n in sizes}
    return {"points": points, "large_over_small": points[sizes[-1]]["step_ms"] / points[sizes[0]]["step_ms"]}


def weighting(rules=("fixed", "uncertainty", "pcgrad", "gradnorm")):
    """Milliseconds per step of two tasks by `task_weighting`; "fixed" is measured before and after the others."""
    points = {}
    for name in (*rules, rules[0]):
        point = alone(STEPS * BATCH, {"task_weighting": name}, Case.steps)
        if name in points:
            point["step_ms"] = (point["step_ms"] + points[name]["step_ms"]) / 2
        points[name] = point
    return {"points": points} | {
        f"{n}_over_fixed": points[n]["step_ms"] / points["fixed"]["step_ms"] for n in rules[1:]
    }


def tasks(counts=(1, 2, 4, 8)):
    """Milliseconds per step by the number of tasks."""
    return {"points": {n: alone(STEPS * BATCH, {"n_tasks": n}, Case.steps) for n in counts}}
