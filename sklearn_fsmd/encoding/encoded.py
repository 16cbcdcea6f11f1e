"""An encoded table: codes, scaled numbers, lists, and what is known of how rows were shown."""

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
    codes : (n, F) int32 or int64, rows of the embedding table, counted through all columns.
    numbers : (n, N) float32, the scaled numeric columns, then the components of the vectors, column by column, then
        what is known of the targets.
    rows : which rows are meant; None for all.
    bias : the bias features of the same rows, if there are any.
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
        """Codes and numbers as tensors, the lists if there are any, then codes and numbers of the bias features.

        On a CPU they share the arrays' memory.
        """
        own: tuple[Any, ...] = torch.from_numpy(self.codes).to(device), torch.from_numpy(self.numbers).to(device)
        if self.lists is not None:
            own = *own, self.lists.to(device)
        return own if self.bias is None else (*own, *self.bias.tensors(device))

    def take(self, rows: np.ndarray) -> Encoded:
        """A copy of some rows."""
        lists = None if self.lists is None else self.lists[torch.from_numpy(np.arange(len(self.codes))[rows])]
        return Encoded(self.codes[rows], self.numbers[rows], bias=self.bias and self.bias.take(rows), lists=lists)

    @staticmethod
    def joined(parts: Sequence[Encoded]) -> Encoded:
        """The rows of all parts, of which there is at least one, and of which all rows are meant."""
        if len(parts) == 1:
            return parts[0]
        of_bias = [part.bias for part in parts if part.bias is not None]
        of_lists = [part.lists for part in parts if part.lists is not None]
        return Encoded(
            np.concatenate([part.codes for part in parts]),
            np.concatenate([part.numbers for part in parts]),
            bias=Encoded.joined(of_bias) if of_bias else None,
            lists=Lists.joined(of_lists) if of_lists else None,
        )

    def meant_codes(self) -> np.ndarray:
        """The codes of the rows that are meant."""
        return self.codes if self.rows is None else self.codes[self.rows]

    def select(self, rows: np.ndarray) -> Encoded:
        """Some rows, without a copy."""
        return replace(self, rows=rows)

    def with_numbers(self, more: np.ndarray) -> Encoded:
        """The rows with further numbers; rows that are not meant have zeros there, and nobody reads them."""
        if self.rows is not None:
            wide = np.zeros((len(self.codes), more.shape[1]), dtype=np.float32)
            wide[self.rows] = more
            more = wide
        return replace(self, numbers=np.concatenate([self.numbers, more], axis=1))
