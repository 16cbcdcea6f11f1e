"""A data set as a feed of the training: its pools are encoded, shuffled, and get statistics of the targets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from sklearn_fsmd.encoding import InputEncoder
from sklearn_fsmd.encoding.sources import Group
from sklearn_fsmd.encoding.statistics import RunningStatistics
from sklearn_fsmd.encoding.targets import LabelledRows, TargetEncoder
from sklearn_fsmd.parameters import MultiTaskParameters
from sklearn_fsmd.training import TensorData, arrays_of, batch_size_of, masking_options
from sklearn_fsmd.training.distributed import Processes
from sklearn_fsmd.training.streaming.batches import StreamedBatches, take
from sklearn_fsmd.training.streaming.dataset import Dataset
from sklearn_fsmd.training.streaming.first_pass import encoded
from sklearn_fsmd.training.streaming.labels import LabelSums
from sklearn_fsmd.training.streaming.shards import Shard, rows_per_group, split_into_shards
from sklearn_fsmd.training.streaming.shared_statistics import SharedStatistics


@dataclass(frozen=True)
class StreamFeed:
    """The training rows of a data set.

    Attributes
    ----------
    sums : of the targets of all training rows.
    sample : some of the rows, encoded as for a prediction.
    content : digest of the rows, if the fit has a checkpoint; see :class:`Content`.
    processes : those that train together; None for a single process.
    """

    dataset: Dataset
    encoder: InputEncoder
    targets: TargetEncoder
    parents: Sequence[int | None]
    sums: LabelSums
    sample: LabelledRows
    content: str = ""
    processes: Processes | None = None

    def batches(
        self, p: MultiTaskParameters, encoder: InputEncoder, device: str, generator: torch.Generator, least: int
    ) -> StreamedBatches:
        n_rows = self.dataset.held.n_training
        data = TensorData.from_rows(*self.sample, device)
        return StreamedBatches(
            self.pools,
            n_rows,
            data,
            batch_size_of(p, n_rows, least),
            generator,
            shards=self.shards,
            statistics=self.statistics,
            processes=self.processes,
            **masking_options(p, encoder, self.sample[0], device),
        )

    def identity(self) -> Sequence[Any]:
        """The sample, the sums, the digest of all rows, and the number of rows in each file."""
        sums = [self.sums.n_rows, self.sums.weights, self.sums.positive, self.sums.value_weights]
        return [*arrays_of(*self.sample), *sums, self.content, *self.dataset.source.identity()]

    @cached_property
    def rows_per_group(self) -> list[tuple[Group, int]]:
        """The number of training rows of each row group."""
        return rows_per_group(self.dataset)

    def shards(self, order: int, n: int) -> list[Shard]:
        """The rows of a pass, split into `n` shards."""
        return split_into_shards(self.dataset, self.rows_per_group if n > 1 else [], order, n)

    def statistics(self) -> SharedStatistics | None:
        """Statistics of the targets for a pass of several shards; None if the encoder has none."""
        return None if self.encoder.statistics is None else SharedStatistics(self.encoder.statistics, self.processes)

    def pools(self, seed: int, shard: Shard) -> Iterator[LabelledRows]:
        """The rows of a shard: each pool shuffled, and each row with the statistics of the rows before it.

        With several shards statistics are added later, since they are of the rows of all shards.
        """
        random = np.random.default_rng([seed, 1] if shard.groups is None else [seed, 1, *shard.groups[0]])
        final = self.encoder.statistics if shard.groups is None else None
        statistics = None if final is None else RunningStatistics(final)
        for blocks in self.dataset.pools(seed, shard.groups):
            positions = np.concatenate([block.positions for block in blocks])
            training = np.flatnonzero(~self.dataset.held.held_out(positions))
            if not len(training):
                continue
            order = random.permutation(training)
            rows, targets = take(encoded(blocks, self.dataset, self.encoder, self.targets, self.parents), order)
            del blocks  # free the memory while the next pool is awaited
            targets = self.sums.scaled(targets)
            if statistics is not None:
                rows = statistics.append(rows, targets)
            yield rows, targets
