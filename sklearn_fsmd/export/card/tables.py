"""The tables of a model card."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd

from sklearn_fsmd.inspection import unseen_values
from sklearn_fsmd.metrics import segments_by_name

METRICS = {"ranking": "AUC or concordance", "error": "log loss or RMSE", "level": "mean prediction / mean label"}


def escaped_heading(name: str) -> str:
    """Escape the "/" in a name, which would divide sections in a heading."""
    return name.replace("/", "\\/")


def table_of_cut(table: pd.DataFrame, name: str, column: Any) -> pd.DataFrame:
    """The rows of a table of metrics that belong to the segments of one cut, labelled by segment.

    Parameters
    ----------
    name : name of the cut, which is also in the labels of the segments in `table`.
    column : the segment of each row of the data.
    """
    segments = {f"{name} = {segment}": segment for segment in segments_by_name(column)}
    part = table[[label in segments for _, label in table.index]]
    return part.rename(segments, level="segment")


def readable_metrics(table: pd.DataFrame, by: str | None = None) -> pd.DataFrame:
    """Format a table of :func:`metric_table`, each metric with its interval; `by` names the column of segments."""
    columns: dict[str, list[str]] = {"target": [cell(target) for target, _ in table.index]}
    if by is not None:
        name = f"{by} (segment)" if by in ("target", "rows", "mean label", *METRICS.values()) else by
        columns[cell(name)] = [cell(segment) for _, segment in table.index]
    columns |= {"rows": [f"{n:,.0f}" for n in table["n"]], "mean label": [f"{y:.4g}" for y in table["observed"]]}
    for name, title in METRICS.items():
        intervals = zip(table[name], table[f"{name}_low"], table[f"{name}_high"], strict=True)
        columns[title] = [_with_interval(*interval) for interval in intervals]
    return pd.DataFrame(columns)


def targets_table(model: Any, table: pd.DataFrame) -> pd.DataFrame:
    """The targets: kind, step that each follows, number of labels and mean."""
    names, parents = model.task_names_, model.module_.link.parents
    rows = [
        (name, "binary", None if parent is None else names[parent]) for name, parent in zip(names, parents, strict=True)
    ]
    values = model._targets.of_values
    if values is not None:
        steps = [None if parent is None else names[parent] for parent in values.parents]
        rows += [(name, f"value, {values.loss}", step) for name, step in zip(values.names, steps, strict=True)]
    return pd.DataFrame(
        {
            "target": [cell(name) for name, _, _ in rows],
            "kind": [kind for _, kind, _ in rows],
            "follows": [cell(step) if step else "-" for _, _, step in rows],
            "rows with a label": [f"{table.loc[(name, 'all rows'), 'n']:,.0f}" for name, _, _ in rows],
            "mean": [f"{table.loc[(name, 'all rows'), 'observed']:.4g}" for name, _, _ in rows],
        }
    )


def columns_table(model: Any, classifier: Any, X: Any) -> pd.DataFrame:
    """The columns: kind, size, and the share of values in the test data that are missing or were not seen in fit."""
    encoder = classifier._encoder
    main, unseen = encoder.main, unseen_values(model, X)
    positions = np.flatnonzero(~encoder.is_bias)
    names = encoder.display_names
    kinds: dict[int, tuple[str, str, str]] = {}
    for position, column in main.categories.items():
        unknown = unseen.loc[names[positions[position]], ["missing", "unseen"]].sum()
        kinds[position] = ("category", f"{len(column.values):,} values", f"{unknown:.1%}")
    for position in main.numeric:
        kinds[position] = ("number", "-", "-")
    for position, lists in main.lists.items():
        size = f"those of {cell(lists.shares)}" if lists.own is None else f"{len(lists.own.values):,} values"
        kinds[position] = ("list", size, "-")
    for position, vectors in main.vectors.items():
        kinds[position] = ("vector", f"{vectors.width} components", "-")
    rows = [(cell(names[positions[position]]), *kinds[position]) for position in sorted(kinds)]
    rows += [(cell(names[j]), "bias feature, not needed to predict", "-", "-") for j in np.flatnonzero(encoder.is_bias)]
    return pd.DataFrame(rows, columns=["column", "kind", "size", "missing or not known to fit"])


def parameters_table(classifier: Any) -> pd.DataFrame:
    """The parameters as they were in fit, if the model has kept them, and the others as they are now."""
    spec = classifier._predictor.spec
    values = {name: spec.get(name, value) for name, value in classifier.get_params(deep=False).items()}
    return pd.DataFrame({"Hyperparameter": list(values), "Value": [cell(value) for value in values.values()]})


def cell(text: Any) -> str:
    """Escape a text so that it stays in one cell of a Markdown table, or in one item of a list."""
    return re.sub(r"[|<]", r"\\\g<0>", " ".join(str(text).split()))


def _with_interval(metric: float, low: float, high: float) -> str:
    if not np.isfinite(metric):
        return "not defined"
    return f"{metric:.4g} ({low:.4g} to {high:.4g})" if np.isfinite(low) else f"{metric:.4g} (too few groups)"
