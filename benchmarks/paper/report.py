"""Write tables (``results.md``) and figures from the csv files."""

import os
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from benchmarks.paper import claims
from benchmarks.paper.settings import MODELS, PAPER, WITH_PARTS
from benchmarks.paper.store import HERE, TYPES
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
READINGS = {1: "one level", 2: "two levels"}
ROWS = [*MODELS, *(name for of_table in WITH_PARTS.values() for name in of_table)]
USERS = "users.csv"
PAGE = HERE.parents[1] / "docs" / "paper.md"
SECTIONS = {"settings of the paper": False, "this library's defaults": True}
"""The titles of the tables on the page on the paper, between comments; and whether a table is about the defaults."""
NOT_RUN = "Not run yet."


def write_report(folder):
    """Write ``results.md`` and the figures for all parts whose csv is in `folder`."""
    folder = Path(folder)
    text = ["# The paper's tables and figures, rerun", "", "Made by `make paper`. `docs/paper.md` explains it."]
    text += [
        "AUC on test rows: mean ± standard deviation over the seeds. Seconds and epochs are medians. The epoch is that"
    ]
    text += ["of the best check on the validation rows."]
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
            for n_levels, group in rows.groupby("param_n_levels"):
                text += ["", f"Bottom with {READINGS[n_levels]}:", ""]
                text += _curve(folder, f"{figure}-{n_levels}", group, parameter, labels, label)
    if (rows := _read(folder, "table4")) is not None:
        _seesaw(folder, rows)
        text += ["", "## Figure 10: the seesaw", "", "![each model's gains over Base](figure10.png)"]
    frame = measured(folder)
    text += ["", "## The claims", "", "Evaluated as defined in `protocol.md`.", "", *claims.table(frame)]
    _replace(folder / "results.md", "\n".join(text) + "\n")
    if folder == HERE:
        _replace(PAGE, with_verdicts(PAGE.read_text(), frame))


def with_verdicts(page, frame):
    """The text of the page on the paper, with its tables of claims replaced."""
    for title, defaults in SECTIONS.items():
        start, end = f"<!-- {title} -->\n", f"<!-- end of {title} -->"
        before, _, rest = page.partition(start)
        _, _, after = rest.partition(end)
        lines = claims.summary(frame, defaults=defaults)
        page = before + start + "\n".join(lines if len(lines) > 2 else [NOT_RUN]) + "\n" + end + after
    return page


def _replace(path, text):
    temporary = path.with_suffix(".tmp")
    temporary.write_text(text)
    os.replace(temporary, path)


def measured(folder):
    """The differences of all claims. Intervals over users are stored: the repository has no predictions."""
    folder = Path(folder)
    results = {part: _named(part, rows) for part in [*TABLES, *FIGURES] if (rows := _read(folder, part)) is not None}
    users = pd.read_csv(folder / USERS, dtype=TYPES) if (folder / USERS).exists() else None
    if (folder / "predictions").exists():
        users = merge_intervals(users, claims.intervals_over_users(results, folder), results)
        users.to_csv(folder / USERS, index=False, float_format="%.6g")
    return claims.measured(results, users)


def merge_intervals(stored, new, results):
    """The new intervals over users, and the stored ones of parts that have no predictions now."""
    if stored is None:
        return new
    commits = {part: rows["commit"].iloc[-1] for part, rows in results.items()}
    kept = stored[~stored["part"].isin(new.get("part", ())) & (stored["commit"] == stored["part"].map(commits))]
    return pd.concat([kept, new], ignore_index=True)


def _named(part, rows):
    """The rows with the names that the claims use, in the column `row`."""
    if part not in FIGURES:
        at = rows["conflict"].map(lambda conflict: f" at {conflict}") if "conflict" in rows else ""
        return rows.assign(row=rows["model"] + at)
    labels = FIGURES[part][1]
    rows = rows.rename(columns={"param_random_state": "seed"})
    readings = rows["param_n_levels"].map(READINGS)
    points = rows.groupby(["seed", "param_n_levels"]).cumcount().map(dict(enumerate(labels)))
    measures = {"mean_test_mean_auc": "mean_auc"}
    return rows.assign(row=points + ", " + readings).rename(columns=measures)


def _read(folder, part):
    path = folder / f"{part}.csv"
    if not path.exists():
        return None
    rows = pd.read_csv(path, dtype=TYPES)
    if not {"best_epoch", "param_n_levels"} & set(rows):
        return None  # older than the protocol
    rows = rows[rows["commit"] == rows["commit"].iloc[-1]]
    if "model" in rows:  # fits end in any order; a seed counts once all its models are done
        size = rows.groupby("seed")["model"].transform("size")
        rows = rows[size == size.max()]
        rows = rows.sort_values(["seed", "model"], key=lambda c: c.map(ROWS.index) if c.name == "model" else c)
    return rows


def _origin(rows):
    commits, versions = (", ".join(sorted(rows[c].astype(str).unique())) for c in ("commit", "versions"))
    seeds = rows["seed" if "seed" in rows else "param_random_state"].nunique()
    return f"{seeds} seed{'s' * (seeds > 1)}; commit {commits}; {versions}."


def _table(rows, tasks, paper):
    measures = {"auc_1": tasks[0], "auc_2": tasks[1], "mean_auc": "mean", "cvr_auc": "pCVR, clicked rows"}
    measures |= {"rmse_1": f"RMSE P({tasks[0]})", "rmse_2": f"RMSE P({tasks[1]})"}
    measures = {name: label for name, label in measures.items() if name in rows}
    header = ["model", *measures.values(), *(["the paper"] if paper else []), "epoch", "seconds"]
    lines = [f"| {' | '.join(header)} |", "|" + "---|" * len(header)]
    for name, group in rows.groupby("model", sort=False):
        cells = [name, *(_spread(group[measure]) for measure in measures)]
        if paper:
            cells.append(" / ".join(f"{auc:.4f}" for auc in paper[name]) if name in paper else "–")
        cells += [f"{group.best_epoch.median():.0f}", f"{group.seconds.median():.0f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _spread(values):
    return f"{values.mean():.4f} ± {values.std():.4f}" if len(values) > 1 else f"{values.mean():.4f}"


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
    in_paper = rows[rows["model"].isin(PAPER["table4"])]
    scores = {name: np.array(g[["auc_1", "auc_2"]]) for name, g in in_paper.groupby("model", sort=False)}
    display = SeesawDisplay.from_scores(scores, baseline="Base")
    display.figure_.set_size_inches(7, 5)
    display.figure_.savefig(folder / "figure10.png", dpi=100)
    plt.close(display.figure_)
