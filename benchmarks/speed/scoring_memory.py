"""Memory of a process that loads a model and scores, per byte of the weights."""

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from sklearn_fsmd import FSMDClassifier

SMALL, LARGE = 1000, 1_000_000
"""Number of values of the only column, which is the number of rows of the table."""

SCORE = """
import sys
import numpy as np
from sklearn_fsmd import FSMDClassifier
def resident():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) * 1024
before = resident()
model = FSMDClassifier.load(sys.argv[1], device="cpu")
model.predict_marginals(np.arange(1000.0).reshape(-1, 1))
print(resident() - before)
"""


def scoring_memory(rounds=3):
    """The growth in bytes of a process that loads a file and scores 1,000 rows; needs Linux.

    A small model gives the memory that does not depend on the model (imported modules, memory of torch).
    """
    (small_weights, small), (weights, large) = (_grown(n, rounds) for n in (SMALL, LARGE))
    return {"weights_bytes": weights, "once_bytes": small, "over_weights": (large - small) / (weights - small_weights)}


def _grown(n, rounds):
    """The bytes of a model's weights, and the growth of a process that scores with it."""
    X, Y = np.arange(n, dtype=float).reshape(-1, 1), np.random.default_rng(0).integers(2, size=(n, 1))
    options = {"embedding_dim": 32, "min_frequency": 1, "target_statistics": None, "random_state": 0}
    steps = {"max_epochs": 1, "batch_size": 8192, "early_stopping": False}
    model = FSMDClassifier(categorical_features=[0], **options, **steps).fit(X, Y)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        model.save(path)
        command = [sys.executable, "-c", SCORE, path]
        runs = [subprocess.run(command, capture_output=True, text=True, check=True) for _ in range(rounds)]
    weights = sum(parameter.nbytes for parameter in model.module_.parameters())
    return weights, statistics.median(int(run.stdout) for run in runs)
