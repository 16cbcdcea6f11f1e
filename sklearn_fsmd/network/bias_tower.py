"""The shallow tower for selection bias: what the position of an item says, kept apart from the item."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sklearn_fsmd.network.embedding import Columns, Embedding
from sklearn_fsmd.network.stacked_mlp import StackedLinear, StackedMLP

NEUTRAL_QUANTILE = 0.99
"""The neutral level is what the best placed hundredth of the rows reaches; the maximum could be a single row's."""


class BiasTower(nn.Module):
    """A small MLP on the bias features, whose output is added to the first task's logit (Sec. II-C, Fig. 3) [1]_.

    In training it learns what the position of an impression does to its clicks. Predictions do without it: they add
    `neutral` instead, the level at which an item is not held back by its position.

    Parameters
    ----------
    columns, dim : as in :class:`~sklearn_fsmd.network.embedding.Embedding`.
    dims : widths of the hidden layers.

    **Shape**: codes ``(B, F)`` and numbers ``(B, N)`` → ``(B,)``.

    References
    ----------
    .. [1] Z. Zhao et al., "Recommending What Video to Watch Next: A Multitask Ranking System", RecSys 2019, Sec. 4.4.
    """

    neutral: Tensor

    def __init__(self, columns: Columns, dim: int, dims: Sequence[int]) -> None:
        super().__init__()
        self.embedding = Embedding(columns, dim, std=0.1)
        self.hidden = StackedMLP(1, columns.n_fields * dim + columns.n_numeric, dims)
        self.output = StackedLinear(1, self.hidden.out_features, 1)
        self.register_buffer("neutral", torch.zeros(()))

    def forward(self, codes: Tensor, numbers: Tensor) -> Tensor:
        return self.output(self.hidden(self.embedding(codes, numbers).flat())).flatten()

    @torch.no_grad()
    def set_neutral(self, levels: Tensor) -> None:
        """Take the neutral level from the tower's outputs ``(n,)`` on rows of reference."""
        k = max(int(NEUTRAL_QUANTILE * len(levels)), 1)
        self.neutral.copy_(levels.sort().values[k - 1])  # kthvalue has no deterministic way on a GPU
