"""An encoded table: codes, scaled numbers, lists, and bias features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from sklearn_fsmd.network import Lists


@dataclass(frozen=True)
class Encoded:
    """An encoded table, or a selection of its rows.

    Attributes
    ----------
    codes : (n, F) int32 or int64, rows of the embedding table, which all columns share.
    numbers : (n, N) float32, the scaled numeric columns, then the components of the vectors, column by column, then
        the statistics of the targets.
    rows : the indices of the selected rows; None for all.
    bias : the bias features of the same rows; None if there are none.
    lists : the columns of lists, whose values are rows of the embedding table too; None if there are none.
    """

    codes: np.ndarray
    numbers: np.ndarray
    rows: np.ndarray | None = None
    bias: Encoded | None = None
    lists: Lists | None = None

    def __len__(self) -> int:
        return len(self.codes) if self.rows is None else len(self.rows)

    def tensors(self, device: torch.device | str = "cpu") -> tuple[Any, ...]:
        """Return the codes and numbers as tensors, the lists if there are any, then those of the bias features.

        On a CPU the tensors share the memory of the arrays.
        """
        tensors: tuple[Any, ...] = torch.from_numpy(self.codes).to(device), torch.from_numpy(self.numbers).to(device)
        if self.lists is not None:
            tensors = *tensors, self.lists.to(device)
        return tensors if self.bias is None else (*tensors, *self.bias.tensors(device))

    def take(self, rows: np.ndarray) -> Encoded:
        """Copy some of the selected rows."""
        rows = rows if self.rows is None else self.rows[rows]
        lists = None if self.lists is None else self.lists[torch.from_numpy(np.arange(len(self.codes))[rows])]
        return Encoded(self.codes[rows], self.numbers[rows], bias=self.bias and self.bias.take(rows), lists=lists)

    @staticmethod
    def joined(parts: Sequence[Encoded]) -> Encoded:
        """Concatenate parts, at least one; no rows may be selected in them."""
        if len(parts) == 1:
            return parts[0]
        biases = [part.bias for part in parts if part.bias is not None]
        lists = [part.lists for part in parts if part.lists is not None]
        return Encoded(
            np.concatenate([part.codes for part in parts]),
            np.concatenate([part.numbers for part in parts]),
            bias=Encoded.joined(biases) if biases else None,
            lists=Lists.joined(lists) if lists else None,
        )

    def selected_codes(self) -> np.ndarray:
        """Codes of the selected rows."""
        return self.codes if self.rows is None else self.codes[self.rows]

    def select(self, rows: np.ndarray) -> Encoded:
        """Select some of the selected rows, without a copy."""
        return replace(self, rows=rows if self.rows is None else self.rows[rows])

    def with_numbers(self, columns: np.ndarray) -> Encoded:
        """Append columns of numbers for the selected rows; other rows get zeros, which are never read."""
        if self.rows is not None:
            all_rows = np.zeros((len(self.codes), columns.shape[1]), dtype=np.float32)
            all_rows[self.rows] = columns
            columns = all_rows
        return replace(self, numbers=np.concatenate([self.numbers, columns], axis=1))
