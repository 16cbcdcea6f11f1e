"""The statistics of the targets where several processes share the rows of a pass."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from sklearn_fsmd.encoding import LabelledRows, RunningStatistics, TargetStatistics
from sklearn_fsmd.training.distributed import Processes


class SharedStatistics(RunningStatistics):
    """Each row sees those before it in its own shard, and those of other processes up to the last chunk.

    Of several shards of one process, after a change of their number, a chunk sees those that come before it.

    Parameters
    ----------
    processes : those that tell each other, after each chunk, of its rows; None for one alone, which has all shards.
    """

    def __init__(self, statistics: TargetStatistics, processes: Processes | None) -> None:
        super().__init__(statistics)
        self.processes = processes
        self.news: list[list[np.ndarray]] = []

    def append_all(self, chunks: Sequence[LabelledRows]) -> list[LabelledRows]:
        """The next chunk of each shard that this process has, with what its rows may see."""
        self.news = [[np.empty((0, 1 + sums.shape[1]))] for sums in self.sums]
        seen = [(self.append(rows, targets), targets) for rows, targets in chunks]
        if self.processes is not None:
            news = [torch.from_numpy(np.concatenate(of_key)) for of_key in self.news]
            for rank, told in enumerate(self.processes.gather(news, "the exchange of statistics")):
                for i, part in enumerate(told if rank != self.processes.rank else []):
                    super().add(i, part[:, 0].numpy().astype(np.int64), part[:, 1:].numpy())
        return seen

    def add(self, i: int, values: np.ndarray, totals: np.ndarray) -> None:
        super().add(i, values, totals)
        self.news[i].append(np.column_stack([values, totals]))
