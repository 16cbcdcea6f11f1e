"""A digest of all rows of a data set, so that a fit is not resumed with other rows."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pandas as pd


class Content:
    """Digest of rows that are added block by block."""

    def __init__(self) -> None:
        self.digest = hashlib.sha256()

    def add(self, frame: pd.DataFrame) -> None:
        """Add the rows of a block."""
        for _, column in frame.items():
            self.digest.update(f"{column.dtype} {len(column)}:".encode())
            if isinstance(column.dtype, np.dtype) and column.dtype != object:
                self.digest.update(np.ascontiguousarray(column.to_numpy()).data.cast("B"))
            elif isinstance(column.dtype, pd.CategoricalDtype):
                self.digest.update(column.cat.codes.to_numpy().tobytes())
                self._add_values(column.cat.categories)
            else:
                self._add_values(column)

    def _add_values(self, values: Any) -> None:
        texts = (repr(_with_fixed_order(value)) for value in values)
        self.digest.update("\n".join(texts).encode("utf-8", "surrogatepass"))

    def hexdigest(self) -> str:
        """The digest, which is the same in each process for the same rows in the same blocks."""
        return self.digest.hexdigest()


def _with_fixed_order(value: Any) -> Any:
    """A value with a repr that is complete, and the same in each process."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    return sorted(map(repr, value)) if isinstance(value, (set, frozenset)) else value
