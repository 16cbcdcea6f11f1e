"""Run long examples, and store their output and pictures: ``make docs-stored EXAMPLES="kuairand"``."""

from __future__ import annotations

import contextlib
import io
import json
import os
import platform
import re
import runpy
import subprocess
import sys
import time
import warnings
from importlib.metadata import version
from pathlib import Path

import matplotlib

from tools.gallery import STORED

EXAMPLES = Path(__file__).parents[2] / "examples"
LIBRARIES = ("torch", "scikit-learn", "numpy", "pandas")


def store(name: str) -> None:
    """Run an example as a program, and store its output under `docs/stored`."""
    from matplotlib import pyplot as plt

    plt.close("all")
    commit, printed, start = _commit(), io.StringIO(), time.perf_counter()
    sys.argv = [f"{name}.py"]
    with contextlib.redirect_stdout(printed), contextlib.chdir(_scratch()):
        names = runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    seconds = time.perf_counter() - start
    STORED.mkdir(exist_ok=True)
    pictures = [f"{name}_{i}.png" for i, _ in enumerate(plt.get_fignums(), 1)]
    for number, picture in zip(plt.get_fignums(), pictures, strict=True):
        plt.figure(number).savefig(STORED / picture, dpi=100, bbox_inches="tight")
    run = {
        "title": names["__doc__"].splitlines()[0],
        "command": f"python examples/{name}.py",
        "seconds": round(seconds, 1),
        "commit": commit,
        "versions": ", ".join([f"Python {platform.python_version()}", *(f"{n} {version(n)}" for n in LIBRARIES)]),
        "machine": _machine(),
        "printed": _without_logs(printed.getvalue()),
        "pictures": pictures,
    }
    (STORED / f"{name}.json").write_text(json.dumps(run, indent=1, ensure_ascii=False) + "\n")


def _commit() -> str:
    command = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=EXAMPLES).stdout.strip()


def _without_logs(printed: str) -> str:
    """The output of an example, without colours and without the log lines of Ray's processes."""
    lines = re.sub(r"\x1b\[\d+m", "", printed).splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith("(raylet)"))


def _scratch() -> Path:
    folder = Path(__file__).parents[2] / "build" / "examples"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _machine() -> str:
    import torch

    cores = torch.get_num_threads()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    return f"{name}, {cores} thread{'s' if cores > 1 else ''}, load average {os.getloadavg()[0]:.0f}"


if __name__ == "__main__":
    matplotlib.use("Agg")
    warnings.filterwarnings("ignore", message=".*no_silent_downcasting.*")  # category_encoders on pandas 3
    for example in sys.argv[1:]:
        store(example)
