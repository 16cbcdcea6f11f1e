"""Batches from pools of rows that are read and encoded in a background thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from functools import reduce
from typing import Any

import numpy as np
import torch

from sklearn_fsmd.encoding.sources import sizes
from sklearn_fsmd.encoding.table import Encoded
from sklearn_fsmd.encoding.targets import LabelledRows, Targets
from sklearn_fsmd.training import Batch, Batches, TensorData
from sklearn_fsmd.training.distributed import Processes
from sklearn_fsmd.training.streaming.ahead import read_ahead
from sklearn_fsmd.training.streaming.shards import Shard
from sklearn_fsmd.training.streaming.shared_statistics import SharedStatistics

Pools = Callable[[int, Shard], Iterator[LabelledRows]]
"""Maps a seed and a shard to pools of its rows, shuffled by the seed."""
FEWEST_CHUNKS = 16
"""The smallest number of chunks of an epoch of several processes, which exchange statistics after each chunk. An epoch
of fewer steps has a chunk per step."""


class StreamedBatches(Batches):
    """Batches of exactly `batch_size` rows, across pools; the last one has the remaining rows.

    Each of several processes has a shard of the pass, and the same share of each batch. So all make the same number of
    steps, however large their shards are, and each row comes once. A process without a row in a batch computes with two
    rows of the sample that do not count, so that it takes part in every collective operation.

    The masked values of a batch are drawn from a seed of the pass, the process and the number of the batch.

    Parameters
    ----------
    pools : creates the pools of a shard.
    n_rows : number of rows of a pass.
    data : a sample of the rows.
    shards : maps the seed of a pass and the number of processes to the shards; None for a single process.
    statistics : creates the running statistics of the targets for a pass of several shards, or returns None.
    processes : those that train together; None for a single process.
    options : those of :class:`~sklearn_fsmd.training.Batches`.
    """

    def __init__(
        self,
        pools: Pools,
        n_rows: int,
        data: TensorData,
        *args: Any,
        shards: Callable[[int, int], list[Shard]] | None = None,
        statistics: Callable[[], SharedStatistics | None] = lambda: None,
        processes: Processes | None = None,
        **options: Any,
    ) -> None:
        super().__init__(data, *args, **options)
        self.pools, self._n_rows = pools, n_rows
        self.shards = shards or (lambda order, n: [Shard(None, self.n_rows)])
        self.statistics, self.processes = statistics, processes
        self.rank, self.n_ranks = (0, 1) if processes is None else (processes.rank, processes.size)
        self.n_shards = self.next_shards = self.n_ranks
        self.mask_generator = torch.Generator()

    @property
    def n_rows(self) -> int:
        return self._n_rows

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"n_shards": self.n_shards}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Let the next pass continue with the shards with which it started, whichever process has them now."""
        super().load_state_dict(state)
        self.next_shards = int(state.get("n_shards", 1))

    def draw_order(self) -> int:
        self.n_shards, self.next_shards = self.next_shards, self.n_ranks
        order = int(torch.randint(2**62, (), generator=self.generator))
        return order if self.processes is None else self.processes.of_first(order, "the beginning of an epoch")

    def batches_of(self, order: int, first: int) -> Iterator[Batch]:
        if self.batch_size < self.n_shards:  # otherwise a step could have no row at all
            raise ValueError(
                f"batch_size={self.batch_size} is less than the number of processes, {self.n_shards}, which share the "
                "rows of each batch. Use a larger one."
            )
        shards = self.shards(order, self.n_shards)
        own_shards = [shards[v] for v in range(self.rank, self.n_shards, self.n_ranks) if shards[v].n_rows]
        statistics = None if self.n_shards == 1 else self.statistics()
        n_steps = self._steps_of_a_chunk()
        starts = range(0, len(self), n_steps)
        with ExitStack() as opened:
            streams = []
            for shard in own_shards:
                ends = [self._rows_until(start + n_steps, shard) for start in starts]
                streams.append(opened.enter_context(closing(read_ahead(chunks(self.pools(order, shard), ends)))))
            for start in starts:
                rows = [next(stream) for stream in streams]
                rows = rows if statistics is None else statistics.append_all(rows)
                parts = [TensorData.from_rows(*part, str(self.data.labels.device)) for part in rows]
                del rows
                for i in range(max(start, first), min(start + n_steps, len(self))):
                    self.n_all = sum(self._rows_until(i + 1, shard) - self._rows_until(i, shard) for shard in shards)
                    spans = [[self._rows_until(j, shard) for j in (start, i, i + 1)] for shard in own_shards]
                    pieces = [part.part(a - s, b - s) for part, (s, a, b) in zip(parts, spans, strict=True)]
                    yield self._batch(order, i, pieces)
            for stream in streams:
                next(stream, None)  # raises if there are more rows than expected

    def _rows_until(self, i: int, shard: Shard) -> int:
        """Number of rows of a shard in the first `i` batches, in proportion to all rows."""
        n_of_all = self.n_rows if i >= len(self) else i * self.batch_size
        return shard.n_rows * n_of_all // self.n_rows

    def _steps_of_a_chunk(self) -> int:
        most = max(sizes.POOL_ROWS // self.batch_size, 1)
        return most if self.n_shards == 1 else min(most, max(len(self) // FEWEST_CHUNKS, 1))

    def _batch(self, order: int, i: int, parts: Sequence[TensorData]) -> Batch:
        """Batch number `i` of the rows of this process; sets the attributes of :class:`Shares` for it."""
        self.step_seed = int(np.random.SeedSequence([order, self.rank, i]).generate_state(1, np.uint64)[0]) >> 1
        self.mask_generator.manual_seed(self.step_seed)
        whole = reduce(TensorData.followed_by, [part for part in parts if len(part)] or [self.data.part(0, 2)])
        self.n_own = sum(map(len, parts))
        return whole.batch(torch.arange(len(whole), device=whole.labels.device))


def chunks(pools: Iterator[LabelledRows], ends: Sequence[int]) -> Iterator[LabelledRows]:
    """Cut the rows of some pools into chunks that end at `ends`; the last end is the number of all rows.

    Raises
    ------
    ValueError
        If there are more or fewer rows.
    """
    left, before, n_seen = None, 0, 0
    for end in ends:
        while n_seen < end or left is None:
            pool = next(pools, None)
            if pool is None:
                raise _changed_rows(ends[-1], n_seen)
            n_seen += len(pool[1].labels)
            left = pool if left is None else (Encoded.joined([left[0], pool[0]]), Targets.joined([left[1], pool[1]]))
        n = np.arange(len(left[1].labels))
        yield take(left, n[: end - before])
        left, before = take(left, n[end - before :]), end
    n_seen += sum(len(targets.labels) for _, targets in pools)
    if n_seen != ends[-1]:
        raise _changed_rows(ends[-1], n_seen)


def take(rows: LabelledRows, indices: np.ndarray) -> LabelledRows:
    """The rows with these indices, with unscaled weights."""
    encoded, targets = rows
    return encoded.take(indices), targets.part(indices)


def _changed_rows(n_before: int, n_now: int) -> ValueError:
    return ValueError(f"The data set had {n_before} rows to train on, and has {n_now} now. Fit again.")
