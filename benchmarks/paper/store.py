"""Results as csv files that grow job by job, so that a run that was stopped continues where it was."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import pandas as pd

HERE = Path(__file__).parent
TYPES = {"commit": str}
"""The dtype of the commit is given, since a commit may look like a number."""


class Store:
    """The csv file of one part, with the rows of the current commit.

    Rows of another commit are ignored, and removed when the first new row is added: results of different code must not
    be paired. Rows for which `is_kept` is true do not depend on this library, and stay.
    """

    def __init__(self, part, folder, is_kept=lambda row: False):
        self.path = Path(folder) / f"{part}.csv"
        rows = pd.read_csv(self.path, dtype=TYPES).to_dict("records") if self.path.exists() else []
        commit = provenance()["commit"]
        self.rows = [row for row in rows if row["commit"] == commit or is_kept(row)]

    def has(self, key):
        return self.row(key) is not None

    def row(self, key):
        """The first row with these values; None if there is none."""
        return next((row for row in self.rows if all(row.get(name) == key[name] for name in key)), None)

    def add(self, rows):
        """Add rows. The file is replaced atomically, so a run that is stopped keeps the previous one."""
        self.rows += [{**row, **provenance()} for row in rows]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_suffix(".tmp")
        pd.DataFrame(self.rows).to_csv(temporary, index=False, float_format="%.6g")
        os.replace(temporary, self.path)


def provenance():
    """The commit and the versions behind a result; "+" after the commit means uncommitted changes of the package."""
    git = ["git", "-C", str(HERE)]
    commit = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    changed = subprocess.run([*git, "diff", "HEAD", "--quiet", "--", "../../sklearn_fsmd"], capture_output=True)
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "scikit-learn", "skorch", "numpy", "pandas"))
    return {
        "commit": commit + ("+" if changed.returncode == 1 else ""),
        "versions": f"Python {platform.python_version()}, {packages}",
    }
