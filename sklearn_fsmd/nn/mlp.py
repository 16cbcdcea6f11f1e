"""Stacks of equal multilayer perceptrons, computed together: the building block of experts, gates and towers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sklearn_fsmd.nn.units import HiddenUnits


class StackedLinear(nn.Module):
    """`n` independent affine maps, computed in one product.

    **Shape**

    - Input: ``(B, I)``, read by all maps, or ``(n, B, I)``, one input a map.
    - Output: ``(n, B, O)``.

    Examples
    --------
    >>> import torch
    >>> layer = StackedLinear(3, in_features=5, out_features=2)
    >>> layer(torch.zeros(7, 5)).shape, layer(torch.zeros(3, 7, 5)).shape
    (torch.Size([3, 7, 2]), torch.Size([3, 7, 2]))
    """

    def __init__(self, n: int, in_features: int, out_features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n, in_features, out_features))
        self.bias = nn.Parameter(torch.empty(n, out_features))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weights uniformly with the variance of He initialisation, and the biases as zeros."""
        bound = math.sqrt(6.0 / self.weight.shape[1])
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() == 2:
            x = x.expand(len(self.weight), -1, -1)
        return torch.baddbmm(self.bias.unsqueeze(1), x, self.weight)


class StackedMLP(nn.Module):
    """`n` independent MLPs of equal layers: linear, batch norm, ReLU, dropout.

    **Shape**

    - Input: ``(B, I)``, read by all, or ``(n, B, I)``.
    - Output: ``(n, B, H)`` with ``H = dims[-1]``; with no layers, the input, given to each.

    Examples
    --------
    >>> import torch
    >>> mlp = StackedMLP(3, in_features=5, dims=(8, 4), dropout=0.1, batch_norm=True)
    >>> mlp(torch.randn(7, 5)).shape, mlp.out_features
    (torch.Size([3, 7, 4]), 4)
    """

    def __init__(
        self, n: int, in_features: int, dims: Sequence[int], *, dropout: float = 0.0, batch_norm: bool = False
    ) -> None:
        super().__init__()
        self.n = n
        self.out_features = dims[-1] if dims else in_features
        layers: list[nn.Module] = []
        for width in dims:
            layers.append(StackedLinear(n, in_features, width))
            layers.append(HiddenUnits(n, width, dropout=dropout, batch_norm=batch_norm))
            in_features = width
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        if not self.layers and x.dim() == 2:
            return x.expand(self.n, -1, -1)
        return self.layers(x)
