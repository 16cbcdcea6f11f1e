"""Training without targets: a denoising autoencoder whose embeddings the network starts from."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from sklearn_fsmd.features import Encoded, FeatureEncoder
from sklearn_fsmd.nn.denoising import DenoisingAutoencoder
from sklearn_fsmd.runtime import seeded

LR = 2e-3


def pretrain(
    encoder: FeatureEncoder,
    rows: Encoded,
    columns: np.ndarray,
    *,
    dim: int,
    epochs: int,
    noise: float,
    device: str,
    seed: int,
    verbose: int = 0,
) -> Tensor:
    """Embeddings of all rows of the table, ``(n_rows, dim)``; those of columns that take no part are NaN.

    Parameters
    ----------
    encoder : the encoder of `rows`.
    columns : (n_features,) bool, which columns of the encoder's table take part.
    dim : length of an embedding.
    epochs, noise : passes over the rows, and the share of values that is corrupted.
    """
    part = _Part(encoder, columns)
    if not part.codes:
        raise ValueError("Pretraining has no column with embeddings: numbers have them with `numeric_bins` above 0.")
    with seeded(seed):
        model = DenoisingAutoencoder(part.cardinalities, len(part.numbers), dim, part.numeric_of).to(device)
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=LR)
    codes, numbers, *_ = rows.tensors(device)
    shift = torch.from_numpy(part.shift).to(device)
    n_batches = max(len(codes) // min(max(len(codes) // 100, 32), 512), 1)  # a short last batch joins the one before
    model.train()
    for _ in tqdm(range(epochs), desc="pretraining", unit=" epochs", disable=not verbose):
        order = torch.randperm(len(codes), generator=generator).to(device)
        for batch in order.tensor_split(n_batches):
            clean = codes[batch][:, part.codes].long() - shift, numbers[batch][:, part.numbers]
            optimizer.zero_grad()
            model(model.corrupt(*clean, noise, generator), *clean, generator).backward()
            optimizer.step()
    table = torch.full((sum(encoder.cardinalities), dim), torch.nan)
    table[torch.from_numpy(part.table_rows)] = model.embedding.table.weight.detach().cpu()
    return table


class _Part:
    """Some columns of an encoder: their places among its codes and numbers, and their rows of the table.

    Attributes
    ----------
    codes, numbers : places of the code columns and of the numeric columns.
    numeric_of : for each of these code columns the place in `numbers` whose bins it holds, or None.
    shift : (F,), what to subtract from the codes to count them through these columns alone.
    """

    def __init__(self, encoder: FeatureEncoder, columns: np.ndarray) -> None:
        categories = [f for f, place in enumerate(encoder.categories) if columns[place]]
        self.numbers = [j for j, place in enumerate(encoder.numeric) if columns[place]]
        bins = [len(encoder.categories) + j for j in self.numbers] if encoder.numeric_bins else []
        self.codes = categories + bins
        self.numeric_of = [None] * len(categories) + list(range(len(bins)))
        self.cardinalities = [encoder.cardinalities[f] for f in self.codes]
        offsets = np.asarray(encoder.offsets)[self.codes]
        self.shift = offsets - np.cumsum([0, *self.cardinalities[:-1]])[: len(self.codes)]
        spans = [np.arange(o, o + n) for o, n in zip(offsets, self.cardinalities, strict=True)]
        self.table_rows = np.concatenate(spans) if spans else np.empty(0, dtype=np.int64)
