"""An ensemble in one network: whole members side by side, trained together.

The idea is that of TabM [1]_: one network that trains several predictors, with a loss for each, and averages their
probabilities. There the members share nearly all weights and differ by scales of the inputs, which needs many passes
over the data. A recommender is done after a handful, and what differs between its fits are the embeddings; so here the
members share the rows, the steps and the best moment, and no weights. A row of training is shown to half of them, and
so is one of validation while they are trained: an epoch of four takes little more than twice as long as one of a
single member, and they differ by their rows as well.

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
    members: Sequence[Callable[..., Tensor]], codes: Tensor, *more: Tensor | Lists, half: bool
) -> Tensor:
    """The logits of those `R` members that read a row, ``(R, B, K)``, of its codes, numbers and lists.

    These are `half` of the members, rounded up, or all. Rows are handed out like cards: with four members each fourth
    row is of one hand, and member `m` reads the hand `m` and those that follow it. So rows that are sorted, as those
    of validation may be, are spread over all members.
    """
    n, n_rows = len(members), len(codes)
    if not half or n_rows < FEW_ROWS * n:
        return torch.stack([member(codes, *more) for member in members])
    n_readers = readers_of(n)
    dealt = torch.cat([torch.arange(hand, n_rows, n, device=codes.device) for hand in range(n)])
    sizes = [stop - start for start, stop in pairwise(i * n_rows // n for i in range(n + 1))]
    said = []
    for m, member in enumerate(members):
        own = [sizes[(m + r) % n] for r in range(n_readers)]
        rows = dealt.roll(-sum(sizes[:m]))[: sum(own)]
        said.append(member(*(x[rows] for x in (codes, *more))).split(own))
    by_reader = torch.stack([torch.cat([said[(c - r) % n][r] for c in range(n)]) for r in range(n_readers)])
    return by_reader[:, dealt.argsort()]
