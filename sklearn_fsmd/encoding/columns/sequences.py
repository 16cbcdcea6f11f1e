"""Columns whose values are sequences: detection of lists of categories and of vectors."""

from __future__ import annotations

from itertools import islice
from typing import Any, Literal

import numpy as np
import pandas as pd

from sklearn_fsmd.encoding.columns.lists import SEQUENCES, ListColumn, is_present
from sklearn_fsmd.encoding.columns.selection import column_mask, column_names
from sklearn_fsmd.encoding.columns.vector_rows import ORDERED
from sklearn_fsmd.parameters import InputParameters

N_INSPECTED = 100
"""Number of first values by which the kind of a column is determined."""


class SequenceOptions:
    """The parameters of lists and vectors: which columns hold them, and how lists are read."""

    def __init__(self, p: InputParameters) -> None:
        self.list_features, self.vector_features = p.list_features, p.vector_features
        self.shared = {str(lists): str(category) for lists, category in (p.shared_embeddings or {}).items()}
        self.min_frequency = p.min_frequency
        self.max_length, self.separator = p.max_list_length, p.list_separator
        if self.separator == "":
            raise ValueError("The 'list_separator' parameter must be a string that is not empty, or None. Got ''.")

    def masks(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        """Whether each column of X holds lists, and whether it holds vectors, ``(n_features,)`` bool each.

        Raises
        ------
        ValueError
            If `list_features` and `vector_features` name the same column.
        """
        named_lists = _named("list_features", self.list_features, X)
        named_vectors = _named("vector_features", self.vector_features, X)
        if named_lists is not None and named_vectors is not None and (in_both := named_lists & named_vectors).any():
            name = column_names(X)[np.argmax(in_both)]
            raise ValueError(f"Column {name!r} is in both 'list_features' and 'vector_features': take it out of one.")
        columns = [column for _, column in X.items()] if isinstance(X, pd.DataFrame) else [None] * X.shape[1]
        kinds = np.array([content_of(column) for column in columns])
        none = np.zeros(X.shape[1], dtype=bool)
        is_list = kinds != "values" if named_lists is None else named_lists
        is_vector = kinds == "vectors" if named_vectors is None else named_vectors
        # A column that one parameter names is excluded from the "auto" of the other. The "auto" of vectors comes first.
        is_vector = is_vector & ~(none if named_lists is None else named_lists)
        is_list = is_list & ~is_vector
        return is_list, is_vector

    def list_columns(self, names: dict[int, str], categories: list[str]) -> dict[int, ListColumn]:
        """Create the columns of lists, by position.

        Parameters
        ----------
        names : the names of the columns of lists, by position.
        categories : the names of the categories.

        Raises
        ------
        ValueError
            If `shared_embeddings` maps a column that does not hold lists, or to a column that is not a category; or if
            there is a `list_separator` but no column of lists.
        """
        if self.separator is not None and not names:
            raise ValueError(
                f"The 'list_separator' parameter is {self.separator!r}, and no column holds lists. Name those whose "
                "strings are lists in `list_features`."
            )
        others = [name for name in self.shared if name not in names.values()]
        if others:
            raise ValueError(
                f"'shared_embeddings' has {others[0]!r}, which is no column of lists. These are "
                f"{list(names.values())}. Lists of floats are vectors, and text is a category, unless `list_features` "
                "names the column."
            )
        for name, shares in self.shared.items():
            if shares not in categories:
                advice = (
                    "Lists cannot share the embeddings of other lists."
                    if shares in names.values()
                    else "Integers are categories if their dtype is category, or if `categorical_features` names them."
                )
                raise ValueError(
                    f"'shared_embeddings' has {shares!r} for {name!r}, which is no category. These are {categories}. "
                    f"{advice}"
                )
        return {
            position: ListColumn(name, self.shared.get(name), self.min_frequency, self.max_length, self.separator)
            for position, name in names.items()
        }


def _named(parameter: str, selector: Any, X: Any) -> np.ndarray | None:
    """Mask of the columns that a parameter names; None if it is "auto"."""
    return None if isinstance(selector, str) else column_mask(parameter, selector, X)


def content_of(column: Any) -> Literal["values", "lists", "vectors"]:
    """Kind of most of the first values of a column that are not missing; "values" for None, a column of an array."""
    dtype = getattr(column, "dtype", None)
    if isinstance(dtype, pd.ArrowDtype):
        import pyarrow.types  # installed, since there is such a dtype

        types, kind = pyarrow.types, dtype.pyarrow_dtype
        if not (types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)):
            return "values"
        return "vectors" if types.is_floating(kind.value_type) else "lists"
    if getattr(dtype, "kind", "") != "O" or isinstance(dtype, pd.CategoricalDtype):
        return "values"
    first = list(islice(filter(is_present, column), N_INSPECTED))
    sequences = [value for value in first if isinstance(value, SEQUENCES)]
    if len(sequences) <= len(first) / 2:
        return "values"
    not_empty = [value for value in sequences if (value.size if isinstance(value, np.ndarray) else len(value))]
    return "vectors" if sum(map(_holds_floats, not_empty)) > len(not_empty) / 2 else "lists"


def _holds_floats(value: Any) -> bool:
    """Whether a sequence is a vector, since it holds floats; one of integers or strings is a list."""
    if isinstance(value, np.ndarray) and value.dtype != object:
        return value.dtype.kind == "f"
    return isinstance(value, ORDERED) and all(isinstance(item, (float, np.floating)) for item in value)
