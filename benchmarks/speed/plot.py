"""The table and the growth curves as one picture."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

OURS = "#1b6ca8"
OTHERS = "#9aa5b1"


def draw(results, path: Path):
    figure, axes = plt.subplots(2, 3, figsize=(13, 7), layout="constrained")
    for axis, part in zip(axes[0], ("train, batch 2048", "train, batch 256", "score"), strict=True):
        table = results[part]
        names = list(table)
        values = [table[name]["median"] / 1000 for name in names]
        bars = axis.barh(names, values, color=[OURS if name.startswith("sklearn-fsmd") else OTHERS for name in names])
        axis.bar_label(bars, fmt="%.1f", padding=3, fontsize=8)
        axis.margins(x=0.15)
        axis.invert_yaxis()
        axis.set_title(part)
        axis.set_xlabel("thousand rows a second")
    curves = (
        ("experts a level", "growth, experts"),
        ("rows of the table", "growth, vocabulary"),
        ("tasks", "growth, tasks"),
    )
    for axis, (label, part) in zip(axes[1], curves, strict=True):
        points = results[part]["points"]
        sizes = [int(n) for n in points]
        axis.plot(sizes, [p["step_ms"] for p in points.values()], "o-", color=OURS)
        axis.set_ylabel("ms a step", color=OURS)
        axis.set_ylim(bottom=0)
        memory = axis.twinx()
        memory.plot(sizes, [p["peak_bytes"] / 2**20 for p in points.values()], "s--", color=OTHERS)
        memory.set_ylabel("MiB at the peak", color=OTHERS)
        memory.set_ylim(bottom=0)
        axis.set_xlabel(label)
        axis.set_xscale("log", base=10 if part.endswith("vocabulary") else 2)
    figure.savefig(path, dpi=110)
    plt.close(figure)
