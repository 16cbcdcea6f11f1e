"""From the csv files to tables (``results.md``) and figures."""

import os
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.stats import ttest_rel

from benchmarks.paper.settings import MODELS, PAPER
from benchmarks.paper.store import TYPES
from sklearn_fsmd.plotting import AblationDisplay, SeesawDisplay

TABLES = {
    "table2": ("Table II: Census-Income with the parameters of Table I", ("income", "never married")),
    "table2-defaults": ("Table II: Census-Income with this library's defaults", ("income", "never married")),
    "table4": ("Table IV: KuaiRand with the parameters of Table III", ("click", "conversion")),
    "table4-defaults": ("Table IV: KuaiRand with this library's defaults", ("click", "conversion")),
    "funnel": ("The simulated funnel with the parameters of Table III", ("click", "conversion")),
}
FIGURES = {
    "figure11": ("tower_dims", ["constant", "increasing", "decreasing", "diamond"], "shape of the tower"),
    "figure12": ("gate_dims", ["1", "2", "3", "4"], "layers of a gate"),
    "figure13": ("n_task_experts", ["2", "4", "6", "8", "10", "12"], "experts that a gate mixes"),
}
RIVALS = ("MMoE", "ESMM")


def write_report(folder):
    """Write ``results.md`` and the figures for all parts whose csv is in `folder`."""
    folder = Path(folder)
    text = ["# The paper's tables and figures, rerun", "", "Made by `make paper`; what it means is in `docs/paper.md`."]
    text += ["AUC on test rows, mean ± standard deviation over the seeds; of the seconds, the median."]
    text += ["p: paired t-test over the seeds, mean AUC."]
    for part, (title, tasks) in TABLES.items():
        rows = _read(folder, part)
        if rows is None:
            continue
        text += ["", f"## {title}", "", _origin(rows), ""]
        if "conflict" not in rows:
            text += _table(rows, tasks, PAPER.get(part.partition("-")[0]))
            continue
        for conflict, group in rows.groupby("conflict"):
            text += [f"Conflict {conflict:g}:", "", *_table(group, tasks, None), ""]
    for figure, (parameter, labels, label) in FIGURES.items():
        rows = _read(folder, figure)
        if rows is not None:
            text += ["", f"## F{figure[1:6]} {figure[6:]}: {label}", "", _origin(rows), ""]
            text += _curve(folder, figure, rows, parameter, labels, label)
    if (rows := _read(folder, "table4")) is not None:
        _seesaw(folder, rows)
        text += ["", "## Figure 10: the seesaw", "", "![each model's gains over Base](figure10.png)"]
    temporary = folder / "results.tmp"
    temporary.write_text("\n".join(text) + "\n")
    os.replace(temporary, folder / "results.md")


def _read(folder, part):
    path = folder / f"{part}.csv"
    if not path.exists():
        return None
    rows = pd.read_csv(path, dtype=TYPES)
    if "model" in rows:  # fits end in any order, and a seed counts when all its models are there
        size = rows.groupby("seed")["model"].transform("size")
        rows = rows[size == size.max()]
        rows = rows.sort_values(["seed", "model"], key=lambda c: c.map(list(MODELS).index) if c.name == "model" else c)
    return rows


def _origin(rows):
    commits, versions = (", ".join(sorted(rows[c].astype(str).unique())) for c in ("commit", "versions"))
    seeds = rows["seed" if "seed" in rows else "param_random_state"].nunique()
    return f"{seeds} seed{'s' * (seeds > 1)}; commit {commits}; {versions}."


def _table(rows, tasks, paper):
    measures = {"auc_1": tasks[0], "auc_2": tasks[1], "mean_auc": "mean", "cvr_auc": "CVR, clicked rows"}
    measures |= {"rmse_1": f"RMSE P({tasks[0]})", "rmse_2": f"RMSE P({tasks[1]})"}
    measures = {name: label for name, label in measures.items() if name in rows}
    rivals = [rival for rival in RIVALS if rival in set(rows["model"])]
    header = ["model", *measures.values(), *(f"p against {rival}" for rival in rivals)]
    header += ["the paper", "seconds"] if paper else ["seconds"]
    lines = [f"| {' | '.join(header)} |", "|" + "---|" * len(header)]
    for name, group in rows.groupby("model", sort=False):
        cells = [name, *(_spread(group[measure]) for measure in measures)]
        cells += [_p_value(rows, name, rival) for rival in rivals]
        if paper:
            cells.append(" / ".join(f"{auc:.4f}" for auc in paper[name]) if name in paper else "–")
        lines.append(f"| {' | '.join([*cells, f'{group.seconds.median():.0f}'])} |")
    return lines


def _spread(values):
    return f"{values.mean():.4f} ± {values.std():.4f}" if len(values) > 1 else f"{values.mean():.4f}"


def _p_value(rows, name, rival):
    """Of the difference in mean AUC, over the seeds that both have; with the sign of the difference."""
    one, other = (rows[rows["model"] == n].set_index("seed")["mean_auc"] for n in (name, rival))
    common = one.index.intersection(other.index)
    if name == rival or len(common) < 2:
        return "–"
    difference = (one[common] - other[common]).mean()
    return f"{'+' if difference > 0 else '−'} {ttest_rel(one[common], other[common]).pvalue:.3f}"


def _curve(folder, figure, rows, parameter, labels, label):
    display = AblationDisplay.from_cv_results(rows, parameter, labels=labels)
    for ax in display.axes_:
        ax.set_xlabel(label)
    display.figure_.savefig(folder / f"{figure}.png", dpi=100)
    plt.close(display.figure_)
    lines = [f"| {label} | {' | '.join(display.scores)} |", "|" + "---|" * (1 + len(display.scores))]
    for i, value in enumerate(display.values):
        cells = [_spread(pd.Series(runs[i])) for runs in display.scores.values()]
        lines.append(f"| {value} | {' | '.join(cells)} |")
    return [*lines, "", f"![{label}]({figure}.png)"]


def _seesaw(folder, rows):
    scores = {name: np.array(g[["auc_1", "auc_2"]]) for name, g in rows.groupby("model", sort=False)}
    display = SeesawDisplay.from_scores(scores, baseline="Base")
    display.figure_.set_size_inches(7, 5)
    display.figure_.savefig(folder / "figure10.png", dpi=100)
    plt.close(display.figure_)
