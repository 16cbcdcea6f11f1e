"""Stacks of equal multilayer perceptrons, computed together: the building block of experts, gates and towers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sklearn_fsmd.nn.dropout import Dropout


class StackedLinear(nn.Module):
    """`n` independent affine maps, computed in one product.

    **Shape**

    - Input: ``(B, I)``, read by all maps, or ``(B, n, I)``, one row a map.
    - Output: ``(B, n, O)``.

    Examples
    --------
    >>> import torch
    >>> layer = StackedLinear(3, in_features=5, out_features=2)
    >>> layer(torch.zeros(7, 5)).shape, layer(torch.zeros(7, 3, 5)).shape
    (torch.Size([7, 3, 2]), torch.Size([7, 3, 2]))
    """

    def __init__(self, n: int, in_features: int, out_features: int) -> None:
        super().__init__()
        # (I, n, O): flattening the last two axes gives the matrix of the single product without a copy.
        self.weight = nn.Parameter(torch.empty(in_features, n, out_features))
        self.bias = nn.Parameter(torch.empty(n, out_features))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weights uniformly with the variance of He initialisation, and the biases as zeros."""
        bound = math.sqrt(6.0 / self.weight.shape[0])
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() == 2:
            return torch.addmm(self.bias.flatten(), x, self.weight.flatten(1)).unflatten(1, self.bias.shape)
        y = torch.baddbmm(self.bias.unsqueeze(1), x.transpose(0, 1), self.weight.transpose(0, 1))  # (n, B, O)
        return y.transpose(0, 1)


class StackedBatchNorm(nn.BatchNorm1d):
    """Batch normalisation of ``(B, n, H)``, each of the ``n * H`` units on its own.

    A training batch of one row has no variance; it is normalised with the running statistics.
    """

    def __init__(self, n: int, features: int) -> None:
        super().__init__(n * features)

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(1)
        if self.training and flat.shape[0] == 1:
            y = nn.functional.batch_norm(
                flat, self.running_mean, self.running_var, self.weight, self.bias, training=False, eps=self.eps
            )
        else:
            y = super().forward(flat)
        return y.view(x.shape)


class StackedMLP(nn.Module):
    """`n` independent MLPs of equal layers: linear, batch norm, ReLU, dropout.

    **Shape**

    - Input: ``(B, I)``, read by all, or ``(B, n, I)``.
    - Output: ``(B, n, H)`` with ``H = dims[-1]``; with no layers, the input, given to each.

    Examples
    --------
    >>> import torch
    >>> mlp = StackedMLP(3, in_features=5, dims=(8, 4), dropout=0.1, batch_norm=True)
    >>> mlp(torch.randn(7, 5)).shape, mlp.out_features
    (torch.Size([7, 3, 4]), 4)
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
            if batch_norm:
                layers.append(StackedBatchNorm(n, width))
            layers.append(nn.ReLU(inplace=True))
            if dropout:
                layers.append(Dropout(dropout))
            in_features = width
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        if not self.layers and x.dim() == 2:
            return x.unsqueeze(1).expand(-1, self.n, -1)
        return self.layers(x)
