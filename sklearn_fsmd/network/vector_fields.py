"""Columns of vectors, such as the embedding of a picture, as fields next to the embedded categories."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sklearn_fsmd.network.stacked_mlp import StackedLinear


class VectorFields(nn.Module):
    """A linear map for each column of vectors, to the length `D` of an embedding.

    This way a vector is one field. The FM multiplies the mapped vector with other fields, such as the embedding of the
    user, but does not multiply its components with each other. The extractor has `D` inputs per vector, whatever its
    length. The first-order terms use the components themselves.

    The initial maps have outputs of variance 1, like scaled numbers. Maps with outputs as small as the initial
    embeddings learn slowly, and early stopping ends training too early for them.

    Parameters
    ----------
    widths : lengths of the vectors of each column.
    first : index of the first component among the numbers; the components of all columns are adjacent.
    n_sets : number of maps per column, `S`.

    **Shape**: numbers ``(B, N)`` → the numbers that belong to no vector ``(B, N - Σd)``, and fields ``(B, V, S, D)``.
    """

    def __init__(self, widths: Sequence[int], first: int, n_sets: int, dim: int) -> None:
        super().__init__()
        self.widths, self.first = list(widths), first
        self.maps = nn.ModuleList(StackedLinear(n_sets, width, dim) for width in widths)
        for linear, width in zip(self.maps, widths, strict=True):
            nn.init.normal_(linear.weight, std=width**-0.5)  # type: ignore[arg-type]

    def forward(self, numbers: Tensor) -> tuple[Tensor, Tensor]:
        last = self.first + sum(self.widths)
        vectors = numbers[:, self.first : last].split(self.widths, dim=1)
        fields = [linear(vector).transpose(0, 1) for linear, vector in zip(self.maps, vectors, strict=True)]
        return torch.cat((numbers[:, : self.first], numbers[:, last:]), dim=1), torch.stack(fields, dim=1)
