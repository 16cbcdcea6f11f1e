"""A denoising autoencoder on encoded rows: what embeddings can learn without any target."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

import torch
from torch import Tensor, nn

from sklearn_fsmd.network.embedding import Columns, Embedding
from sklearn_fsmd.network.stacked_mlp import HiddenLayer, StackedLinear, StackedMLP

N_CANDIDATES = 128
"""Columns of more rows than that are reconstructed among so many of them, drawn anew for each batch."""

EMBEDDING_STD = 0.01
"""Small, so that what an embedding ends with is what it has learned."""


class Learned(NamedTuple):
    """What an autoencoder has learned of some of the columns, at the positions that it has in a network of all of them.

    `vectors` ``(rows, D)`` are the embeddings, NaN in the rows of other columns. `layer` is the hidden layer that read
    them: its inputs, of which the first `n_embedded` are of embeddings, are the network's inputs `positions`.
    """

    vectors: Tensor
    layer: HiddenLayer
    positions: Tensor
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

    The noise that numbers get, and the loss of a guess at them, are relative to their spread; see :meth:`measure`.

    References
    ----------
    .. [1] P. Vincent et al., "Stacked Denoising Autoencoders", JMLR 11, 2010. The paper names the idea (Sec. II-C) and
       gives no formula.
    """

    means: Tensor
    spreads: Tensor

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
        self.starts = list(accumulate(self.cardinalities[:-1], initial=0))
        self.numeric_of = list(numeric_of) or [None] * len(self.cardinalities)
        n_rows, n_columns = sum(self.cardinalities), len(self.cardinalities)
        self.embedding = Embedding(Columns(cardinalities, n_numeric), dim, std=EMBEDDING_STD)
        self.hidden = StackedMLP(1, n_columns * dim + n_numeric, (width,), batch_norm=batch_norm)
        self.to_codes = StackedLinear(1, self.hidden.out_features, n_columns * dim)
        self.to_numbers = StackedLinear(1, self.hidden.out_features, n_numeric) if n_numeric else None
        self.values = nn.Embedding(n_rows, dim)  # what the guesses are compared with
        self.value_bias = nn.Embedding(n_rows, 1)
        nn.init.normal_(self.values.weight, std=dim**-0.5)
        nn.init.zeros_(self.value_bias.weight)
        self.register_buffer("means", torch.zeros(n_numeric))
        self.register_buffer("spreads", torch.ones(n_numeric))

    def measure(self, numbers: Tensor) -> None:
        """Take the means and the standard deviations of the columns of `numbers`; a constant has the deviation 1."""
        for j, column in enumerate(numbers.unbind(1)):
            spread, self.means[j] = torch.std_mean(column.double(), correction=0)
            self.spreads[j] = spread or 1.0

    def corrupt(
        self, codes: Tensor, numbers: Tensor, noise: float, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Swap a share `noise` of the codes for those of other rows, and add Gaussian noise to numbers.

        With the bin of a number the number itself is swapped: it would give the bin away.
        """
        n = len(codes)
        swapped = (torch.rand(codes.shape, generator=generator, dtype=torch.float32) < noise).to(codes.device)
        others = torch.randint(n, codes.shape, generator=generator).to(codes.device)
        noisy = torch.where(swapped, codes.gather(0, others), codes)
        scatter = torch.randn(numbers.shape, generator=generator, dtype=torch.float32).to(numbers.device)
        scattered = numbers + noise * self.spreads * scatter
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
            losses.append(self.cross_entropy(guesses, codes, noisy[0] != codes, generator))
        if self.to_numbers is not None:
            standard = (numbers - self.means) / self.spreads
            losses.append((self.to_numbers(hidden).squeeze(0) - standard).square().mean(dim=0))
        return torch.cat(losses).mean()

    def cross_entropy(self, guesses: Tensor, codes: Tensor, counted: Tensor, generator: torch.Generator) -> Tensor:
        """For each column the mean −log P(code) of the rows that are `counted`, ``(F,)``; 0 where none is.

        Column by column, since they have as different numbers of rows as of candidates.
        """
        column, row = counted.t().nonzero(as_tuple=True)  # column after column
        counts = counted.sum(dim=0).tolist()
        guesses, codes = guesses[row, column], codes[row, column]
        right = (guesses * self.values(codes)).sum(dim=1) + self.value_bias(codes).squeeze(1)
        parts = zip(*(t.split(counts) for t in (guesses, codes, right)), *self.candidates(generator), strict=True)
        return torch.stack([self._entropy(*part) / max(len(part[0]), 1) for part in parts])

    @staticmethod
    def _entropy(guesses: Tensor, codes: Tensor, right: Tensor, rows: Tensor, values: Tensor, bias: Tensor) -> Tensor:
        """The sum over a column of −log P(code), with the softmax over the code and the candidates."""
        others = torch.addmm(bias, guesses, values.t()).masked_fill(rows == codes.unsqueeze(1), -math.inf)
        return (torch.cat((right.unsqueeze(1), others), dim=1).logsumexp(dim=1) - right).sum()

    def candidates(self, generator: torch.Generator) -> tuple[Sequence[Tensor], Sequence[Tensor], Sequence[Tensor]]:
        """For each column the rows that compete with the right one, ``(S,)``, their values and their biases.

        All rows of a small column; of a large one a uniform sample, each of which stands for as many as were left out.
        """
        rows, weights = [], []
        for start, cardinality in zip(self.starts, self.cardinalities, strict=True):
            size = min(cardinality, N_CANDIDATES)
            whole = size == cardinality
            drawn = torch.arange(size) if whole else torch.randint(cardinality, (size,), generator=generator)
            rows.append(start + drawn)
            weights.append(torch.full((size,), math.log(cardinality / size), dtype=torch.float32))
        sizes = [len(drawn) for drawn in rows]
        device = self.values.weight.device
        everywhere = torch.cat(rows).to(device)
        bias = self.value_bias(everywhere).squeeze(1) + torch.cat(weights).to(device)
        return everywhere.split(sizes), self.values(everywhere).split(sizes), bias.split(sizes)
