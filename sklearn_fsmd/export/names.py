"""The names of inputs and outputs, and which of them would clash."""

from __future__ import annotations

from collections.abc import Iterable

Value = str
"""The name of what a node computes."""

OUTPUTS = ("marginals", "conditionals", "rank_score")
VALUES = "values"
"""A further output, of models with values."""


def offsets_of(name: str) -> str:
    """The input that says where each row of the list `name` begins."""
    return f"{name}_offsets"


def check_names(inputs: Iterable[str], outputs: Iterable[str]) -> None:
    """Raise if an input has no name, the name of another one, or the name of an output.

    Raises
    ------
    ValueError
        It names the column.
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
