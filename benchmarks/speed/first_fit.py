"""Time of the first fit in a new environment, relative to the same fit in a later process."""

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

FIT = """
import time
from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.datasets import make_funnel
X, Y = make_funnel(10_000, random_state=0, return_X_y=True)
start = time.perf_counter()
FSMDClassifier(max_epochs=3, random_state=0).fit(X, Y)
print(time.perf_counter() - start)
"""
ROOT = Path(__file__).parent.parent.parent


def first_fit(rounds=3):
    """Seconds of the first fit in a new environment and of the first fit of a later process, and their ratio.

    Each round installs only this repository into a new environment.
    """
    rows = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            python = Path(folder) / "bin" / "python"
            subprocess.run([sys.executable, "-m", "venv", folder], check=True)
            subprocess.run([python, "-m", "pip", "install", "--quiet", ROOT], check=True)
            rows.append([_seconds(python, folder) for _ in range(4)])
    first = statistics.median(row[0] for row in rows)
    later = statistics.median(statistics.median(row[1:]) for row in rows)
    return {
        "first_s": first,
        "later_s": later,
        "ratio": statistics.median(r[0] / statistics.median(r[1:]) for r in rows),
    }


def _seconds(python, folder):
    run = subprocess.run([python, "-c", FIT], capture_output=True, text=True, check=True, cwd=folder)
    return float(run.stdout)
