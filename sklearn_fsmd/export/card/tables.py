"""The tables of a model card."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd

from sklearn_fsmd.inspection import unseen_values
from sklearn_fsmd.metrics import segments_by_name

FIGURES = {"ranking": "AUC or concordance", "error": "log loss or RMSE", "level": "mean prediction / mean label"}


def one_section(name: str) -> str:
    """A name for a heading, where "/" is what divides sections."""
    return name.replace("/", "\\/")


def of_cut(table: pd.DataFrame, name: str, column: Any) -> pd.DataFrame:
    """The segments of one cut, of a table of several, without its name; `column` says in which each row is."""
    own = {f"{name} = {segment}": segment for segment in segments_by_name(column)}
    part = table[[segment in own for _, segment in table.index]]
    return part.rename(own, level="segment")


def readable(table: pd.DataFrame, by: str | None = None) -> pd.DataFrame:
    """A table of :func:`metric_table` in words, each figure with its interval; `by` names a column of segments."""
    columns: dict[str, list[str]] = {"target": [cell(target) for target, _ in table.index]}
    if by is not None:
        name = f"{by} (segment)" if by in ("target", "rows", "mean label", *FIGURES.values()) else by
        columns[cell(name)] = [cell(segment) for _, segment in table.index]
    columns |= {"rows": [f"{n:,.0f}" for n in table["n"]], "mean label": [f"{y:.4g}" for y in table["observed"]]}
    for name, title in FIGURES.items():
        ends = zip(table[name], table[f"{name}_low"], table[f"{name}_high"], strict=True)
        columns[title] = [_with_interval(*row) for row in ends]
    return pd.DataFrame(columns)


def targets_table(model: Any, table: pd.DataFrame) -> pd.DataFrame:
    """What is learned, and after which step."""
    names, parents = model.task_names_, model.module_.link.parents
    rows = [
        (name, "binary", None if parent is None else names[parent]) for name, parent in zip(names, parents, strict=True)
    ]
    of_values = model._targets.of_values
    if of_values is not None:
        after = [None if parent is None else names[parent] for parent in of_values.parents]
        rows += [(name, f"value, {of_values.loss}", step) for name, step in zip(of_values.names, after, strict=True)]
    return pd.DataFrame(
        {
            "target": [cell(name) for name, _, _ in rows],
            "kind": [kind for _, kind, _ in rows],
            "follows": [cell(step) if step else "-" for _, _, step in rows],
            "rows with a label": [f"{table.loc[(name, 'all rows'), 'n']:,.0f}" for name, _, _ in rows],
            "mean": [f"{table.loc[(name, 'all rows'), 'observed']:.4g}" for name, _, _ in rows],
        }
    )


def columns_table(model: Any, own: Any, X: Any) -> pd.DataFrame:
    """What is read, and how much of it in the test data fit has not known."""
    encoder = own._encoder
    main, found = encoder.main, unseen_values(model, X)
    positions = np.flatnonzero(~encoder.is_bias)
    names = encoder.display_names
    kinds: dict[int, tuple[str, str, str]] = {}
    for position, column in main.categories.items():
        unknown = found.loc[names[positions[position]], ["missing", "unseen"]].sum()
        kinds[position] = ("category", f"{column.n_rows - 1:,} values", f"{unknown:.1%}")
    for position in main.numeric:
        kinds[position] = ("number", "-", "-")
    for position, of_list in main.lists.items():
        size = f"those of {cell(of_list.shares)}" if of_list.own is None else f"{of_list.own.n_rows - 1:,} values"
        kinds[position] = ("list", size, "-")
    for position, of_vector in main.vectors.items():
        kinds[position] = ("vector", f"{of_vector.width} components", "-")
    made = [(cell(names[positions[position]]), *kinds[position]) for position in sorted(kinds)]
    made += [(cell(names[j]), "bias feature, not needed to predict", "-", "-") for j in np.flatnonzero(encoder.is_bias)]
    return pd.DataFrame(made, columns=["column", "kind", "size", "missing or not known to fit"])


def parameters_table(own: Any) -> pd.DataFrame:
    """The parameters of the fit, in so far as a model remembers them; the others as they are now."""
    values = {name: own._predictor.spec.get(name, value) for name, value in own.get_params(deep=False).items()}
    return pd.DataFrame({"Hyperparameter": list(values), "Value": [cell(value) for value in values.values()]})


def cell(text: Any) -> str:
    """Text that stays in one cell of a table in Markdown, or in one item of a list."""
    return re.sub(r"[|<]", r"\\\g<0>", " ".join(str(text).split()))


def _with_interval(figure: float, low: float, high: float) -> str:
    if not np.isfinite(figure):
        return "not defined"
    return f"{figure:.4g} ({low:.4g} to {high:.4g})" if np.isfinite(low) else f"{figure:.4g} (too few groups)"
