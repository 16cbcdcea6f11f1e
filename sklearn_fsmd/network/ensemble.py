"""An ensemble in one network: complete members that are trained together.

The idea is that of TabM [1]_: one network trains several predictors, with a loss for each, and averages their
probabilities. In TabM the members share nearly all weights and differ by scales of the inputs, which needs many epochs.
A recommender is trained in a handful of epochs, and its fits differ in their embeddings. So here the members share
the rows, the steps and early stopping, but no weights. Each training row is used by half of the members. So an epoch of
four members takes about twice as long as an epoch of one, and the members also differ in their rows.

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
"""In a batch with fewer rows per member than this, each member trains on all rows."""


def readers_of(n_members: int) -> int:
    """Number of members that train on a row: half of them, rounded up."""
    return (n_members + 1) // 2


def logits_of_readers(
    members: Sequence[Callable[..., Tensor]], codes: Tensor, *more: Tensor | Lists, training: bool
) -> Tensor:
    """The logits ``(R, B, K)`` of the `R` members that use each row, from its codes, numbers and lists.

    In training these are half of the members, rounded up; in prediction all members. The rows of a batch are in random
    order, so they are assigned by position: the batch is cut into one chunk per member, and member `m` uses chunk `m`
    and the chunks after it.
    """
    n, n_rows = len(members), len(codes)
    if not training or n_rows < FEW_ROWS * n:
        return torch.stack([member(codes, *more) for member in members])
    n_readers = readers_of(n)
    sizes = [stop - start for start, stop in pairwise(i * n_rows // n for i in range(n + 1))]
    logits = []
    for m, member in enumerate(members):
        first = sum(sizes[:m])
        chunk_sizes = [sizes[(m + r) % n] for r in range(n_readers)]
        rows = torch.arange(first, first + sum(chunk_sizes), device=codes.device) % n_rows
        logits.append(member(*(x[rows] for x in (codes, *more))).split(chunk_sizes))
    return torch.stack([torch.cat([logits[(c - r) % n][r] for c in range(n)]) for r in range(n_readers)])
