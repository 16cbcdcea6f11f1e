"""The sentences of a model card."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import pandas as pd

from sklearn_fsmd.export.card.tables import cell

PACKAGES = ("sklearn-fsmd", "torch", "scikit-learn")
FEW = 100
"""Rows, or positive labels, below which a segment is named."""
MOST_NAMED = 10

READING = (
    "In brackets are the ends of 95 % intervals: {what} were drawn with replacement, {n} times. They say what other "
    "rows of the same kind would change, and not what another seed of the training would. Of binary targets there are "
    "AUC and log loss. Of values there are the concordance (the share of pairs in the right order) and the root mean "
    "squared error, in the units of the value; where the step that a value follows has not happened, it counts as 0. "
    "The last column is 1 if predictions are right on average."
)

OF_PARAMETERS = (
    "Parameters that say how rows are encoded, what the network is made of and how it is optimised are those of the "
    "fit. All others, such as `max_epochs` and `random_state`, are not remembered: they are as set now."
)


def about(model: Any, own: Any, description: str) -> str:
    """The first paragraph."""
    tasks = ", ".join([*own.task_names_, *own.value_names_])
    text = [f"`{type(own).__name__}` predicts {tasks}, from {own.n_features_in_} columns."]
    if model is not own:
        text.append(f"It is the model at the end of a {type(model).__name__}, and the columns are those that it reads.")
    weights = sum(weight.numel() for weight in own.module_.parameters())
    text.append(f"It has {weights:,} weights and was trained for {own.n_iter_} epochs.")
    text.append(f"Made with {', '.join(f'{name} {version(name)}' for name in PACKAGES)}.")
    return "\n\n".join([part for part in (description.strip(), " ".join(text)) if part])


def limits_of(own: Any, table: pd.DataFrame, of_cuts: Mapping[str, pd.DataFrame]) -> list[str]:
    """What the figures say against the model, and what is true of any of this kind."""
    as_shown = own._encoder.bias is None  # else levels are above those of the log, as they should be
    found = [_of_level(target, "all rows", row) for (target, _), row in table.iterrows() if as_shown]
    for name, of_cut in of_cuts.items():
        segments = list(of_cut.iterrows())
        found += [
            _of_level(target, f"{cell(name)} = {cell(segment)}", row) for (target, segment), row in segments if as_shown
        ]
        found.append(_of_few(name, segments, _always_known(own)))
    if not as_shown:
        found.append(
            "Predictions are made as if each row had been shown well (`bias_features`); logged labels were not, so "
            "levels are above those of the log, and AUC on logged rows looks worse than it is. Rows that were shown in "
            "a good position say what both are worth."
        )
    found.append(
        "Values that training has not seen, and missing ones, share one embedding per column: predictions for new "
        "users and items rest on the other columns."
    )
    found.append(
        "The figures hold for rows like those of the test data. They do not say what showing other items would do."
    )
    return [text for text in found if text]


def _of_level(target: str, where: str, row: pd.Series) -> str:
    """That predictions are too low or too high, where chance does not explain it."""
    if not (row["level_low"] > 1 or row["level_high"] < 1):
        return ""
    too = "high" if (row["level_low"] > 1) == (row["observed"] > 0) else "low"  # more than a negative mean is lower
    return f"{cell(target)}, {where}: predictions are too {too} on average, {_times(row)} of what was observed."


def _times(row: pd.Series) -> str:
    return f"{row['level']:.0%} ({row['level_low']:.0%} to {row['level_high']:.0%})"


def _always_known(own: Any) -> list[str]:
    """The values that follow no step. Of the others a row counts as 0 where the step has not happened."""
    of_values = own._targets.of_values
    if of_values is None:
        return []
    return [name for name, parent in zip(own.value_names_, of_values.parents, strict=True) if parent is None]


def _of_few(name: str, segments: list[tuple[Any, pd.Series]], always_known: list[str]) -> str:
    """Segments of which the test data hardly say anything."""
    few = []
    for (target, segment), row in segments:
        positive = row["n"] if target in always_known else row["positives"]
        if positive < FEW:
            few.append(f"{cell(segment)} ({cell(target)}: {positive:,.0f})")
    if not few:
        return ""
    shown = ", ".join(few[:MOST_NAMED]) + (f" and {len(few) - MOST_NAMED} more" if len(few) > MOST_NAMED else "")
    return f"Fewer than {FEW} positive labels, or rows with values, in these segments of {cell(name)}: {shown}."
