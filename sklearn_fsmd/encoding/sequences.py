"""Columns whose values are sequences: which of them hold lists of categories, and which vectors."""

from __future__ import annotations

from itertools import islice
from typing import Any, Literal

import numpy as np
import pandas as pd

from sklearn_fsmd.encoding.column_selection import column_mask, column_names
from sklearn_fsmd.encoding.lists import SEQUENCES, ListColumn, is_there
from sklearn_fsmd.encoding.vector_rows import ORDERED
from sklearn_fsmd.parameters import InputParameters

N_LOOKED_AT = 100
"""So many of its first values say what a column holds."""


class SequenceOptions:
    """What the parameters say of lists and vectors: which columns hold them, and how lists are read."""

    def __init__(self, p: InputParameters) -> None:
        self.list_features, self.vector_features = p.list_features, p.vector_features
        self.shared = {str(of_lists): str(of_one) for of_lists, of_one in (p.shared_embeddings or {}).items()}
        self.min_frequency = p.min_frequency
        self.max_length, self.separator = p.max_list_length, p.list_separator
        if self.separator == "":
            raise ValueError("The 'list_separator' parameter must be a string that is not empty, or None. Got ''.")

    def masks(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        """Which columns of X hold lists, and which hold vectors, ``(n_features,)`` bool each.

        Raises
        ------
        ValueError
            If both name the same column.
        """
        named_lists = _named("list_features", self.list_features, X)
        named_vectors = _named("vector_features", self.vector_features, X)
        if named_lists is not None and named_vectors is not None and (twice := named_lists & named_vectors).any():
            name = column_names(X)[np.argmax(twice)]
            raise ValueError(f"Column {name!r} is in both 'list_features' and 'vector_features': take it out of one.")
        columns = [column for _, column in X.items()] if isinstance(X, pd.DataFrame) else [None] * X.shape[1]
        kinds = np.array([held_by(column) for column in columns])
        none = np.zeros(X.shape[1], dtype=bool)
        is_list = kinds != "values" if named_lists is None else named_lists
        is_vector = kinds == "vectors" if named_vectors is None else named_vectors
        # What one of them names is not for the other's "auto" to take; that of vectors comes before that of lists.
        is_vector = is_vector & ~(none if named_lists is None else named_lists)
        is_list = is_list & ~is_vector
        return is_list, is_vector

    def list_columns(self, names: dict[int, str], categories: list[str]) -> dict[int, ListColumn]:
        """The columns of lists, by position, for those of these names.

        Raises
        ------
        ValueError
            If `shared_embeddings` names a column that is none of lists, or none of categories, or if there is a
            `list_separator` and no column of lists.
        """
        if self.separator is not None and not names:
            raise ValueError(
                f"The 'list_separator' parameter is {self.separator!r}, and no column holds lists. Name those whose "
                "strings are lists in `list_features`."
            )
        strange = [name for name in self.shared if name not in names.values()]
        if strange:
            raise ValueError(
                f"'shared_embeddings' has {strange[0]!r}, which is no column of lists. These are "
                f"{list(names.values())}."
            )
        for name, shares in self.shared.items():
            if shares not in categories:
                raise ValueError(
                    f"'shared_embeddings' has {shares!r} for {name!r}, which is no category. These are {categories}."
                )
        return {
            position: ListColumn(name, self.shared.get(name), self.min_frequency, self.max_length, self.separator)
            for position, name in names.items()
        }


def _named(parameter: str, selector: Any, X: Any) -> np.ndarray | None:
    """The columns that a parameter names; None if it is "auto"."""
    return None if isinstance(selector, str) else column_mask(parameter, selector, X)


def held_by(column: Any) -> Literal["values", "lists", "vectors"]:
    """What most of the first values of a column are that are not missing; of an array's column, single values."""
    dtype = getattr(column, "dtype", None)
    if isinstance(dtype, pd.ArrowDtype):
        import pyarrow.types  # which is there where such a dtype is

        types, kind = pyarrow.types, dtype.pyarrow_dtype
        if not (types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)):
            return "values"
        return "vectors" if types.is_floating(kind.value_type) else "lists"
    if getattr(dtype, "kind", "") != "O" or isinstance(dtype, pd.CategoricalDtype):
        return "values"
    first = list(islice(filter(is_there, column), N_LOOKED_AT))
    sequences = [value for value in first if isinstance(value, SEQUENCES)]
    if len(sequences) <= len(first) / 2:
        return "values"
    filled = [value for value in sequences if (value.size if isinstance(value, np.ndarray) else len(value))]
    return "vectors" if sum(map(_is_of_floats, filled)) > len(filled) / 2 else "lists"


def _is_of_floats(value: Any) -> bool:
    """Whether a sequence is a vector by the type of its values: of whole numbers and strings it is a list."""
    if isinstance(value, np.ndarray) and value.dtype != object:
        return value.dtype.kind == "f"
    return isinstance(value, ORDERED) and all(isinstance(one, (float, np.floating)) for one in value)
