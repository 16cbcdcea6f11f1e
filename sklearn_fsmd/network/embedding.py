"""Columns become vectors: one embedding table for all columns, with a range of rows for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from sklearn_fsmd.network.seam import FORMULA, Execution

STARTING_RMS = 0.03
"""Root mean square of embeddings that were learned beforehand."""


class Columns(NamedTuple):
    """The rows of the embedding table that each code column has, and the number of numeric columns."""

    cardinalities: Sequence[int]
    n_numeric: int

    @property
    def n_rows(self) -> int:
        return sum(self.cardinalities)


class Embedded(NamedTuple):
    """What the low-order part and the extractor read of a batch.

    `codes` ``(B, F)`` are the rows of the table; `numbers` ``(B, N)`` the scaled numeric columns; `fields`
    ``(B, F, S, D)`` the looked-up vectors, in `S` sets (1, or one per task where nothing is shared).
    """

    codes: Tensor
    numbers: Tensor
    fields: Tensor

    def flat(self) -> Tensor:
        """The input of the deep part: all vectors and numbers side by side, ``(B, I)`` or, in sets, ``(B, S, I)``."""
        n_sets = self.fields.shape[2]
        if n_sets == 1:
            return torch.cat((self.fields.flatten(1), self.numbers), dim=1)
        vectors = self.fields.transpose(1, 2).flatten(2)  # (B, S, F * D)
        return torch.cat((vectors, self.numbers.unsqueeze(1).expand(-1, n_sets, -1)), dim=2)


class Table(nn.Embedding):
    """An embedding table.

    **Shape**: ``(B, F)`` codes → ``(B, F, D)``.
    """

    execution: Execution = FORMULA

    def forward(self, codes: Tensor) -> Tensor:
        computed = self.execution.lookup(self.weight, codes) if self.training and not self.sparse else None
        return super().forward(codes) if computed is None else computed


class Embedding(nn.Module):
    """One table for all columns; column `f` owns the rows ``offsets[f] … offsets[f] + cardinalities[f] - 1``.

    Parameters
    ----------
    cardinalities : the number of rows of each column, the row for unknown values included.
    dim : length of a vector, `D`.
    n_sets : how many separate vectors a value has, `S`.
    std : standard deviation of the initial values. Small, so that a rarely seen id starts out as no information.

    **Shape**: ``(B, F)`` codes, counted through all columns, and ``(B, N)`` numbers → :class:`Embedded`.

    Examples
    --------
    >>> import torch
    >>> embedding = Embedding([3, 10], dim=4)
    >>> embedding(torch.tensor([[0, 3], [2, 12]]), torch.zeros(2, 1)).flat().shape
    torch.Size([2, 9])
    """

    def __init__(self, cardinalities: Sequence[int], dim: int, *, n_sets: int = 1, std: float = 1e-4) -> None:
        super().__init__()
        self.n_sets = n_sets
        self.table = Table(sum(cardinalities), n_sets * dim)
        nn.init.normal_(self.table.weight, std=std)

    def forward(self, codes: Tensor, numbers: Tensor) -> Embedded:
        fields = self.table(codes).unflatten(2, (self.n_sets, -1))
        return Embedded(codes, numbers, fields)

    @torch.no_grad()
    def start_from(self, vectors: Tensor) -> float:
        """Take `vectors` ``(rows, D)`` for the initial values, in every set, and leave the rows out that are NaN.

        They are scaled to a common size, by the factor that is returned: the FM adds products of all pairs of them to
        every logit.
        """
        factor = STARTING_RMS / vectors[~vectors.isnan()].square().mean().sqrt().clamp(min=1e-9).item()
        vectors = (vectors * factor).to(self.table.weight.device).repeat(1, self.n_sets)
        self.table.weight.copy_(torch.where(vectors.isnan(), self.table.weight, vectors))
        return factor
