"""Columns of lists without padding: the concatenated values of all rows, and the offsets of the rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Ragged:
    """One column of lists.

    Attributes
    ----------
    flat : ``(m,)``, the values of all rows.
    offsets : ``(n + 1,)`` int64; the values of row `i` are at ``offsets[i] … offsets[i + 1] - 1``.
    """

    flat: Tensor
    offsets: Tensor

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, rows: Tensor | slice) -> Ragged:
        if isinstance(rows, slice):
            start, stop, _ = rows.indices(len(self))
            offsets = self.offsets[start : max(stop, start) + 1]
            return Ragged(self.flat[offsets[0] : offsets[-1]], offsets - offsets[0])
        rows = rows.long()
        starts = self.offsets[rows]
        lengths = self.offsets[rows + 1] - starts
        offsets = torch.cat((lengths.new_zeros(1), lengths.cumsum(0)))
        n = int(offsets[-1])  # the only synchronisation with a GPU: it is the size of the result
        first = (starts - offsets[:-1]).repeat_interleave(lengths, output_size=n)
        return Ragged(self.flat[first + torch.arange(n, device=rows.device)], offsets)

    @staticmethod
    def joined(parts: Sequence[Ragged]) -> Ragged:
        """Concatenate the rows of at least one part."""
        lengths = torch.cat([part.offsets.diff() for part in parts])
        return Ragged(torch.cat([part.flat for part in parts]), torch.cat((lengths.new_zeros(1), lengths.cumsum(0))))


@dataclass(frozen=True)
class Lists:
    """Several columns of lists, indexed by rows like a tensor."""

    columns: tuple[Ragged, ...]

    def __len__(self) -> int:
        return len(self.columns[0])

    def __iter__(self) -> Iterator[Ragged]:
        return iter(self.columns)

    def __getitem__(self, rows: Tensor | slice) -> Lists:
        return Lists(tuple(column[rows] for column in self.columns))

    def split(self, size: int) -> list[Lists]:
        """Split into chunks of `size` rows, like `Tensor.split`."""
        return [self[start : start + size] for start in range(0, max(len(self), 1), size)]

    def to(self, device: torch.device | str) -> Lists:
        return Lists(tuple(Ragged(column.flat.to(device), column.offsets.to(device)) for column in self.columns))

    @staticmethod
    def joined(parts: Sequence[Lists]) -> Lists:
        """Concatenate the rows of at least one part."""
        return Lists(tuple(map(Ragged.joined, zip(*parts, strict=True))))

    def hidden(self, rate: float, unknown: Tensor, generator: torch.Generator) -> Lists:
        """Mask a random share `rate` of the values: column `j` gets the code ``unknown[j]`` there."""
        columns = []
        for column, code in zip(self.columns, unknown, strict=True):
            draws = torch.rand(len(column.flat), generator=generator, dtype=torch.float32).to(column.flat.device)
            columns.append(Ragged(torch.where(draws < rate, code.to(column.flat), column.flat), column.offsets))
        return Lists(tuple(columns))
