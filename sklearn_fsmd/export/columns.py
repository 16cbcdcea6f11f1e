"""The columns that a file takes: their names, types, and how a missing value is given."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from sklearn_fsmd.encoding import CategoryColumn, InputEncoder, ListColumn, NumericColumn, VectorColumn, shown
from sklearn_fsmd.export.names import OUTPUTS, check_names, offsets_of

Type = Literal["string", "int64", "double", "float"]

MISSING_NUMBER = "NaN"
MISSING_INTEGER = -1


@dataclass(frozen=True)
class Column:
    """One column of the file.

    Attributes
    ----------
    name : of the input; that of the column in fit, or ``x0``, ``x1``, … by its position where X was an array.
    type : of the input.
    encoder : how the column is encoded.
    vocabulary : the category column whose vocabulary it has; None for numbers and vectors.
    """

    name: str
    type: Type
    encoder: CategoryColumn | NumericColumn | ListColumn | VectorColumn
    vocabulary: CategoryColumn | None = None

    @property
    def input_names(self) -> list[str]:
        """The inputs that the column takes: one, or two for lists."""
        return [self.name, offsets_of(self.name)] if isinstance(self.encoder, ListColumn) else [self.name]

    @property
    def shape(self) -> tuple[str | int, ...]:
        """The shape of the first input."""
        if isinstance(self.encoder, VectorColumn):
            assert self.encoder.width is not None
            return "n", self.encoder.width
        return (f"{self.name}_values",) if isinstance(self.encoder, ListColumn) else ("n",)

    def described(self) -> dict[str, Any]:
        """What the metadata of the file say of the column."""
        if isinstance(self.encoder, ListColumn):
            about: dict[str, Any] = {"name": self.name, "holds": "lists", "type": self.type}
            return {**about, "offsets": offsets_of(self.name), "separator": self._separator()}
        if isinstance(self.encoder, VectorColumn):
            width = self.encoder.width
            return {"name": self.name, "holds": "vectors", "type": self.type, "width": width, "missing": MISSING_NUMBER}
        holds = "numbers" if self.vocabulary is None else "categories"
        return {"name": self.name, "holds": holds, "type": self.type, "missing": self._missing()}

    def _separator(self) -> str | None:
        """What separates the values of a list that is written as a string; None if the column has no such lists."""
        assert isinstance(self.encoder, ListColumn)
        return self.encoder.separator if self.type == "string" else None

    def _missing(self) -> str | int:
        if self.type != "string":
            return MISSING_INTEGER if self.type == "int64" else MISSING_NUMBER
        assert self.vocabulary is not None
        word, known = "", set(self.vocabulary.values)
        while word in known:
            word = f"<{word or 'missing'}>"
        return word


def columns_of(encoder: InputEncoder, outputs: Iterable[str] = OUTPUTS) -> list[Column]:
    """The columns that a prediction needs, in the order of fit. Those of `bias_features` are not among them.

    Parameters
    ----------
    outputs : the names of the file's outputs, which no column may have.

    Raises
    ------
    ValueError
        If a column cannot be an input of an ONNX file. The message names it.
    """
    columns = list(_columns(encoder))
    check_names((name for column in columns for name in column.input_names), outputs)
    return columns


def bias_names(encoder: InputEncoder) -> list[str]:
    """The columns of fit that predictions do not need."""
    return [name for name, is_bias in zip(encoder.display_names, encoder.is_bias, strict=True) if is_bias]


def _columns(encoder: InputEncoder) -> Iterator[Column]:
    main = encoder.main
    for place, position in enumerate(np.flatnonzero(~encoder.is_bias).tolist()):
        name = encoder.display_names[position]
        if place in main.categories:
            category = main.categories[place]
            yield Column(name, _type_of(category, name), category, category)
        elif place in main.numeric:
            yield Column(name, "double", main.numeric[place])
        elif place in main.lists:
            of_lists = main.lists[place]
            vocabulary = main.vocabulary_of(of_lists)
            yield Column(name, _type_of(vocabulary, name), of_lists, vocabulary)
        elif place in main.vectors:
            yield Column(name, "float", main.vectors[place])
        else:
            raise ValueError(
                f"Column {name!r} holds neither categories nor numbers, lists of categories or vectors, and to_onnx "
                "writes no other columns. Fit a model without it."
            )


def _type_of(column: CategoryColumn, name: str) -> Type:
    """The type of the input for a vocabulary.

    A column of which fit has seen nothing but missing values takes strings, all of which are unknown.
    """
    values = column.values.to_numpy()
    if column.kind in (None, "strings"):
        return "string"
    if column.kind == "numbers" and values.dtype.kind in "if":
        return "int64" if values.dtype.kind == "i" else "double"
    examples = {type(value).__name__: value for value in values[::-1]}
    found = " and ".join(shown(value) for value in examples.values()) or "values of which none was seen often enough"
    raise ValueError(
        f"Column {name!r} held {column.kind} in fit ({found}), and an ONNX input has one type, a string or a number. "
        f"Convert it to strings and fit again."
    )
