"""The names of inputs and outputs, and a check that they do not clash."""

from __future__ import annotations

from collections.abc import Iterable

Value = str
"""The name of a tensor in the graph."""

OUTPUTS = ("marginals", "conditionals", "rank_score")
VALUES = "values"
"""The name of an additional output of models with `value_targets`."""


def offsets_name(name: str) -> str:
    """The name of the input that holds the offsets of the rows in the list column `name`."""
    return f"{name}_offsets"


def check_names(inputs: Iterable[str], outputs: Iterable[str]) -> None:
    """Raise if an input has an empty name, the name of another input or the name of an output.

    Raises
    ------
    ValueError
        The message names the column.
    """
    outputs = set(outputs)
    seen = set(outputs)
    for name in inputs:
        if not name:
            raise ValueError("Column '' of X has an empty name, which ONNX inputs cannot have. Rename it before fit.")
        if name in seen:
            what = "an output" if name in outputs else "another input"
            raise ValueError(f"Column {name!r} of X would have the name of {what} of the file. Rename it before fit.")
        seen.add(name)
