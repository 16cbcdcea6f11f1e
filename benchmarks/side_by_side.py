"""Run both sides of each page of "Coming from" on one simulated funnel: ``make coming-from``.

This shows that the code of the pages runs. It does not compare quality: nothing is tuned. `make quality` compares on
real data.
"""

import argparse
import contextlib
import importlib
import io
import subprocess
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

from sklearn_fsmd.datasets import make_funnel
from sklearn_fsmd.metrics import auc_per_task

PEERS = {
    "lightgbm_per_task": "lightgbm",
    "deepctr_torch": "deepctr-torch",
    "torch_rechub": "torch-rechub",
    "multi_output": "scikit-learn",
}
"""The modules of `benchmarks.coming_from`, and the package that each compares with."""
FOLDER = Path(__file__).parent / "coming_from"
NAMES = {"click_auc": "AUC click", "conversion_auc": "AUC conversion", "share_above": "pCTCVR above pCTR"}


def compare(name, n_samples, sides=("theirs", "ours")):
    """The AUC of both sides of a page."""
    X, Y = make_funnel(n_samples, random_state=0, return_X_y=True)
    train, test = slice(None, n_samples * 4 // 5), slice(n_samples * 4 // 5, None)
    page = importlib.import_module(f"benchmarks.coming_from.{name}")
    for side in sides:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            p_click, p_conversion = getattr(page, side)(X[train], Y[train], X[test])
        auc = auc_per_task(Y[test], np.column_stack([p_click, p_conversion]))
        above = float(np.mean(np.asarray(p_conversion) > np.asarray(p_click)))
        yield {
            "page": name,
            "side": side,
            "click_auc": round(auc[0], 4),
            "conversion_auc": round(auc[1], 4),
            "share_above": round(above, 4),
        }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=20_000)
    n_samples = parser.parse_args().samples
    rows = [row for name in PEERS for row in compare(name, n_samples)]
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True).stdout
    versions = ", ".join(f"{package} {version(package)}" for package in ["torch", *PEERS.values()])
    table = pd.DataFrame(rows).assign(rows=n_samples, commit=commit.strip(), versions=versions)
    table.to_csv(FOLDER / "results.csv", index=False)
    (FOLDER / "results.md").write_text(as_markdown(table))
    print(table.drop(columns="versions").to_string(index=False))


def as_markdown(table):
    """The results as Markdown, for the page."""
    package = table["page"].map(PEERS).where(table["side"] == "theirs", "here")
    shown = table.assign(**{"": package}).rename(columns=NAMES)[["page", "", *NAMES.values()]]
    rows = [list(shown.columns), ["---"] * len(shown.columns), *shown.astype(str).to_numpy().tolist()]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    first = table.iloc[0]
    return "\n".join([*lines, "", f"Commit {first['commit']}; {first['versions']}.", ""])


if __name__ == "__main__":
    main()
