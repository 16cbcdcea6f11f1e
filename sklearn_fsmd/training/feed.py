"""Feeds: sources of the batches of a fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch

from sklearn_fsmd.encoding import InputEncoder
from sklearn_fsmd.encoding.table import Encoded, FeatureEncoder
from sklearn_fsmd.encoding.targets import Targets
from sklearn_fsmd.parameters import MultiTaskParameters, TrainingParameters
from sklearn_fsmd.training.automatic import batch_size_of
from sklearn_fsmd.training.batches import Batches, BatchIterator, TensorData


class Feed(Protocol):
    """The training rows, in memory or on disk."""

    def batches(
        self, p: MultiTaskParameters, encoder: InputEncoder, device: str, generator: torch.Generator, least: int
    ) -> Batches:
        """Batches of the rows by the parameters of `p`, in an order that the generator draws.

        With batch_size="auto" a batch has at least `least` rows: when training is continued on few rows, smaller
        batches than before would disturb the weights.
        """

    def identity(self) -> Sequence[Any]:
        """Arrays and plain values that identify these rows, for a checkpoint."""


class InMemory(NamedTuple):
    """Encoded rows and their targets, in memory."""

    rows: Encoded
    targets: Targets

    def batches(
        self, p: MultiTaskParameters, encoder: InputEncoder, device: str, generator: torch.Generator, least: int
    ) -> Batches:
        size = batch_size_of(p, len(self.rows), least)
        data = TensorData.from_rows(self.rows, self.targets, device)
        return BatchIterator(data, size, generator, **masking_options(p, encoder, self.rows, device))

    def identity(self) -> Sequence[Any]:
        return arrays_of(self.rows, self.targets)


def masking_options(p: TrainingParameters, encoder: InputEncoder, rows: Encoded, device: str) -> dict[str, Any]:
    """Keyword arguments of :class:`Batches` that set which values are masked, for codes of the type of `rows`."""
    return {
        "offsets": _offsets(encoder.main, rows, device),
        "fillings": _fillings(encoder.main, device),
        "n_categories": len(encoder.main.categories),
        "list_offsets": encoder.main.list_offsets if encoder.main.lists else None,
        "unknown_rate": p.unknown_rate,
        "bias_offsets": None if encoder.bias is None else _offsets(encoder.bias, rows.bias, device),
        "bias_fillings": None if encoder.bias is None else _fillings(encoder.bias, device),
        "bias_dropout": p.bias_dropout,
    }


def arrays_of(rows: Encoded, targets: Targets) -> tuple[np.ndarray | None, ...]:
    """All arrays of some rows that training uses."""
    arrays: tuple[np.ndarray | None, ...] = rows.codes, rows.numbers, rows.rows, targets.labels, targets.weights
    if targets.values is not None:
        arrays = *arrays, *targets.values.arrays
    for column in rows.lists or ():
        arrays = *arrays, column.flat.numpy(), column.offsets.numpy()
    return arrays if rows.bias is None else (*arrays, rows.bias.codes, rows.bias.numbers)


def _offsets(encoder: FeatureEncoder, rows: Any, device: str) -> torch.Tensor:
    """The row of unknown values of each code column, in the type of the codes."""
    return torch.from_numpy(encoder.offsets.astype(rows.codes.dtype)).to(device)


def _fillings(encoder: FeatureEncoder, device: str) -> torch.Tensor | None:
    """The number that replaces missing ones in each numeric column; None if it is 0 in all, as for scaled columns."""
    fillings = np.array([column.filling for column in encoder.numeric.values()], dtype=np.float32)
    return torch.from_numpy(fillings).to(device) if fillings.any() else None
