"""The table and the picture of the front page, from stored results."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd

from tools.evidence import AUCS, QUALITY, SPEED, contender
from tools.results import as_table, number, read, read_json, source, source_of_json

SHOWN = {
    "sklearn-fsmd": "sklearn-fsmd",
    "LightGBM": "LightGBM, one model per task",
    "CatBoost": "CatBoost, one model per task",
    "DeepCTR-Torch PLE": "DeepCTR-Torch, PLE",
    "torch-rechub PLE": "torch-rechub, PLE",
}
SPEED_NAMES = {"sklearn-fsmd": "sklearn-fsmd", "DeepCTR-Torch PLE": "deepctr-torch", "torch-rechub PLE": "torch-rechub"}
RATES = {"train, batch 2048": "rows trained per second", "score": "rows scored per second"}


def write(docs: Path) -> dict[str, str | bytes]:
    return {"_generated/landing.md": table(), "_generated/seesaw.svg": seesaw()}


def table() -> str:
    """AUC, seconds of a fit and rows per second, of this library and others."""
    speed = read_json(SPEED)
    lines = []
    for name, title in SHOWN.items():
        rows = contender(name)
        line = {"": title} | {heading: number(rows[column].mean()) for column, heading in AUCS.items()}
        line["seconds to fit"] = number(round(rows["seconds"].mean()))
        for part, heading in RATES.items():
            line[heading] = f"{speed[part][SPEED_NAMES[name]]['median']:,.0f}" if name in SPEED_NAMES else "–"
        lines.append(line)
    rows = read(QUALITY).query("data == 'kuairand' and part == 'test' and contender in @SHOWN")
    sources = [source(QUALITY, "make quality", rows), source_of_json(SPEED, "make bench", speed["made"]["score"])]
    return "\n\n".join([as_table(pd.DataFrame(lines)), "The AUC of pCVR is computed on clicked rows.", *sources, ""])


def seesaw() -> bytes:
    """Gain or loss of each target by sharing, in the paper's comparison with this library's defaults."""
    from matplotlib import pyplot as plt

    from sklearn_fsmd.plotting import SeesawDisplay

    runs = read("benchmarks/paper/table4-defaults.csv")
    auc = {name: group[["auc_1", "auc_2"]].mean().to_numpy() for name, group in runs.groupby("model", sort=False)}
    file = io.BytesIO()
    with plt.rc_context({"svg.hashsalt": "seesaw", "svg.fonttype": "path", "font.size": 11}):
        figure, ax = plt.subplots(figsize=(6.4, 5), layout="constrained")
        SeesawDisplay.from_scores(auc, baseline="Single-Task", task_names=["click", "conversion"], ax=ax)
        ax.locator_params(nbins=5)
        figure.savefig(file, format="svg", metadata={"Date": None})
        plt.close(figure)
    return file.getvalue()
