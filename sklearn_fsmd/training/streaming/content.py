"""What all rows of a data set hold, in a few bytes, so that a fit that was killed does not go on with other rows."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pandas as pd


class Content:
    """Is told of all rows, block by block."""

    def __init__(self) -> None:
        self.digest = hashlib.sha256()

    def add(self, frame: pd.DataFrame) -> None:
        """Some further rows."""
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
        texts = (repr(_in_order(value)) for value in values)
        self.digest.update("\n".join(texts).encode("utf-8", "surrogatepass"))

    def told(self) -> str:
        """The same, in each process, for the same rows in the same blocks."""
        return self.digest.hexdigest()


def _in_order(value: Any) -> Any:
    """A value whose text is the whole of it, and the same in each process."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    return sorted(map(repr, value)) if isinstance(value, (set, frozenset)) else value
