"""Which rows of a pass each of several processes reads: row groups, dealt anew in each pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sklearn_fsmd.encoding.sources import Group
from sklearn_fsmd.training.streaming.dataset import Dataset


class Shard(NamedTuple):
    """A part of a pass.

    Attributes
    ----------
    groups : its row groups, in their order; None for all.
    n_rows : how many rows of training they have.
    """

    groups: Sequence[Group] | None
    n_rows: int


def deal(dataset: Dataset, sizes: Sequence[tuple[Group, int]], seed: int, n: int) -> list[Shard]:
    """`n` shards of a pass.

    In the order that the seed draws, each row group goes to the shard that has the fewest rows so far; so shards are
    equal but for a row group.

    Parameters
    ----------
    sizes : the row groups, and how many rows of training each has, see :func:`sizes_of`.
    """
    if n == 1:
        return [Shard(None, dataset.held.n_training)]
    n_of = dict(sizes)
    groups: list[list[Group]] = [[] for _ in range(n)]
    n_rows = [0] * n
    for group in dataset.in_order(seed):
        if n_of[group]:
            least = int(np.argmin(n_rows))
            groups[least].append(group)
            n_rows[least] += n_of[group]
    return [Shard(*shard) for shard in zip(groups, n_rows, strict=True)]


def sizes_of(dataset: Dataset) -> list[tuple[Group, int]]:
    """Of each row group the number of rows of training."""
    sizes = []
    for group, first, n in dataset.source.groups():
        held = dataset.held.held_out(np.arange(first, first + n)) if dataset.held.fraction else np.zeros(1)
        sizes.append((group, n - int(held.sum())))
    return sizes
