"""Keys of statistics: map the codes of a row of X to a row of each key's table."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from sklearn_fsmd.encoding.table import FeatureEncoder

Key = tuple[int, ...]
"""One code column of the encoder, or several whose combinations of values are used."""


class KeyRows:
    """Rows of a table per key: one row for each code of a single column, or for each known combination of several.

    Row 0 is for unknown values and combinations.

    Parameters
    ----------
    keys : the code columns of each key.

    Attributes
    ----------
    offsets, sizes : for each column of each key, its first code and its number of codes.
    known : for each key of several columns, its known combinations, sorted; None for a key of one column.
    """

    def __init__(self, keys: Sequence[Key]) -> None:
        self.keys = [tuple(key) for key in keys]
        self.known: list[np.ndarray | None] = []

    def set_codes(self, encoder: FeatureEncoder) -> None:
        """Set the offsets and sizes of the columns from a fitted encoder."""
        self.offsets = [[int(encoder.offsets[f]) for f in key] for key in self.keys]
        self.sizes = [[int(encoder.cardinalities[f]) for f in key] for key in self.keys]
        names = [column.name for column in encoder.categories.values()]
        for key, sizes in zip(self.keys, self.sizes, strict=True):
            if math.prod(sizes) > np.iinfo(np.int64).max:
                raise ValueError(
                    f"statistics_features has the combination {tuple(names[f] for f in key)}, whose columns have "
                    f"{sizes} values. Their product is more than the 64 bits that number a combination: name fewer."
                )

    def combined(self, i: int, codes: np.ndarray) -> np.ndarray:
        """One number per row for the codes of key `i`, ``(n,)``; 0 if one of them is unknown."""
        columns = [codes[:, f].astype(np.int64) - o for f, o in zip(self.keys[i], self.offsets[i], strict=True)]
        combined = columns[0]
        for column, size in zip(columns[1:], self.sizes[i][1:], strict=True):
            combined = np.where((combined > 0) & (column > 0), combined * size + column, 0)
        return combined

    def combinations(self, codes: np.ndarray) -> list[np.ndarray | None]:
        """Return the combinations in these rows, sorted, for each key of several columns; None for a single column."""
        combinations: list[np.ndarray | None] = []
        for i, key in enumerate(self.keys):
            distinct = None if len(key) == 1 else np.unique(self.combined(i, codes))
            combinations.append(None if distinct is None else distinct[distinct > 0])
        return combinations

    def n_rows(self, i: int) -> int:
        """Number of rows of the table of key `i`."""
        known = self.known[i]
        return self.sizes[i][0] if known is None else len(known) + 1

    def index(self, i: int, codes: np.ndarray) -> np.ndarray:
        """Row of the table of key `i` for each row of `codes`."""
        combined, known = self.combined(i, codes), self.known[i]
        if known is None:
            return combined
        if not len(known):
            return np.zeros(len(codes), dtype=np.int64)
        position = np.searchsorted(known, combined).clip(max=len(known) - 1)
        return np.where(known[position] == combined, position + 1, 0)


def renumbered(combined: np.ndarray, old_sizes: Sequence[int], new_sizes: Sequence[int]) -> np.ndarray:
    """Convert numbers of combinations to columns of other sizes; their order stays."""
    parts = []
    for size in reversed(old_sizes[1:]):
        combined, last = np.divmod(combined, size)
        parts.append(last)
    for size, last in zip(new_sizes[1:], reversed(parts), strict=True):
        combined = combined * size + last
    return combined
