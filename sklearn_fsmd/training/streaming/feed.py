"""A data set as a feed of the training: pools are encoded, shuffled, and told what their rows may know."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from sklearn_fsmd.encoding import InputEncoder, LabelledRows, RunningStatistics, TargetEncoder
from sklearn_fsmd.encoding.sources import Group
from sklearn_fsmd.parameters import MultiTaskParameters
from sklearn_fsmd.training import TensorData, arrays_of, batch_size_of, hidden_values
from sklearn_fsmd.training.distributed import Processes
from sklearn_fsmd.training.streaming.batches import StreamedBatches, taken
from sklearn_fsmd.training.streaming.dataset import Dataset
from sklearn_fsmd.training.streaming.labels import LabelSums
from sklearn_fsmd.training.streaming.learning import encoded
from sklearn_fsmd.training.streaming.shards import Shard, deal, sizes_of
from sklearn_fsmd.training.streaming.shared_statistics import SharedStatistics


@dataclass(frozen=True)
class StreamFeed:
    """The rows of training of a data set.

    Attributes
    ----------
    sums : of the targets of all of them.
    sample : some of them, encoded as for a prediction.
    content : what tells the rows from others, where a fit may go on with them; see :class:`Content`.
    processes : those that train on them together; None for one alone.
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
            **hidden_values(p, encoder, self.sample[0], device),
        )

    def identity(self) -> Sequence[Any]:
        """The sample, the sums, what all rows hold, and how many there are in which file."""
        sums = [self.sums.n_rows, self.sums.weights, self.sums.positive, self.sums.value_weights]
        return [*arrays_of(*self.sample), *sums, self.content, *self.dataset.source.identity()]

    @cached_property
    def sizes(self) -> list[tuple[Group, int]]:
        """How many rows of training each row group has."""
        return sizes_of(self.dataset)

    def shards(self, order: int, n: int) -> list[Shard]:
        """The rows of a pass, dealt to `n` processes."""
        return deal(self.dataset, self.sizes if n > 1 else [], order, n)

    def statistics(self) -> SharedStatistics | None:
        """What the rows of a pass of several shards may know of the targets."""
        return None if self.encoder.statistics is None else SharedStatistics(self.encoder.statistics, self.processes)

    def pools(self, seed: int, shard: Shard) -> Iterator[LabelledRows]:
        """The rows of a shard: each pool shuffled, and each row with the statistics of the rows before it.

        Without these where there are several shards, whose rows see those of each other.
        """
        random = np.random.default_rng([seed, 1] if shard.groups is None else [seed, 1, *shard.groups[0]])
        own = self.encoder.statistics if shard.groups is None else None
        statistics = None if own is None else RunningStatistics(own)
        for blocks in self.dataset.pools(seed, shard.groups):
            positions = np.concatenate([block.positions for block in blocks])
            training = np.flatnonzero(~self.dataset.held.held_out(positions))
            if not len(training):
                continue
            order = random.permutation(training)
            rows, targets = taken(encoded(blocks, self.dataset, self.encoder, self.targets, self.parents), order)
            del blocks  # whoever waits for the next pool need not keep this one
            targets = self.sums.scaled(targets)
            if statistics is not None:
                rows = statistics.append(rows, targets)
            yield rows, targets
