"""One column of X: which values are equal, and the codes or numbers that they become."""

from sklearn_fsmd.encoding.columns.canonical import (
    LARGEST_FLOAT32,
    MISSING_CODES,
    Counted,
    add_counts,
    canonical,
    columns_of_x,
    factorize,
    holds_lists,
    kind_of,
    nested_error,
    shown,
)
from sklearn_fsmd.encoding.columns.category import UNKNOWN, AnotherKindError, CategoryColumn
from sklearn_fsmd.encoding.columns.lists import ListColumn
from sklearn_fsmd.encoding.columns.numeric import NumericColumn
from sklearn_fsmd.encoding.columns.seen import Counts, Moments, Numbers
from sklearn_fsmd.encoding.columns.selection import (
    Selector,
    categorical_mask,
    column_mask,
    column_names,
    column_of,
    evenly_spaced,
    twice_in,
)
from sklearn_fsmd.encoding.columns.sequences import SequenceOptions
from sklearn_fsmd.encoding.columns.vectors import VectorColumn

__all__ = [
    "LARGEST_FLOAT32",
    "MISSING_CODES",
    "UNKNOWN",
    "AnotherKindError",
    "CategoryColumn",
    "Counted",
    "Counts",
    "ListColumn",
    "Moments",
    "Numbers",
    "NumericColumn",
    "Selector",
    "SequenceOptions",
    "VectorColumn",
    "add_counts",
    "canonical",
    "categorical_mask",
    "column_mask",
    "column_names",
    "column_of",
    "columns_of_x",
    "evenly_spaced",
    "factorize",
    "holds_lists",
    "kind_of",
    "nested_error",
    "shown",
    "twice_in",
]
