"""The sentences of a model card."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import pandas as pd

from sklearn_fsmd.export.card.tables import cell

PACKAGES = ("sklearn-fsmd", "torch", "scikit-learn")
FEW = 100
"""A segment with fewer positive labels, or rows with values, is listed among the limits."""
MAX_LISTED = 10

ABOUT_METRICS = (
    "The ends of 95 % intervals are in parentheses: {what} were drawn with replacement, {n} times. The intervals show "
    "how much the metrics vary with the rows, but not how much they vary with the seed of the training. Binary targets "
    "have AUC and log loss. Values have the concordance (the share of pairs in the right order) and the root mean "
    "squared error in the units of the value; a value counts as 0 if the step that it follows has not happened. The "
    "last column is 1 if predictions are right on average."
)

ABOUT_PARAMETERS = (
    "Parameters of the encoding, of the network and of its optimisation are those of the fit. All others, such as "
    "`max_epochs` and `random_state`, are not stored: they are as set now."
)


def introduction(model: Any, classifier: Any, description: str) -> str:
    """The first paragraphs: the description of the user, and facts about the model."""
    targets = ", ".join([*classifier.task_names_, *classifier.value_names_])
    text = [f"`{type(classifier).__name__}` predicts {targets}, from {classifier.n_features_in_} columns."]
    if model is not classifier:
        text.append(f"It is the model at the end of a {type(model).__name__}; the columns are inputs of that model.")
    weights = sum(weight.numel() for weight in classifier.module_.parameters())
    text.append(f"It has {weights:,} weights and was trained for {classifier.n_iter_} epochs.")
    text.append(f"Made with {', '.join(f'{name} {version(name)}' for name in PACKAGES)}.")
    return "\n\n".join([part for part in (description.strip(), " ".join(text)) if part])


def limits_of(
    classifier: Any, all_rows: pd.DataFrame, cut_tables: Mapping[str, pd.DataFrame], *, as_shown: bool
) -> list[str]:
    """Limits that follow from the metrics, and limits of every model of this kind.

    Parameters
    ----------
    all_rows : metrics over all rows.
    cut_tables : for each cut the metrics of its segments.
    as_shown : whether they are metrics of predictions for the positions in the `bias_features`.
    """
    has_bias = classifier._encoder.bias is not None
    check_levels = as_shown or not has_bias  # for a good position, levels above those of the log are right
    limits = [_level_limit(target, "all rows", row) for (target, _), row in all_rows.iterrows() if check_levels]
    without_parent = _values_without_parent(classifier)
    limits.append(_few_labels_limit("the test data", list(all_rows.iterrows()), without_parent))
    for name, table in cut_tables.items():
        segments = list(table.iterrows())
        limits += [
            _level_limit(target, f"{cell(name)} = {cell(segment)}", row)
            for (target, segment), row in segments
            if check_levels
        ]
        limits.append(_few_labels_limit(f"these segments of {cell(name)}", segments, without_parent))
    if not check_levels:
        limits.append(
            "Predictions are those for rows in a good position (`bias_features`), but logged labels come from all "
            "positions. So predictions are above the rates of the log, and AUC on logged rows looks worse than it is. "
            "Rows that were shown in a good position allow a fair evaluation of both."
        )
    elif has_bias:
        limits.append(
            "The metrics are of predictions for the positions of the log (`bias_features`). They include the effect of "
            "the positions, which predictions for new rows leave out."
        )
    limits.append(
        "Values that training has not seen share one embedding per column: predictions for new users and items depend "
        "on the other columns only."
    )
    limits.append(
        "The results hold for rows like those of the test data. They do not show what would happen if other items were "
        "recommended."
    )
    return [text for text in limits if text]


def _level_limit(target: str, where: str, row: pd.Series) -> str:
    """A sentence if predictions are too low or too high on average, and the interval excludes chance."""
    if not (row["level_low"] > 1 or row["level_high"] < 1):
        return ""
    too = "high" if (row["level_low"] > 1) == (row["observed"] > 0) else "low"  # 1.5 times a negative mean is lower
    level = f"{row['level']:.0%} ({row['level_low']:.0%} to {row['level_high']:.0%})"
    return f"{cell(target)}, {where}: predictions are too {too} on average, {level} of what was observed."


def _values_without_parent(classifier: Any) -> list[str]:
    """The values that follow no step, and so are not 0 just because a step has not happened."""
    values = classifier._targets.of_values
    if values is None:
        return []
    return [name for name, parent in zip(classifier.value_names_, values.parents, strict=True) if parent is None]


def _few_labels_limit(where: str, segments: list[tuple[Any, pd.Series]], values_without_parent: list[str]) -> str:
    """A sentence that lists the segments with too few labels for an evaluation."""
    few = []
    for (target, segment), row in segments:
        n_informative = row["n"] if target in values_without_parent else row["positives"]
        if n_informative < FEW:
            few.append(f"{cell(segment)} ({cell(target)}: {n_informative:,.0f})")
    if not few:
        return ""
    listed = ", ".join(few[:MAX_LISTED]) + (f" and {len(few) - MAX_LISTED} more" if len(few) > MAX_LISTED else "")
    return f"Fewer than {FEW} positive labels, or rows with values, in {where}: {listed}."
