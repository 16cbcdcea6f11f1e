"""A warning of text that is written otherwise than in fit, so that no value is known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from sklearn_fsmd.encoding.columns.canonical import shown
from sklearn_fsmd.encoding.columns.selection import evenly_spaced
from sklearn_fsmd.parameters import warn

FEW_VALUES, N_VALUES = 10, 1000
"""Fewer distinct values may all be new; of more, a sample is inspected."""
SPELLINGS: tuple[tuple[Callable[[str], str], str], ...] = (
    (lambda text: text.removesuffix(".0"), ".str.removesuffix('.0')"),
    (lambda text: f"{text}.0", " + '.0'"),
    (str.strip, ".str.strip()"),
)
"""How ids become other text: a missing value makes integers floats, and files may pad text with blanks."""


def warn_of_spelling(name: str, values: np.ndarray, known: pd.Index) -> None:
    """Warn if none of these distinct values is known, and most would be if they were spelled otherwise."""
    if len(values) < FEW_VALUES:
        return
    sample = values[evenly_spaced(len(values), N_VALUES)].tolist()
    for respelled, remedy in SPELLINGS:
        others = [respelled(value) for value in sample]
        is_known = known.get_indexer(pd.Index(others, dtype=object)) >= 0
        if is_known.mean() > 0.5:
            i = int(is_known.argmax())
            warn(
                f"Column {name!r}: none of its {len(values):,} different values was in fit, but {others[i]!r} was, and "
                f"now there is {shown(sample[i])}. Unknown values are all treated alike. Write them as in fit: "
                f"X[{name!r}]{remedy}."
            )
            return
