"""What the extra `fast` costs once, and what its matrix products do."""

import os
import subprocess
import sys
import tempfile

import numpy as np
import torch

from benchmarks.speed.isolation import seconds
from sklearn_fsmd.runtime import threads

SHAPES = {"batch 2048": (2048, 256, 130), "batch 256": (256, 256, 130)}
"""Rows, outputs and inputs of a layer."""

FIRST_FIT = """
import time
from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.datasets import make_funnel
X, Y = make_funnel(5000, random_state=0, return_X_y=True)
for _ in range(2):
    start = time.perf_counter()
    FSMDClassifier(max_epochs=1, random_state=0).fit(X, Y)
    print(time.perf_counter() - start)
"""


def first_fit():
    """Seconds that the first fit on a machine takes longer than the second: it imports numba and compiles."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "NUMBA_CACHE_DIR": folder}
        run = subprocess.run(
            [sys.executable, "-c", FIRST_FIT], env=environment, capture_output=True, text=True, check=True
        )
    first, second = map(float, run.stdout.split())
    return {"seconds": first - second}


def products(rounds=7, calls=50):
    """Billions of operations a second on one core: MKL's and the library's own, forward and the weights' gradient."""
    from sklearn_fsmd.execution.loops import products as own

    table = {}
    for name, (m, n, k) in SHAPES.items():
        for low in (False, True):
            kind = torch.bfloat16 if low else torch.float32
            x, w, dz = (torch.randn(shape).to(kind) for shape in ((m, k), (k, n), (m, n)))
            z, dw = torch.empty(m, n), torch.empty(k, n)
            forward = low, x.data_ptr(), k, False, w.data_ptr(), n, False, z.data_ptr(), n, m, n, k
            weights = low, x.data_ptr(), k, True, dz.data_ptr(), n, False, dw.data_ptr(), n, k, n, m
            for maker, multiply in (("MKL", own.call_mkl), ("the library", own.multiply)):
                row = table[f"{maker}, {'bf16' if low else 'float32'}, {name}"] = {}
                for label, given in (("forward", forward), ("weights", weights)):
                    with threads(1):
                        times = [seconds(_repeat, multiply, given, calls) for _ in range(rounds)]
                    row[label] = 2 * m * n * k * calls / float(np.median(times)) / 1e9
    return table


def _repeat(multiply, given, calls):
    for _ in range(calls):
        multiply(*given)
