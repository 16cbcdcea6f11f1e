"""Pretraining without targets: a denoising autoencoder whose weights the network starts from."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

from sklearn_fsmd.encoding.table import Encoded, FeatureEncoder
from sklearn_fsmd.execution import way_to_train
from sklearn_fsmd.network import DenoisingAutoencoder, HiddenLayer, Learned, set_execution
from sklearn_fsmd.parameters.machine import seeded, threads

LR = 2e-3
"""Initial learning rate, which falls linearly to zero."""


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
    like: HiddenLayer | None = None,
) -> Learned:
    """Train an autoencoder of `columns` on `rows`.

    Parameters
    ----------
    encoder : the encoder of `rows`.
    columns : (n_features,) bool, which columns of the encoder's table take part.
    dim : width of an embedding.
    epochs, noise : passes over the rows, and the share of values that is corrupted.
    like : the layer that is to start from the autoencoder's; it determines its width.

    Raises
    ------
    ValueError
        If none of `columns` has embeddings.
    FloatingPointError
        If a weight, or a statistic of batch norm, has become infinite or NaN.
    """
    part = _Columns(encoder, columns)
    if not part.codes:
        raise ValueError("Pretraining has no column with embeddings: numbers have them with `numeric_bins` above 0.")
    layer: dict[str, Any] = {} if like is None else {"width": like.weight.shape[2], "batch_norm": like.batch_norm}
    with seeded(seed):
        model = DenoisingAutoencoder(part.cardinalities, len(part.numbers), dim, part.numeric_of, **layer).to(device)
    way = way_to_train(device, None)
    set_execution(model, way)
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=LR)
    codes, numbers, *_ = rows.tensors(device)
    shift = torch.from_numpy(part.shift).to(device)
    n_batches = max(len(codes) // min(max(len(codes) // 100, 32), 512), 1)  # of nearly equal size
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=epochs * n_batches)
    model.measure(torch.from_numpy(rows.numbers[:, part.numbers]))  # where float64 is: not every device has it
    model.train()
    with way.running(), threads(None if way.crew is None else 1):
        for _ in tqdm(range(epochs), desc="pretraining", unit=" epochs", disable=not verbose):
            order = torch.randperm(len(codes), generator=generator).to(device)
            for batch in order.tensor_split(n_batches):
                clean = codes[batch][:, part.codes].long() - shift, numbers[batch][:, part.numbers]
                optimizer.zero_grad()
                model(model.corrupt(*clean, noise, generator), *clean, generator).backward()
                optimizer.step()
                schedule.step()
    if not all(tensor.isfinite().all() for tensor in model.state_dict().values()):
        raise FloatingPointError(
            "Pretraining has led to weights that are not finite. Scale the numbers by `numeric_scaling` or beforehand."
        )
    table = torch.full((encoder.n_rows, dim), torch.nan, dtype=torch.float32)
    table[torch.from_numpy(part.table_rows)] = model.embedding.table.weight.detach().cpu()
    reader = model.hidden.hidden_layers[0].cpu()
    return Learned(table, reader, torch.from_numpy(part.inputs(dim)), len(part.codes) * dim)


class _Columns:
    """Some columns of an encoder: their positions among its codes and numbers, and their rows of the table.

    Attributes
    ----------
    codes, numbers : positions of the code columns and of the numeric columns.
    numeric_of : for each of these code columns the position in `numbers` whose bins it holds, or None.
    shift : (F,), what to subtract from the codes to number them through these columns alone.
    """

    def __init__(self, encoder: FeatureEncoder, columns: np.ndarray) -> None:
        categories = [f for f, position in enumerate(encoder.categories) if columns[position]]
        self.numbers = [j for j, position in enumerate(encoder.numeric) if columns[position]]
        bins = [len(encoder.categories) + j for j in self.numbers] if encoder.numeric_bins else []
        self.codes = categories + bins
        self.numeric_of = [None] * len(categories) + list(range(len(bins)))
        self.cardinalities = [encoder.cardinalities[f] for f in self.codes]
        offsets = np.asarray(encoder.offsets)[self.codes]
        self.shift = offsets - np.cumsum([0, *self.cardinalities[:-1]])[: len(self.codes)]
        spans = [np.arange(o, o + n) for o, n in zip(offsets, self.cardinalities, strict=True)]
        self.table_rows = np.concatenate(spans) if spans else np.empty(0, dtype=np.int64)
        self.n_fields = len(encoder.cardinalities) + len(encoder.lists) + len(encoder.vectors)

    def inputs(self, dim: int) -> np.ndarray:
        """Indices of the embedded codes and of the numbers among all inputs of a network."""
        embedded = np.add.outer(np.multiply(self.codes, dim), np.arange(dim)).ravel()
        return np.concatenate([embedded, np.add(self.numbers, self.n_fields * dim)]).astype(np.int64)
