"""Attention over the values of a list, given the candidate: the activation unit of DIN.

References
----------
.. [DIN] G. Zhou et al., "Deep Interest Network for Click-Through Rate Prediction", KDD 2018, Sec. 4.3.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from sklearn_fsmd.network.stacked_mlp import StackedLinear

WIDTH = 32


class ListAttention(nn.Module):
    """Weighted mean of the vectors `v` of a list; the weights depend on the candidate `q` [DIN]_.

    An MLP on q, v, q − v and q ∘ v gives a score for each value. The weights are the softmax of the scores over the
    list; [DIN]_ uses the scores without a softmax. Each of `n_sets` sets of embeddings has a separate MLP.

    **Shape**: vectors of all lists ``(m, S, D)``, lengths of the lists ``(B,)`` and candidates ``(B, S, D)`` →
    ``(B, S, D)``; zeros for an empty list.
    """

    def __init__(self, n_sets: int, dim: int) -> None:
        super().__init__()
        self.hidden = StackedLinear(n_sets, 4 * dim, WIDTH)
        self.output = StackedLinear(n_sets, WIDTH, 1)

    def forward(self, vectors: Tensor, lengths: Tensor, candidates: Tensor) -> Tensor:
        n = len(vectors)
        q = candidates.repeat_interleave(lengths, dim=0, output_size=n)
        pairs = torch.cat((q, vectors, q - vectors, q * vectors), dim=2).transpose(0, 1)  # (S, m, 4D)
        scores = self.output(self.hidden(pairs).relu()).squeeze(2).t()  # (m, S)
        largest = torch.segment_reduce(scores.detach(), "max", lengths=lengths, initial=-math.inf)
        e = (scores - largest.repeat_interleave(lengths, dim=0, output_size=n)).exp()
        total = torch.segment_reduce(e, "sum", lengths=lengths, initial=0.0)
        weighted = torch.segment_reduce(e.unsqueeze(2) * vectors, "sum", lengths=lengths, initial=0.0)
        return weighted / total.clamp(min=1e-9).unsqueeze(2)
