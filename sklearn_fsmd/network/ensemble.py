"""An ensemble in one network: whole members side by side, trained together.

The idea is that of TabM [1]_: one network that trains several predictors, with a loss for each, and averages their
probabilities. There the members share nearly all weights and differ by scales of the inputs, which needs many passes
over the data. A recommender is done after a handful, and what differs between its fits are the embeddings; so here the
members share the rows, the steps and the best moment, and no weights. A row of training is shown to half of them: an
epoch of four takes about twice as long as one of a single member, and they differ by their rows as well.

References
----------
.. [1] Y. Gorishniy, A. Kotelnikov, A. Babenko, "TabM: Advancing Tabular Deep Learning with Parameter-Efficient
   Ensembling", ICLR 2025.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from sklearn_fsmd.network.ragged import Lists

FEW_ROWS = 4
"""In a batch of fewer rows per member each of them reads all."""


def readers_of(n_members: int) -> int:
    """How many members read a row of training: half of them, rounded up."""
    return (n_members + 1) // 2


def logits_of_readers(
    members: Sequence[Callable[..., Tensor]], codes: Tensor, *more: Tensor | Lists, training: bool
) -> Tensor:
    """The logits of those `R` members that read a row, ``(R, B, K)``, of its codes, numbers and lists.

    In training these are half of the members, rounded up; else all. The rows of a batch come in random order, so they
    are handed out by their position: cut into as many chunks as there are members, member `m` reads the chunk `m` and
    those that follow it.
    """
    n, n_rows = len(members), len(codes)
    if not training or n_rows < FEW_ROWS * n:
        return torch.stack([member(codes, *more) for member in members])
    n_readers = readers_of(n)
    sizes = [stop - start for start, stop in pairwise(i * n_rows // n for i in range(n + 1))]
    said = []
    for m, member in enumerate(members):
        first = sum(sizes[:m])
        own = [sizes[(m + r) % n] for r in range(n_readers)]
        rows = torch.arange(first, first + sum(own), device=codes.device) % n_rows
        said.append(member(*(x[rows] for x in (codes, *more))).split(own))
    return torch.stack([torch.cat([said[(c - r) % n][r] for c in range(n)]) for r in range(n_readers)])
