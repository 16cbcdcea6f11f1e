"""Categories that are negative numbers, of which two are taken for missing."""

from __future__ import annotations

from sklearn_fsmd.encoding.canonical import MISSING_CODES
from sklearn_fsmd.encoding.table_encoder import FeatureEncoder
from sklearn_fsmd.runtime import warn


def warn_of_missing_codes(encoder: FeatureEncoder) -> None:
    """Warn, once for all of them, of categories with numbers below −2: there −1 and −2 may be values like others."""
    found = [
        column.name
        for column in encoder.categories.values()
        if column.kind == "numbers" and len(column.values) and column.values.min() < min(MISSING_CODES)
    ]
    if found:
        warn(
            f"{'Columns' if len(found) > 1 else 'Column'} {', '.join(map(repr, found))} of X: categories that are "
            "negative numbers. -1 and -2 are taken for missing, as encoders mark what they do not know. If they are "
            f"values, pass text: X.astype({dict.fromkeys(found, 'str')}), and this warning is gone."
        )
