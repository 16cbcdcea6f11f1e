"""Stacks of equal multilayer perceptrons, computed together: the building block of experts, gates and towers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from sklearn_fsmd.nn import loops
from sklearn_fsmd.nn.crew import Crew
from sklearn_fsmd.nn.dropout import Dropout
from sklearn_fsmd.nn.hidden import TrainHidden
from sklearn_fsmd.nn.workspace import Workspace

MANY = 1024
"""From this many rows on compiled loops predict."""


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
        bias: Tensor = self.bias
        weight: Tensor = self.weight
        n = len(weight)
        if self.training and n % 2:  # two threads take a map each; the odd one they would share, with other bits
            bias, weight = (torch.cat((t, t[:1])) for t in (bias, weight))
            x = x if x.dim() == 2 else torch.cat((x, x[:1]))
        if x.dim() == 2:
            x = x.expand(len(weight), -1, -1)
        y = torch.baddbmm(bias.unsqueeze(1), x, weight)
        return y if len(y) == n else y[:n]


class HiddenLayer(StackedLinear):
    """`n` hidden layers: linear, batch norm (optional), ReLU and dropout, each of the ``n * O`` units on its own.

    Batch norm takes away the mean, and with it whatever a bias of the linear map would add; so there is one bias,
    which is added last. A batch of one row has no variance; it is normalised with the running statistics.

    **Shape**: ``(B, I)`` or ``(n, B, I)`` → ``(n, B, O)``.
    """

    running_mean: Tensor
    running_var: Tensor
    EPS, MOMENTUM = 1e-5, 0.1

    def __init__(
        self, n: int, in_features: int, out_features: int, *, dropout: float = 0.0, batch_norm: bool = False
    ) -> None:
        super().__init__(n, in_features, out_features)
        self.dropout = Dropout(dropout)
        self.batch_norm = batch_norm
        if batch_norm:
            self.scale = nn.Parameter(torch.ones(n, out_features))
            self.register_buffer("running_mean", torch.zeros(n, out_features))
            self.register_buffer("running_var", torch.ones(n, out_features))

    def forward(self, x: Tensor) -> Tensor:
        """The layer as a formula, with the running statistics; a stack trains its layers together."""
        if self.batch_norm:
            weight = self.weight
            z = torch.bmm(x if x.dim() == 3 else x.expand(len(weight), -1, -1), weight)
            slope, shift = self.affine()
            into = z if torch.is_inference_mode_enabled() else None  # a gradient needs z as it was
            y = torch.addcmul(shift.unsqueeze(1), z, slope.unsqueeze(1), out=into).relu_()
        else:
            y = super().forward(x).relu_()
        return self.dropout(y) if self.training else y

    @torch.no_grad()
    def start_from(self, other: HiddenLayer, places: Tensor, factors: Tensor) -> None:
        """Let each of the layers begin as the single layer `other`, which reads the inputs `places` of this one.

        Its weights are multiplied by `factors`, one an input; those of the inputs that it does not read stay.
        """
        device = self.weight.device
        self.weight[:, places.to(device)] = (other.weight * factors.unsqueeze(1)).to(device)
        self.bias.copy_(other.bias.expand_as(self.bias))
        if self.batch_norm:
            self.scale.copy_(other.scale.expand_as(self.scale))
            self.running_mean.copy_(other.running_mean.expand_as(self.running_mean))
            self.running_var.copy_(other.running_var.expand_as(self.running_var))

    def affine(self) -> tuple[Tensor, Tensor]:
        """What the running statistics, the scale and the bias make of a linear map: its slope and shift, ``(n, O)``."""
        if not self.batch_norm:
            return torch.ones_like(self.bias), self.bias
        slope = self.scale * torch.rsqrt(self.running_var + self.EPS)
        return slope, torch.addcmul(self.bias, self.running_mean, slope, value=-1.0)


class StackedMLP(nn.Module):
    """`n` independent MLPs of equal layers: linear, batch norm, ReLU, dropout.

    Parameters
    ----------
    reads : for each MLP the index of the input that it reads; None where there is a single one, or one each.

    **Shape**

    - Input: ``(B, I)``, read by all, or ``(G, B, I)``, with ``G = n`` unless `reads` says otherwise.
    - Output: ``(n, B, H)`` with ``H = dims[-1]``; with no layers, the input, given to each. If `weights` ``(B, M, n)``
      are given, the `M` mixtures of these by them, ``(B, M, H)``.

    Examples
    --------
    >>> import torch
    >>> mlp = StackedMLP(3, in_features=5, dims=(8, 4), dropout=0.1, batch_norm=True)
    >>> mlp(torch.randn(7, 5)).shape, mlp.out_features
    (torch.Size([3, 7, 4]), 4)
    """

    index: Tensor  # `reads`, where the module is
    workspace: Workspace | None = None
    """Where training takes its memory from; see :func:`set_training`."""
    crew: Crew | None = None
    """The threads that run compiled loops in training; None: train by torch's operations."""
    precision: torch.dtype | None = None
    """In what number format training computes its matrix products; None: in that of the parameters."""

    def __init__(
        self,
        n: int,
        in_features: int,
        dims: Sequence[int],
        *,
        dropout: float = 0.0,
        batch_norm: bool = False,
        reads: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        self.n = n
        self.reads = tuple(reads) if reads is not None else tuple(range(n))
        self.in_order = self.reads == tuple(range(n))
        self.register_buffer("index", torch.tensor(self.reads), persistent=False)
        self.out_features = dims[-1] if dims else in_features
        widths = zip((in_features, *dims), dims, strict=False)
        self.layers = nn.ModuleList(HiddenLayer(n, i, o, dropout=dropout, batch_norm=batch_norm) for i, o in widths)

    @property
    def first(self) -> HiddenLayer:
        return cast("HiddenLayer", self.layers[0])

    def forward(self, x: Tensor, weights: Tensor | None = None) -> Tensor:
        if self.layers and self.training and x.shape[-2] > 1:
            return self._way_to_train(x, weights).apply(self, x, weights, *self.layers.parameters())
        if self.layers and not self.training and self._are_many(x):
            from sklearn_fsmd.nn.fast_evaluation import evaluate  # needs numba, which takes its time

            self._check(x, weights)
            return evaluate(self, x, weights)
        if x.dim() == 3 and not self.in_order:
            x = x.index_select(0, self.index)
        elif x.dim() == 2 and not self.layers:
            x = x.expand(self.n, -1, -1)
        for layer in self.layers:
            x = layer(x)
        return x if weights is None else weights @ x.transpose(0, 1)

    def _are_many(self, x: Tensor) -> bool:
        """Whether `x` has so many rows that compiled loops predict, where there are any."""
        usual = x.shape[-2] >= MANY and x.dtype == torch.float32 and x.device.type == "cpu"
        return usual and torch.is_inference_mode_enabled() and loops.available()

    def _way_to_train(self, x: Tensor, weights: Tensor | None) -> type[torch.autograd.Function]:
        if self.crew is None or x.dtype != torch.float32:
            return TrainHidden
        from sklearn_fsmd.nn.fast_hidden import FastHidden  # needs numba, which takes its time

        self._check(x, weights)
        return FastHidden

    def _check(self, x: Tensor, weights: Tensor | None) -> None:
        check_shape(x, self.first.weight.shape[1], max(self.reads) + 1, dim=0)
        if weights is not None and (len(weights), weights.shape[2]) != (x.shape[-2], self.n):
            raise ValueError(f"weights has the shape {tuple(weights.shape)}; it is to be ({x.shape[-2]}, M, {self.n}).")


def check_shape(x: Tensor, in_features: int, n_inputs: int, *, dim: int) -> None:
    """Compiled loops do not look whether they read beyond `x`, which may have several inputs along `dim`.

    Raises
    ------
    ValueError
        If these are fewer than `n_inputs`, or have not `in_features`.
    """
    if x.shape[-1] != in_features or (x.dim() == 3 and x.shape[dim] < n_inputs):
        several = ["B", in_features]
        several.insert(dim, n_inputs)
        raise ValueError(
            f"x has the shape {tuple(x.shape)}; it is to be (B, {in_features}) or ({', '.join(map(str, several))})."
        )


def set_training(
    module: nn.Module, *, workspace: Workspace | None, precision: torch.dtype | None, crew: Crew | None = None
) -> None:
    """Say to every part of `module` how it is to be trained, if it has more ways than one."""
    for part in module.modules():
        if isinstance(part, StackedMLP):
            part.workspace, part.precision = workspace, precision
        if hasattr(type(part), "crew"):
            part.crew = crew  # type: ignore[assignment]
