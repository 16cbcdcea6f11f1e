"""A data set as a feed of the training: pools are encoded, shuffled, and told what their rows may know."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from sklearn_fsmd.encoding import Encoded, InputEncoder, RunningStatistics, TargetEncoder, Targets
from sklearn_fsmd.parameters import MultiTaskParameters
from sklearn_fsmd.streaming.batches import StreamedBatches
from sklearn_fsmd.streaming.dataset import Dataset
from sklearn_fsmd.streaming.labels import LabelSums
from sklearn_fsmd.streaming.learning import Rows, encoded
from sklearn_fsmd.training import TensorData, arrays_of, batch_size_of, hidden_values


@dataclass(frozen=True)
class StreamFeed:
    """The rows of training of a data set.

    Attributes
    ----------
    sums : of the targets of all of them.
    sample : some of them, encoded as for a prediction.
    """

    dataset: Dataset
    encoder: InputEncoder
    targets: TargetEncoder
    parents: Sequence[int | None]
    sums: LabelSums
    sample: Rows

    def batches(
        self, p: MultiTaskParameters, encoder: InputEncoder, device: str, generator: torch.Generator
    ) -> StreamedBatches:
        n_rows = self.dataset.held.n_training
        data = TensorData.of(*self.sample, device)
        options = hidden_values(p, encoder, self.sample[0], device)
        return StreamedBatches(self.pools, n_rows, data, batch_size_of(p, n_rows), generator, **options)

    def identity(self) -> Sequence[Any]:
        """The sample, the sums, and how many rows there are in which file."""
        sums = [self.sums.n_rows, self.sums.weights, self.sums.positive, self.sums.value_weights]
        return [*arrays_of(*self.sample), *sums, *self.dataset.source.identity()]

    def pools(self, seed: int) -> Iterator[tuple[Encoded, Targets]]:
        """The rows of a pass: each pool shuffled, and each row with the statistics of the rows before it."""
        random = np.random.default_rng([seed, 1])
        statistics = None if self.encoder.statistics is None else RunningStatistics(self.encoder.statistics)
        for blocks in self.dataset.pools(seed):
            positions = np.concatenate([block.positions for block in blocks])
            training = np.flatnonzero(~self.dataset.held.held_out(positions))
            if not len(training):
                continue
            order = random.permutation(training)
            rows, targets = encoded(blocks, self.dataset, self.encoder, self.targets, self.parents)
            del blocks  # whoever waits for the next pool need not keep this one
            rows = rows.take(order)
            targets = self.sums.scaled(taken(targets, order))
            if statistics is not None:
                rows = statistics.append(rows, targets)
            yield rows, targets


def taken(targets: Targets, rows: np.ndarray) -> Targets:
    """Some rows, with weights as they were given."""
    weights = None if targets.weights is None else targets.weights[rows]
    return Targets(targets.labels[rows], weights, None if targets.values is None else targets.values.take(rows))
