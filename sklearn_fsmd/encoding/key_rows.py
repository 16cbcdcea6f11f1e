"""Keys of statistics, and which row of a key's table the codes of a row of X stand for."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from sklearn_fsmd.encoding.table_encoder import FeatureEncoder

Key = tuple[int, ...]
"""One code column of the encoder, or several, whose values are taken together."""


class KeyRows:
    """For each key a table's rows: one for each code of a single column, or for each known combination of several.

    Row 0 is for what is unknown.

    Parameters
    ----------
    keys : which code columns, alone or together.

    Attributes
    ----------
    offsets, sizes : for each column of each key its first code, and how many codes it has.
    known : for each key of several columns its combinations, sorted; None for a key of one column, whose codes count.
    """

    def __init__(self, keys: Sequence[Key]) -> None:
        self.keys = [tuple(key) for key in keys]
        self.known: list[np.ndarray | None] = []

    def take_codes_of(self, encoder: FeatureEncoder) -> None:
        """Be told which codes the columns have."""
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
        """One number for the codes of a key, 0 where one of them is unknown."""
        own = [codes[:, f].astype(np.int64) - o for f, o in zip(self.keys[i], self.offsets[i], strict=True)]
        combined = own[0]
        for column, size in zip(own[1:], self.sizes[i][1:], strict=True):
            combined = np.where((combined > 0) & (column > 0), combined * size + column, 0)
        return combined

    def combinations(self, codes: np.ndarray) -> list[np.ndarray | None]:
        """For each key of several columns the combinations that these rows have, sorted; None for one column."""
        found: list[np.ndarray | None] = []
        for i, key in enumerate(self.keys):
            distinct = None if len(key) == 1 else np.unique(self.combined(i, codes))
            found.append(None if distinct is None else distinct[distinct > 0])
        return found

    def n_rows(self, i: int) -> int:
        """How many rows the key's table has."""
        known = self.known[i]
        return self.sizes[i][0] if known is None else len(known) + 1

    def index(self, i: int, codes: np.ndarray) -> np.ndarray:
        """The row of the key's table for each row of `codes`."""
        combined, known = self.combined(i, codes), self.known[i]
        if known is None:
            return combined
        if not len(known):
            return np.zeros(len(codes), dtype=np.int64)
        at = np.searchsorted(known, combined).clip(max=len(known) - 1)
        return np.where(known[at] == combined, at + 1, 0)


def renumbered(combined: np.ndarray, old: Sequence[int], new: Sequence[int]) -> np.ndarray:
    """The numbers of combinations where the columns have other sizes; their order stays."""
    parts = []
    for size in reversed(old[1:]):
        combined, last = np.divmod(combined, size)
        parts.append(last)
    for size, last in zip(new[1:], reversed(parts), strict=True):
        combined = combined * size + last
    return combined
