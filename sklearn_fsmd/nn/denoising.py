"""A denoising autoencoder on encoded rows: what embeddings can learn without any target."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from sklearn_fsmd.nn.embedding import Embedding
from sklearn_fsmd.nn.mlp import HiddenLayer, StackedLinear, StackedMLP

N_CANDIDATES = 128
"""Columns of more rows than that are reconstructed among so many of them, drawn anew for each batch."""

EMBEDDING_STD = 0.01
"""Small, so that what an embedding ends with is what it has learned; the batch norm after it evens out the scale."""


class Learned(NamedTuple):
    """What an autoencoder has learned of some of the columns, in the places that it has in a network of all of them.

    `vectors` ``(rows, D)`` are the embeddings, NaN in the rows of other columns. `layer` is the hidden layer that read
    them: its inputs, of which the first `n_embedded` are of embeddings, are the network's inputs `places`.
    """

    vectors: Tensor
    layer: HiddenLayer
    places: Tensor
    n_embedded: int


class DenoisingAutoencoder(nn.Module):
    """Embeddings, an MLP that reads them, and for each column a guess at what it held before it was corrupted [1]_.

    Parameters
    ----------
    cardinalities : the number of rows of each code column.
    numeric_of : for each code column the numeric column whose bins it holds, or None.
    n_numeric : how many numeric columns there are.
    dim : length of an embedding.
    width : width of the hidden layer.
    batch_norm : whether the hidden layer is batch-normalised.

    References
    ----------
    .. [1] P. Vincent et al., "Stacked Denoising Autoencoders", JMLR 11, 2010. The paper names the idea (Sec. II-C) and
       gives no formula.
    """

    offsets: Tensor

    def __init__(
        self,
        cardinalities: Sequence[int],
        n_numeric: int,
        dim: int,
        numeric_of: Sequence[int | None] = (),
        *,
        width: int = 256,
        batch_norm: bool = True,
    ) -> None:
        super().__init__()
        self.cardinalities = list(cardinalities)
        self.numeric_of = list(numeric_of) or [None] * len(self.cardinalities)
        n_rows, n_columns = sum(self.cardinalities), len(self.cardinalities)
        self.embedding = Embedding(cardinalities, dim, std=EMBEDDING_STD)
        self.hidden = StackedMLP(1, n_columns * dim + n_numeric, (width,), batch_norm=batch_norm)
        self.to_codes = StackedLinear(1, self.hidden.out_features, n_columns * dim)
        self.to_numbers = StackedLinear(1, self.hidden.out_features, n_numeric) if n_numeric else None
        self.values = nn.Embedding(n_rows, dim)  # what the guesses are compared with
        self.value_bias = nn.Embedding(n_rows, 1)
        nn.init.normal_(self.values.weight, std=dim**-0.5)
        nn.init.zeros_(self.value_bias.weight)
        offsets = torch.tensor([0, *self.cardinalities[:-1]]).cumsum(0) if n_columns else torch.empty(0).long()
        self.register_buffer("offsets", offsets)

    def corrupt(
        self, codes: Tensor, numbers: Tensor, noise: float, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Swap a share `noise` of the codes for those of other rows, and add Gaussian noise of that size to numbers.

        With the bin of a number the number itself is swapped: it would give the bin away.
        """
        n = len(codes)
        swapped = (torch.rand(codes.shape, generator=generator) < noise).to(codes.device)
        others = torch.randint(n, codes.shape, generator=generator).to(codes.device)
        noisy = torch.where(swapped, codes.gather(0, others), codes)
        scattered = numbers + noise * torch.randn(numbers.shape, generator=generator).to(numbers.device)
        for f, j in enumerate(self.numeric_of):
            if j is not None:
                scattered[:, j] = torch.where(swapped[:, f], scattered[others[:, f], j], scattered[:, j])
        return noisy, scattered

    def forward(
        self, noisy: tuple[Tensor, Tensor], codes: Tensor, numbers: Tensor, generator: torch.Generator
    ) -> Tensor:
        """The mean loss over the columns: of the guesses from `noisy` at `codes` and `numbers`.

        Of codes those count that were corrupted (the full emphasis of [1]_, Sec. 4): an embedding that had to tell
        its own value from all others would have little room for what the value says of other columns.
        """
        hidden = self.hidden(self.embedding(*noisy).flat())
        losses = []
        if self.cardinalities:
            guesses = self.to_codes(hidden).squeeze(0).unflatten(1, (len(self.cardinalities), -1))
            entropies = self.cross_entropy(guesses, codes, self.candidates(generator))
            changed = noisy[0] != codes
            losses.append((entropies * changed).sum(dim=0) / changed.sum(dim=0).clamp(min=1))
        if self.to_numbers is not None:
            losses.append((self.to_numbers(hidden).squeeze(0) - numbers).square().mean(dim=0))
        return torch.cat(losses).mean()

    def candidates(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """For each column the rows that compete with the right one, and what to add to their logits, ``(F, S)``.

        All rows of a small column; of a large one a uniform sample, each of which stands for as many as were left out.
        """
        size = min(N_CANDIDATES, max(self.cardinalities))
        rows = torch.empty(len(self.cardinalities), size, dtype=torch.long)
        weights = torch.zeros(len(self.cardinalities), size)
        for f, cardinality in enumerate(self.cardinalities):
            if cardinality > size:
                rows[f] = torch.randint(cardinality, (size,), generator=generator)
                weights[f] = math.log(cardinality / size)
            else:
                rows[f] = torch.arange(size).clamp(max=cardinality - 1)
                weights[f, cardinality:] = -math.inf
        return rows.to(self.offsets.device) + self.offsets.unsqueeze(1), weights.to(self.offsets.device)

    def cross_entropy(self, guesses: Tensor, codes: Tensor, candidates: tuple[Tensor, Tensor]) -> Tensor:
        """−log P(code) of each value, ``(B, F)``, with the softmax over the code and the candidates."""
        rows, weights = candidates
        right = (guesses * self.values(codes)).sum(dim=2) + self.value_bias(codes).squeeze(2)  # (B, F)
        others = torch.einsum("bfd,fsd->bfs", guesses, self.values(rows)) + self.value_bias(rows).squeeze(2) + weights
        others = others.masked_fill(rows == codes.unsqueeze(2), -math.inf)
        total = torch.logsumexp(torch.cat((right.unsqueeze(2), others), dim=2), dim=2)
        return total - right
