"""The shallow tower for selection bias: it separates the effect of the position from that of the item."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sklearn_fsmd.network.embedding import Columns, Embedding
from sklearn_fsmd.network.stacked_mlp import StackedLinear, StackedMLP

NEUTRAL_QUANTILE = 0.99
"""The neutral level is this quantile of the outputs of the tower; the maximum could depend on a single row."""


class BiasTower(nn.Module):
    """A small MLP on the bias features, whose output is added to the first task's logit (Sec. II-C, Fig. 3) [1]_.

    In training it learns the effect of the position of an impression on its clicks. Predictions do not use the bias
    features: they add `neutral` instead, the output of the tower for a good position.

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
        """Set the neutral level from the outputs ``(n,)`` of the tower on reference rows."""
        k = max(int(NEUTRAL_QUANTILE * len(levels)), 1)
        self.neutral.copy_(levels.sort().values[k - 1])  # kthvalue is not deterministic on a GPU
