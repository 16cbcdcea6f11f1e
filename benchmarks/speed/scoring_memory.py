"""What a process that loads a model and scores needs, for each byte of its weights."""

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from sklearn_fsmd import FSMDClassifier

SMALL, LARGE = 1000, 1_000_000
"""Values of the one column, and so rows of the table."""

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
    """Bytes that a process grows by when it loads a file and scores 1,000 rows; needs Linux.

    What is needed once, whichever the model (modules that are imported then, memory of torch), a small model tells.
    """
    (small_weights, small), (weights, large) = (_grown(n, rounds) for n in (SMALL, LARGE))
    return {"weights_bytes": weights, "once_bytes": small, "over_weights": (large - small) / (weights - small_weights)}


def _grown(n, rounds):
    """The bytes of a model's weights, and by how many a process grows that scores with it."""
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
