"""Running statistics of the targets when several processes share the rows of a pass."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from sklearn_fsmd.encoding.statistics import RunningStatistics, TargetStatistics
from sklearn_fsmd.encoding.targets import LabelledRows
from sklearn_fsmd.training.distributed import Processes


class SharedStatistics(RunningStatistics):
    """Statistics of the rows before a row in its own shard, and of other processes' rows up to the last chunk.

    If a process has several shards, since the number of processes has changed, a chunk uses the chunks before it.

    Parameters
    ----------
    processes : those that exchange statistics after each chunk; None for a single process, which has all shards.
    """

    def __init__(self, statistics: TargetStatistics, processes: Processes | None) -> None:
        super().__init__(statistics)
        self.processes = processes
        self.news: list[list[np.ndarray]] = []

    def append_all(self, chunks: Sequence[LabelledRows]) -> list[LabelledRows]:
        """Append statistics to the next chunk of each shard of this process, and exchange them with other processes."""
        self.news = [[np.empty((0, 1 + sums.shape[1]))] for sums in self.sums]
        with_statistics = [(self.append(rows, targets), targets) for rows, targets in chunks]
        if self.processes is not None:
            news = [torch.from_numpy(np.concatenate(of_key)) for of_key in self.news]
            for rank, parts in enumerate(self.processes.gather(news, "the exchange of statistics")):
                for i, part in enumerate(parts if rank != self.processes.rank else []):
                    super().add(i, part[:, 0].numpy().astype(np.int64), part[:, 1:].numpy())
        return with_statistics

    def add(self, i: int, values: np.ndarray, totals: np.ndarray) -> None:
        super().add(i, values, totals)
        self.news[i].append(np.column_stack([values, totals]))
