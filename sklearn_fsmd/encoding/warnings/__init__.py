"""Warnings of common mistakes: ids or times taken for numbers, odd text, missing codes, X and Y that do not match."""

from sklearn_fsmd.encoding.warnings.category_dtypes import warn_of_category_dtypes
from sklearn_fsmd.encoding.warnings.id_vectors import warn_of_id_vectors
from sklearn_fsmd.encoding.warnings.ids import warn_of_ids
from sklearn_fsmd.encoding.warnings.missing_codes import warn_of_codes, warn_of_missing_codes
from sklearn_fsmd.encoding.warnings.odd_text import warn_of_text, warn_of_two_types
from sklearn_fsmd.encoding.warnings.pairing import (
    warn_of_leaking_columns,
    warn_of_order,
    warn_of_orders,
    warn_of_target_columns,
)
from sklearn_fsmd.encoding.warnings.unix_times import warn_of_unix_times

__all__ = [
    "warn_of_category_dtypes",
    "warn_of_codes",
    "warn_of_id_vectors",
    "warn_of_ids",
    "warn_of_leaking_columns",
    "warn_of_missing_codes",
    "warn_of_order",
    "warn_of_orders",
    "warn_of_target_columns",
    "warn_of_text",
    "warn_of_two_types",
    "warn_of_unix_times",
]
