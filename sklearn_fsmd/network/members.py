"""An ensemble in one network: members with experts, gates and towers of their own, on the same embeddings.

The idea is that of TabM [1]_: one network that trains several predictors, with a loss for each, and averages their
probabilities. There the members share nearly all weights and differ by scales of the inputs, which needs many passes
over the data. A recommender is done after a handful, so here only the embeddings and the low-order part are shared. A
row of training is shown to half of the members: four cost about twice as much as one, and differ by their rows as well.

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

FEW_ROWS = 4
"""In a batch of fewer rows per member each of them reads all."""


def deep_logits(members: Sequence[Callable[[Tensor], Tensor]], x: Tensor, *, training: bool) -> Tensor:
    """What the members say of the embedded rows `x`, ``(R, B, K)``, by those `R` that read a row.

    In training these are half of the members, rounded up; else all. The rows of a batch come in random order, so they
    are handed out by their position: cut into as many chunks as there are members, member `m` reads the chunk `m` and
    those that follow it.
    """
    n = len(members)
    if not training or len(x) < FEW_ROWS * n:
        return torch.stack([member(x) for member in members])
    n_readers = (n + 1) // 2
    ends = [i * len(x) // n for i in range(n + 1)]
    chunks = [x[start:stop] for start, stop in pairwise(ends)]
    said = []
    for m, member in enumerate(members):
        own = [chunks[(m + r) % n] for r in range(n_readers)]
        said.append(member(torch.cat(own)).split([len(chunk) for chunk in own]))
    return torch.stack([torch.cat([said[(c - r) % n][r] for c in range(n)]) for r in range(n_readers)])
