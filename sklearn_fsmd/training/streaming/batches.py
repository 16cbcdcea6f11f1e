"""Batches from pools of rows, which are read and encoded ahead."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from functools import reduce
from typing import Any

import numpy as np
import torch

from sklearn_fsmd.encoding import Encoded, LabelledRows
from sklearn_fsmd.encoding.sources import sizes
from sklearn_fsmd.training import Batch, Batches, TensorData
from sklearn_fsmd.training.distributed import Processes
from sklearn_fsmd.training.streaming.ahead import read_ahead
from sklearn_fsmd.training.streaming.labels import joined
from sklearn_fsmd.training.streaming.shards import Shard
from sklearn_fsmd.training.streaming.shared_statistics import SharedStatistics

Pools = Callable[[int, Shard], Iterator[LabelledRows]]
"""Pools of shuffled rows of a shard, in an order that a seed draws."""
FEWEST_CHUNKS = 16
"""An epoch of several processes has at least so many chunks, after each of which they tell each other of its rows."""


class StreamedBatches(Batches):
    """Batches of exactly `batch_size` rows, across pools; the last one has what is left.

    Of several processes each has a shard of the pass, and of each batch the part that its shard is of all rows. So all
    make the same number of steps, whatever shards there are, and each row comes once. A process that has no row in a
    batch computes with two others, which count nothing, so that it takes part in all that the processes do together.

    What is hidden in a batch is drawn from a seed that follows from the pass, the process and the number of the batch.

    Parameters
    ----------
    pools : what makes the rows.
    n_rows : how many rows a pass has.
    data : some of the rows, for whoever wants to look at some.
    shards : deals the rows of a pass, whose order a seed draws, to so many processes; None where there is one.
    statistics : makes what the rows of a pass of several shards may know of the targets, if they may.
    processes : those that train together; None for one alone.
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
        self.hiding = torch.Generator()

    @property
    def n_rows(self) -> int:
        return self._n_rows

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"n_shards": self.n_shards}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Let the next pass go on, with the shards that it was begun with, whoever has them now."""
        super().load_state_dict(state)
        self.next_shards = int(state.get("n_shards", 1))

    def draw_order(self) -> int:
        self.n_shards, self.next_shards = self.next_shards, self.n_ranks
        order = int(torch.randint(2**62, (), generator=self.generator))
        return order if self.processes is None else self.processes.of_first(order, "the beginning of an epoch")

    def cut(self, order: int, first: int) -> Iterator[Batch]:
        if self.batch_size < self.n_shards:  # or a step could be without any row
            raise ValueError(
                f"batch_size={self.batch_size} is less than the number of processes, {self.n_shards}, which share the "
                "rows of each batch. Take a larger one."
            )
        shards = self.shards(order, self.n_shards)
        own = [shards[v] for v in range(self.rank, self.n_shards, self.n_ranks) if shards[v].n_rows]
        statistics = None if self.n_shards == 1 else self.statistics()
        n_steps = self._steps_of_a_chunk()
        starts = range(0, len(self), n_steps)
        with ExitStack() as opened:
            streams = []
            for shard in own:
                cuts = [self._rows_until(start + n_steps, shard) for start in starts]
                streams.append(opened.enter_context(closing(read_ahead(chunks(self.pools(order, shard), cuts)))))
            for start in starts:
                found = [next(stream) for stream in streams]
                found = found if statistics is None else statistics.append_all(found)
                parts = [TensorData.from_rows(*rows, str(self.data.labels.device)) for rows in found]
                del found
                for i in range(max(start, first), min(start + n_steps, len(self))):
                    self.n_all = sum(self._rows_until(i + 1, shard) - self._rows_until(i, shard) for shard in shards)
                    spans = [[self._rows_until(j, shard) for j in (start, i, i + 1)] for shard in own]
                    pieces = [part.part(a - s, b - s) for part, (s, a, b) in zip(parts, spans, strict=True)]
                    yield self._batch(order, i, pieces)
            for stream in streams:
                next(stream, None)  # which looks whether there are more rows than there should be

    def _rows_until(self, i: int, shard: Shard) -> int:
        """How many rows of a shard the first `i` batches have: of all rows in proportion."""
        together = self.n_rows if i >= len(self) else i * self.batch_size
        return shard.n_rows * together // self.n_rows

    def _steps_of_a_chunk(self) -> int:
        most = max(sizes.POOL_ROWS // self.batch_size, 1)
        return most if self.n_shards == 1 else min(most, max(len(self) // FEWEST_CHUNKS, 1))

    def _batch(self, order: int, i: int, parts: Sequence[TensorData]) -> Batch:
        """The batch number `i` of the rows of this process, and what :class:`Shares` says of it."""
        self.step_seed = int(np.random.SeedSequence([order, self.rank, i]).generate_state(1, np.uint64)[0]) >> 1
        self.hiding.manual_seed(self.step_seed)
        whole = reduce(TensorData.followed_by, [part for part in parts if len(part)] or [self.data.part(0, 2)])
        self.n_own = sum(map(len, parts))
        return whole.batch(torch.arange(len(whole), device=whole.labels.device))


def chunks(pools: Iterator[LabelledRows], cuts: Sequence[int]) -> Iterator[LabelledRows]:
    """The rows of some pools, cut anew at `cuts`, of which the last is the number of all rows.

    Raises
    ------
    ValueError
        If there are more or fewer rows.
    """
    left, before, n_seen = None, 0, 0
    for cut in cuts:
        while n_seen < cut or left is None:
            pool = next(pools, None)
            if pool is None:
                raise _other_rows(cuts[-1], n_seen)
            n_seen += len(pool[1].labels)
            left = pool if left is None else (Encoded.joined([left[0], pool[0]]), joined([left[1], pool[1]]))
        n = np.arange(len(left[1].labels))
        yield taken(left, n[: cut - before])
        left, before = taken(left, n[cut - before :]), cut
    n_seen += sum(len(targets.labels) for _, targets in pools)
    if n_seen != cuts[-1]:
        raise _other_rows(cuts[-1], n_seen)


def taken(rows: LabelledRows, which: np.ndarray) -> LabelledRows:
    """Some of the rows, with weights as they were given."""
    encoded, targets = rows
    return encoded.take(which), targets.part(which)


def _other_rows(n_before: int, n_now: int) -> ValueError:
    return ValueError(f"The data set had {n_before} rows to train on, and has {n_now} now. Fit again.")
