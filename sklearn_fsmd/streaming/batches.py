"""Batches from pools of rows, which are read and encoded ahead."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import torch

from sklearn_fsmd.encoding import Encoded, Targets
from sklearn_fsmd.streaming.ahead import read_ahead
from sklearn_fsmd.training import Batch, Batches, TensorData

Pools = Callable[[int], Iterator[tuple[Encoded, Targets]]]
"""Pools of shuffled rows, in an order that a seed draws."""


class StreamedBatches(Batches):
    """Batches of exactly `batch_size` rows, across pools; the last one has what is left.

    Parameters
    ----------
    pools : what makes the rows.
    n_rows : how many rows a pass has.
    data : some of the rows, for whoever wants to look at some.
    options : those of :class:`~sklearn_fsmd.training.Batches`.
    """

    def __init__(self, pools: Pools, n_rows: int, data: TensorData, *args: Any, **options: Any) -> None:
        super().__init__(data, *args, **options)
        self.pools, self._n_rows = pools, n_rows

    @property
    def n_rows(self) -> int:
        return self._n_rows

    def draw_order(self) -> int:
        return int(torch.randint(2**62, (), generator=self.generator))

    def cut(self, order: int, first: int) -> Iterator[Batch]:
        size, n_batches, device = self.batch_size, len(self), str(self.data.labels.device)
        i, left, n_seen = 0, None, 0
        with closing(read_ahead(self.pools(order))) as pools:
            for rows, targets in pools:
                pool = TensorData.of(rows, targets, device)
                n_seen += len(pool)
                pool = pool if left is None else left.followed_by(pool)
                start = 0
                while i < n_batches - 1 and len(pool) - start >= size:
                    if i >= first:
                        yield pool.batch(torch.arange(start, start + size, device=device))
                    i, start = i + 1, start + size
                left = pool.part(start)
        if left is None or n_seen != self.n_rows:
            raise ValueError(f"The data set had {self.n_rows} rows to train on, and has {n_seen} now. Fit again.")
        if first < n_batches:
            yield left.batch(torch.arange(len(left), device=device))
