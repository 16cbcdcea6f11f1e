"""A denoising autoencoder on encoded rows, which learns embeddings without targets."""

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
"""Number of candidates for the softmax of a large column; they are drawn again for each batch."""

EMBEDDING_STD = 0.01
"""Standard deviation of the initial embeddings: small, so that little of the final embeddings is random."""


class Learned(NamedTuple):
    """Weights that an autoencoder has learned for some columns, for use in a network of all columns.

    `vectors` ``(rows, D)`` are the embeddings, with NaN in the rows of other columns. `layer` is the first hidden
    layer. Its inputs are the inputs `positions` of the network, and the first `n_embedded` of them are embeddings.
    """

    vectors: Tensor
    layer: HiddenLayer
    positions: Tensor
    n_embedded: int


class DenoisingAutoencoder(nn.Module):
    """Embeddings, an MLP on them, and for each column a reconstruction of its value before it was corrupted [1]_.

    Parameters
    ----------
    cardinalities : number of table rows of each code column.
    numeric_of : for each code column the index of the numeric column whose bins it contains, or None.
    n_numeric : number of numeric columns.
    dim : length of an embedding.
    width : width of the hidden layer.
    batch_norm : whether the hidden layer is batch-normalised.

    The noise of numbers and their reconstruction loss are relative to their spread; see :meth:`measure`.

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
        self.values = nn.Embedding(n_rows, dim)  # the guesses are compared with these
        self.value_bias = nn.Embedding(n_rows, 1)
        nn.init.normal_(self.values.weight, std=dim**-0.5)
        nn.init.zeros_(self.value_bias.weight)
        self.register_buffer("means", torch.zeros(n_numeric))
        self.register_buffer("spreads", torch.ones(n_numeric))

    def measure(self, numbers: Tensor) -> None:
        """Set the means and standard deviations of the columns from `numbers`; constant columns get the deviation 1."""
        for j, column in enumerate(numbers.unbind(1)):
            spread, self.means[j] = torch.std_mean(column.double(), correction=0)
            is_constant = column.min() == column.max()  # rounding may leave a deviation above 0
            self.spreads[j] = 1.0 if is_constant else spread or 1.0

    def corrupt(
        self, codes: Tensor, numbers: Tensor, noise: float, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Replace a share `noise` of the codes by those of other rows, and add Gaussian noise to numbers.

        If the bin of a number is replaced, the number is replaced too, since it would reveal the bin.
        """
        n = len(codes)
        swapped = (torch.rand(codes.shape, generator=generator, dtype=torch.float32) < noise).to(codes.device)
        others = torch.randint(n, codes.shape, generator=generator).to(codes.device)
        noisy_codes = torch.where(swapped, codes.gather(0, others), codes)
        draws = torch.randn(numbers.shape, generator=generator, dtype=torch.float32).to(numbers.device)
        noisy_numbers = numbers + noise * self.spreads * draws
        for f, j in enumerate(self.numeric_of):
            if j is not None:
                noisy_numbers[:, j] = torch.where(swapped[:, f], noisy_numbers[others[:, f], j], noisy_numbers[:, j])
        return noisy_codes, noisy_numbers

    def forward(
        self, noisy: tuple[Tensor, Tensor], codes: Tensor, numbers: Tensor, generator: torch.Generator
    ) -> Tensor:
        """The mean over the columns of the loss of reconstructing `codes` and `numbers` from `noisy`.

        Only corrupted codes count (full emphasis in [1]_, Sec. 4). If an embedding had to distinguish its value from
        all others, little of it would be left for the relation of the value to other columns.
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
        """For each column the mean −log P(code) over the rows that are `counted`, ``(F,)``; 0 if there are none.

        The columns are computed one by one, since their numbers of rows and of candidates differ.
        """
        column, row = counted.t().nonzero(as_tuple=True)  # sorted by column
        counts = counted.sum(dim=0).tolist()
        guesses, codes = guesses[row, column], codes[row, column]
        true_scores = (guesses * self.values(codes)).sum(dim=1) + self.value_bias(codes).squeeze(1)
        parts = zip(*(t.split(counts) for t in (guesses, codes, true_scores)), *self.candidates(generator), strict=True)
        return torch.stack([self._entropy(*part) / max(len(part[0]), 1) for part in parts])

    @staticmethod
    def _entropy(
        guesses: Tensor, codes: Tensor, true_scores: Tensor, rows: Tensor, values: Tensor, bias: Tensor
    ) -> Tensor:
        """The sum of −log P(code) over a column; the softmax is over the code and the candidates `rows`."""
        scores = torch.addmm(bias, guesses, values.t()).masked_fill(rows == codes.unsqueeze(1), -math.inf)
        return (torch.cat((true_scores.unsqueeze(1), scores), dim=1).logsumexp(dim=1) - true_scores).sum()

    def candidates(self, generator: torch.Generator) -> tuple[Sequence[Tensor], Sequence[Tensor], Sequence[Tensor]]:
        """For each column the candidate rows, ``(S,)``, their values and their biases.

        The candidates are all rows of a small column, or a uniform sample of the rows of a large one. A bias of
        log(rows / S) corrects for the sampling.
        """
        rows, log_weights = [], []
        for start, cardinality in zip(self.starts, self.cardinalities, strict=True):
            size = min(cardinality, N_CANDIDATES)
            if size == cardinality:
                sample = torch.arange(size)
            else:
                sample = torch.randint(cardinality, (size,), generator=generator)
            rows.append(start + sample)
            log_weights.append(torch.full((size,), math.log(cardinality / size), dtype=torch.float32))
        sizes = [len(column_rows) for column_rows in rows]
        device = self.values.weight.device
        all_rows = torch.cat(rows).to(device)
        bias = self.value_bias(all_rows).squeeze(1) + torch.cat(log_weights).to(device)
        return all_rows.split(sizes), self.values(all_rows).split(sizes), bias.split(sizes)
