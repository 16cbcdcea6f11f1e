"""Stored results as Markdown: tables of means, each with its command, file, commit and machine."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

ROOT = Path(__file__).parents[2]


class Stored(NamedTuple):
    """A table made from a file of results.

    `rows` are the columns by which the rows of the file are grouped, `measures` maps columns to the headings of their
    means, and `where` is a query that selects rows.
    """

    file: str
    command: str
    rows: Sequence[str]
    measures: Mapping[str, str]
    where: str = ""
    title: str = ""
    text: str = ""

    def markdown(self) -> str:
        frame = read(self.file).query(self.where) if self.where else read(self.file)
        table = means(frame, self.rows, self.measures)
        heading = f"## {self.title}\n" if self.title else ""
        parts = [heading, self.text, "", as_table(table), "", source(self.file, self.command, frame), ""]
        return "\n".join(parts)


def read(file: str) -> pd.DataFrame:
    return pd.read_csv(ROOT / file, dtype={"commit": str})  # a commit may look like a number


def read_json(file: str) -> Any:
    return json.loads((ROOT / file).read_text())


def means(frame: pd.DataFrame, rows: Sequence[str], measures: Mapping[str, str]) -> pd.DataFrame:
    """A line per group: the means of the measures over the seeds, ± the standard deviation of several seeds."""
    lines = []
    if "fit" in frame:  # several fits with one seed count as one result, their mean
        frame = frame.groupby([*rows, "seed"], sort=False, dropna=False)[list(measures)].mean().reset_index()
    for key, group in frame.groupby(list(rows), sort=False, dropna=False):
        line = dict(zip((_words(name) for name in rows), key, strict=True))
        if "seed" in frame:
            line["seeds"] = group["seed"].nunique()
        line |= {title: _mean_and_spread(group[column]) for column, title in measures.items()}
        lines.append(line)
    return pd.DataFrame(lines)


def _mean_and_spread(values: pd.Series) -> str:
    values = values.dropna()
    if not len(values):
        return "–"
    spread = f" ± {number(values.std())}" if len(values) > 1 else ""
    return number(values.mean()) + spread


def number(value: float) -> str:
    """Format a number: four decimals below 10, one below 100, otherwise none; none for integers."""
    size = abs(value)
    if float(value).is_integer() and size >= 1:
        return f"{value:,.0f}"
    return f"{value:,.0f}" if size >= 100 else f"{value:.1f}" if size >= 10 else f"{value:.4f}"


def as_table(frame: pd.DataFrame) -> str:
    """A Markdown table; numbers are right-aligned."""
    cells = [[_cell(value) for value in row] for row in frame.itertuples(index=False)]
    right = [_is_of_numbers(column) for column in zip(*cells, strict=True)]
    lines = ["| " + " | ".join(map(str, frame.columns)) + " |"]
    lines.append("|" + "|".join("--:" if is_right else "---" for is_right in right) + "|")
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in cells)])


def _is_of_numbers(cells: Sequence[str]) -> bool:
    return any(cell[:1].isdigit() for cell in cells) and all(cell[:1].isdigit() or cell[:1] in "–-−" for cell in cells)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "–" if value != value else number(value)
    return str(value).replace("|", "\\|")


def source(file: str, command: str, frame: pd.DataFrame) -> str:
    """The origin of a table: command, file, commits, versions and machine."""
    commits = ", ".join(f"`{commit}`" for commit in _unique(frame, "commit"))
    parts = [f"`{command}`", f"`{file}`", f"commit {commits or 'not stored'}", *_unique(frame, "versions")]
    machines = [*_unique(frame, "machine"), *_unique(frame, "processor")]
    return _small("; ".join([*parts, "machine: " + (", ".join(machines) or "not stored")]))


def source_of_json(file: str, command: str, made: Mapping[str, Any]) -> str:
    """The origin of an entry of a JSON file, from its `made`."""
    versions = made.get("versions", "")
    if isinstance(versions, Mapping):
        versions = ", ".join(f"{name} {version}" for name, version in versions.items())
    machine = f"{made.get('processor', 'not stored')}"
    if "threads" in made:
        machine += f", {made['threads']} threads, {made['instructions']}"
    parts = [f"`{command}`", f"`{file}`", f"commit `{made['commit'][:7]}`", f"{versions}", f"machine: {machine}"]
    return _small("; ".join(part for part in parts if part))


def _small(text: str) -> str:
    return f"{{.source}}\nMade by {text}."


def _unique(frame: pd.DataFrame, column: str) -> list[str]:
    return [str(value) for value in frame[column].dropna().unique()] if column in frame else []


def _words(name: str) -> str:
    return name.removeprefix("param_").replace("_", " ")
