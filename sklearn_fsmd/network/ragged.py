"""Rows of lists without padding: all values one after the other, and where each row begins."""

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
    flat : ``(m,)``, the values, those of all rows.
    offsets : ``(n + 1,)`` int64; row `i` has those at ``offsets[i] … offsets[i + 1] - 1``.
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
        n = int(offsets[-1])  # the one wait for a device: the result has this size
        first = (starts - offsets[:-1]).repeat_interleave(lengths, output_size=n)
        return Ragged(self.flat[first + torch.arange(n, device=rows.device)], offsets)

    @staticmethod
    def joined(parts: Sequence[Ragged]) -> Ragged:
        """The rows of all parts, of which there is at least one."""
        lengths = torch.cat([part.offsets.diff() for part in parts])
        return Ragged(torch.cat([part.flat for part in parts]), torch.cat((lengths.new_zeros(1), lengths.cumsum(0))))


@dataclass(frozen=True)
class Lists:
    """Several columns of lists, which are taken row by row as one tensor would be."""

    columns: tuple[Ragged, ...]

    def __len__(self) -> int:
        return len(self.columns[0])

    def __iter__(self) -> Iterator[Ragged]:
        return iter(self.columns)

    def __getitem__(self, rows: Tensor | slice) -> Lists:
        return Lists(tuple(column[rows] for column in self.columns))

    def split(self, size: int) -> list[Lists]:
        """Chunks of `size` rows, as of a tensor."""
        return [self[start : start + size] for start in range(0, max(len(self), 1), size)]

    def to(self, device: torch.device | str) -> Lists:
        return Lists(tuple(Ragged(column.flat.to(device), column.offsets.to(device)) for column in self.columns))

    @staticmethod
    def joined(parts: Sequence[Lists]) -> Lists:
        """The rows of all parts, of which there is at least one."""
        return Lists(tuple(map(Ragged.joined, zip(*parts, strict=True))))

    def hidden(self, rate: float, unknown: Tensor, generator: torch.Generator) -> Lists:
        """A share `rate` of the values swapped for the unknown value of their column, ``unknown[j]``."""
        columns = []
        for column, code in zip(self.columns, unknown, strict=True):
            hide = torch.rand(len(column.flat), generator=generator, dtype=torch.float32).to(column.flat.device) < rate
            columns.append(Ragged(torch.where(hide, code.to(column.flat), column.flat), column.offsets))
        return Lists(tuple(columns))
