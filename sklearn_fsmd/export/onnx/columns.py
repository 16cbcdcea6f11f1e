"""The columns of X as inputs of an ONNX file: names, types and how a missing value is encoded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from sklearn_fsmd.encoding import InputEncoder
from sklearn_fsmd.encoding.columns import UNKNOWN, CategoryColumn, ListColumn, NumericColumn, VectorColumn, shown
from sklearn_fsmd.export.onnx.names import OUTPUTS, check_names, offsets_name

Type = Literal["string", "int64", "double", "float"]

MISSING_NUMBER = "NaN"
MISSING_INTEGER = -1


@dataclass(frozen=True)
class Column:
    """A column of X, and the input of the file that takes it.

    Attributes
    ----------
    name : name of the input: that of the column in fit, or ``x0``, ``x1``, … by position if X was an array.
    type : element type of the input.
    encoder : encoder of the column.
    vocabulary : category column whose vocabulary the input uses; None for numbers and vectors.
    """

    name: str
    type: Type
    encoder: CategoryColumn | NumericColumn | ListColumn | VectorColumn
    vocabulary: CategoryColumn | None = None

    @property
    def input_names(self) -> list[str]:
        """The names of the inputs for this column: one, or two for lists."""
        return [self.name, offsets_name(self.name)] if isinstance(self.encoder, ListColumn) else [self.name]

    @property
    def shape(self) -> tuple[str | int, ...]:
        """The shape of the first input."""
        if isinstance(self.encoder, VectorColumn):
            assert self.encoder.width is not None
            return "n", self.encoder.width
        return (f"{self.name}_values",) if isinstance(self.encoder, ListColumn) else ("n",)

    def metadata(self) -> dict[str, Any]:
        """The entry of the column in the metadata of the file."""
        if isinstance(self.encoder, ListColumn):
            entry: dict[str, Any] = {"name": self.name, "holds": "lists", "type": self.type}
            return {**entry, "offsets": offsets_name(self.name), "separator": self._separator()}
        if isinstance(self.encoder, VectorColumn):
            width = self.encoder.width
            return {"name": self.name, "holds": "vectors", "type": self.type, "width": width, "missing": MISSING_NUMBER}
        holds = "numbers" if self.vocabulary is None else "categories"
        return {"name": self.name, "holds": holds, "type": self.type, "missing": self.missing_mark}

    def _separator(self) -> str | None:
        """The separator of values in lists that are written as strings; None if the column has no such lists."""
        assert isinstance(self.encoder, ListColumn)
        return self.encoder.separator if self.type == "string" else None

    @property
    def missing_mark(self) -> str | int:
        """The input value that stands for a missing one; a string is chosen that is not in the vocabulary.

        An empty string may be an unknown value, so it is chosen only where missing values are unknown too.
        """
        if self.type != "string":
            return MISSING_INTEGER if self.type == "int64" else MISSING_NUMBER
        assert self.vocabulary is not None
        mark = "" if self.vocabulary.missing == UNKNOWN else "<missing>"
        while mark in self.vocabulary.values:  # an index with a hash table
            mark = f"<{mark or 'missing'}>"
        return mark


def columns_of(encoder: InputEncoder, outputs: Iterable[str] = OUTPUTS) -> list[Column]:
    """The columns that a prediction needs, in the order of fit; columns of `bias_features` are left out.

    Parameters
    ----------
    outputs : names of the outputs of the file, which no input may have.

    Raises
    ------
    ValueError
        If a column cannot be an input of an ONNX file. The message names it.
    """
    columns = list(_columns(encoder))
    check_names((name for column in columns for name in column.input_names), outputs)
    return columns


def bias_names(encoder: InputEncoder) -> list[str]:
    """The names of the columns in `bias_features`, which predictions do not need."""
    return [name for name, is_bias in zip(encoder.display_names, encoder.is_bias, strict=True) if is_bias]


def _columns(encoder: InputEncoder) -> Iterator[Column]:
    main = encoder.main
    for i, position in enumerate(np.flatnonzero(~encoder.is_bias).tolist()):
        name = encoder.display_names[position]
        if i in main.categories:
            category = main.categories[i]
            yield Column(name, _type_of(category, name), category, category)
        elif i in main.numeric:
            yield Column(name, "double", main.numeric[i])
        elif i in main.lists:
            list_column = main.lists[i]
            vocabulary = main.vocabulary_of(list_column)
            yield Column(name, _type_of(vocabulary, name), list_column, vocabulary)
        elif i in main.vectors:
            yield Column(name, "float", main.vectors[i])
        else:
            raise ValueError(
                f"Column {name!r} does not hold categories, numbers, lists of categories or vectors, and to_onnx "
                "writes no other columns. Fit a model without it."
            )


def _type_of(column: CategoryColumn, name: str) -> Type:
    """The element type of the input for a vocabulary.

    A column that had only missing values in fit takes strings, all of which are unknown.
    """
    values = column.values.to_numpy()
    if column.kind in (None, "strings"):
        return "string"
    if column.kind == "numbers" and values.dtype.kind in "if":
        return "int64" if values.dtype.kind == "i" else "double"
    examples = {type(value).__name__: value for value in values[::-1]}
    listed = " and ".join(shown(value) for value in examples.values()) or "values of which none was seen often enough"
    raise ValueError(
        f"Column {name!r} held {column.kind} in fit ({listed}), and an ONNX input has one type, a string or a number. "
        f"Convert it to strings and fit again."
    )
