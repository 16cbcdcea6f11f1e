"""Draw the rates and the growth curves as one picture."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

OURS = "#1b6ca8"
OTHERS = "#9aa5b1"


def draw(results, path: Path):
    figure, axes = plt.subplots(2, 4, figsize=(17, 7), layout="constrained")
    for axis, part in zip(axes[0], ("train, batch 2048", "train, batch 256", "score"), strict=False):
        bars(axis, part, results[part])
    points = results["growth, rows"]["points"]
    rates = {n: point["rows_per_s"] / 1000 for n, point in points.items()}
    curve(axes[0, 3], "rows", points, rates, "thousand rows per second", base=10)
    curves = (("experts", "experts per level", 2), ("vocabulary", "rows of the table", 10), ("tasks", "tasks", 2))
    for axis, (part, label, base) in zip(axes[1], curves, strict=False):
        points = results[f"growth, {part}"]["points"]
        curve(axis, label, points, {n: point["step_ms"] for n, point in points.items()}, "ms per step", base=base)
    axes[1, 3].axis("off")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def bars(axis, title, table):
    names = sorted(table, key=lambda name: not name.startswith("sklearn-fsmd"))
    colours = [OURS if name.startswith("sklearn-fsmd") else OTHERS for name in names]
    drawn = axis.barh(names, [table[name]["median"] / 1000 for name in names], color=colours)
    axis.bar_label(drawn, fmt="%.1f", padding=3, fontsize=8)
    axis.margins(x=0.3)  # room for the labels
    axis.invert_yaxis()
    axis.set_title(title)
    axis.set_xlabel("thousand rows per second")


def curve(axis, label, points, values, unit, *, base):
    """Draw time or rate on the left axis, and memory on the right axis."""
    sizes = [int(n) for n in values]
    axis.plot(sizes, list(values.values()), "o-", color=OURS)
    axis.set_ylabel(unit, color=OURS)
    axis.set_ylim(bottom=0)
    memory = axis.twinx()
    memory.plot(sizes, [point["peak_bytes"] / 2**20 for point in points.values()], "s--", color=OTHERS)
    memory.set_ylabel("peak memory (MiB)", color=OTHERS)
    memory.set_ylim(bottom=0)
    axis.set_xlabel(label)
    axis.set_xscale("log", base=base)
