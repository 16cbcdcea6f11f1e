"""Vectors that come with a row, such as the embedding of a picture, become fields beside the embedded categories."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sklearn_fsmd.network.stacked_mlp import StackedLinear


class VectorFields(nn.Module):
    """A linear map for each column of vectors, to the length `D` of an embedding.

    So a vector is one field: the FM multiplies it as a whole with the user's embedding, say, but no component with
    another one, and the extractor reads `D` inputs of it, however long it is. The first-order terms read the components
    themselves.

    The maps begin with outputs of variance 1, as scaled numbers have. Maps as small as embeddings begin are slow to
    learn, and early stopping comes before they have.

    Parameters
    ----------
    widths : the length of the vectors of each column.
    first : the position of the first component among the numbers, in which the columns stand side by side.
    n_sets : how many maps each column has, `S`.

    **Shape**: ``(B, N)`` numbers → ``(B, N - Σd)``, those that are of no vector, and fields ``(B, V, S, D)``.
    """

    def __init__(self, widths: Sequence[int], first: int, n_sets: int, dim: int) -> None:
        super().__init__()
        self.widths, self.first = list(widths), first
        self.maps = nn.ModuleList(StackedLinear(n_sets, width, dim) for width in widths)
        for one, width in zip(self.maps, widths, strict=True):
            nn.init.normal_(one.weight, std=width**-0.5)  # type: ignore[arg-type]

    def forward(self, numbers: Tensor) -> tuple[Tensor, Tensor]:
        last = self.first + sum(self.widths)
        vectors = numbers[:, self.first : last].split(self.widths, dim=1)
        fields = [one(vector).transpose(0, 1) for one, vector in zip(self.maps, vectors, strict=True)]
        return torch.cat((numbers[:, : self.first], numbers[:, last:]), dim=1), torch.stack(fields, dim=1)
