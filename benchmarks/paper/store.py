"""Results as csv files that grow job by job, so that a run that was killed goes on where it was."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import pandas as pd

HERE = Path(__file__).parent
TYPES = {"commit": str}
"""A commit may look like a number."""


class Store:
    """The csv file of one part, as far as the code of today has got.

    Rows of another commit are not gone on with, and leave the file when the first new one comes: figures of unlike code
    must not be paired. Rows that `stays` says so of do not depend on our code.
    """

    def __init__(self, part, folder, stays=lambda row: False):
        self.path = Path(folder) / f"{part}.csv"
        rows = pd.read_csv(self.path, dtype=TYPES).to_dict("records") if self.path.exists() else []
        commit = provenance()["commit"]
        self.rows = [row for row in rows if row["commit"] == commit or stays(row)]

    def has(self, key):
        return self.row(key) is not None

    def row(self, key):
        """The first row with these values; None if there is none."""
        return next((row for row in self.rows if all(row.get(name) == key[name] for name in key)), None)

    def add(self, rows):
        """Write under a temporary name first: a kill leaves the former file whole."""
        self.rows += [{**row, **provenance()} for row in rows]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_suffix(".tmp")
        pd.DataFrame(self.rows).to_csv(temporary, index=False, float_format="%.6g")
        os.replace(temporary, self.path)


def provenance():
    """The commit and the versions that gave a row; a "+" after the commit says that files had been changed."""
    git = ["git", "-C", str(HERE)]
    commit = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    changed = subprocess.run([*git, "diff", "HEAD", "--quiet", "--", "../../sklearn_fsmd"], capture_output=True)
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "scikit-learn", "skorch", "numpy", "pandas"))
    return {
        "commit": commit + ("+" if changed.returncode == 1 else ""),
        "versions": f"Python {platform.python_version()}, {packages}",
    }
