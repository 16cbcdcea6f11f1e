"""Shards: the row groups that each of several processes reads, assigned again in each pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sklearn_fsmd.encoding.sources import Group
from sklearn_fsmd.training.streaming.dataset import Dataset


class Shard(NamedTuple):
    """The part of a pass that one process reads.

    Attributes
    ----------
    groups : its row groups, in their order; None for all.
    n_rows : number of training rows in them.
    """

    groups: Sequence[Group] | None
    n_rows: int


def split_into_shards(dataset: Dataset, sizes: Sequence[tuple[Group, int]], seed: int, n: int) -> list[Shard]:
    """Split a pass into `n` shards.

    In the order that the seed draws, each row group goes to the shard that has the fewest rows so far. So the sizes of
    shards differ by at most a row group.

    Parameters
    ----------
    sizes : the row groups with their numbers of training rows, see :func:`rows_per_group`.
    """
    if n == 1:
        return [Shard(None, dataset.held.n_training)]
    n_of = dict(sizes)
    groups: list[list[Group]] = [[] for _ in range(n)]
    n_rows = [0] * n
    for group in dataset.in_order(seed):
        if n_of[group]:
            smallest = int(np.argmin(n_rows))
            groups[smallest].append(group)
            n_rows[smallest] += n_of[group]
    return [Shard(*shard) for shard in zip(groups, n_rows, strict=True)]


def rows_per_group(dataset: Dataset) -> list[tuple[Group, int]]:
    """Each row group with its number of training rows."""
    sizes = []
    for group, first, n in dataset.source.groups():
        held = dataset.held.held_out(np.arange(first, first + n)) if dataset.held.fraction else np.zeros(1)
        sizes.append((group, n - int(held.sum())))
    return sizes
