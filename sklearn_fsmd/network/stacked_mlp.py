"""Stacks of equal multilayer perceptrons, computed together: the building block of experts, gates and towers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import is_
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from sklearn_fsmd.network.dropout import Dropout
from sklearn_fsmd.network.seam import FORMULA, Execution, LayerSpec, StackSpec


def affine(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """The products of ``(B, I)`` or ``(n, B, I)`` with ``(n, I, O)``, and the bias ``(n, O)`` if there is one."""
    if x.dim() == 2:
        x = x.expand(len(weight), -1, -1)
    return torch.bmm(x, weight) if bias is None else torch.baddbmm(bias.unsqueeze(1), x, weight)


class StackedLinear(nn.Module):
    """`n` independent affine maps, computed in one product.

    **Shape**

    - Input: ``(B, I)``, read by all maps, or ``(n, B, I)``, one input per map.
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
        return self.linear(x, self.bias)

    def linear(self, x: Tensor, bias: Tensor | None = None, precision: torch.dtype | None = None) -> Tensor:
        """The products, computed in `precision`, and `bias`."""
        weight: Tensor = self.weight
        n = len(weight)
        if precision is not None:
            x, weight = x.to(precision), weight.to(precision)
        if is_odd := self.training and n % 2 == 1:
            # Two threads take a map each; the odd one they would share, with other bits than one thread has.
            weight = torch.cat((weight, weight[:1]))
            bias = None if bias is None else torch.cat((bias, bias[:1]))
            x = x if x.dim() == 2 else torch.cat((x, x[:1]))
        y = affine(x, weight, bias)
        return y[:n] if is_odd else y


N_MADE_OF = 5
"""Weight, bias, scale, mean and variance; a layer that is pruned or parametrized has others, or makes one of others."""


class Folded(NamedTuple):
    """Weight and bias of a prediction, and the tensors that they were made of, as they were then."""

    made_of: tuple[Tensor | None, ...]
    versions: list[tuple[int, int]] | None
    weight: Tensor
    bias: Tensor


def _versions(tensors: Sequence[Tensor | None]) -> list[tuple[int, int]] | None:
    """Changes with the content of the tensors, as far as torch knows of it; None of those that have no version."""
    try:
        return [(tensor.data_ptr(), tensor._version) for tensor in tensors if tensor is not None]
    except RuntimeError:  # made in inference mode, or stacked by vmap
        return None


class HiddenLayer(StackedLinear):
    """`n` hidden layers: linear, batch norm (optional), ReLU and dropout, each of the ``n * O`` units on its own.

    Batch norm takes away the mean, and with it whatever a bias of the linear map would add; so there is one bias,
    which is added last. A batch of one row has no variance; it is normalised with the running statistics.

    **Shape**: ``(B, I)`` or ``(n, B, I)`` → ``(n, B, O)``.
    """

    running_mean: Tensor
    running_var: Tensor
    EPS, MOMENTUM = 1e-5, 0.1
    _kept: Folded | None = None
    _keeps = True

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

    def forward(self, x: Tensor, precision: torch.dtype | None = None) -> Tensor:
        if not self.training and torch.is_inference_mode_enabled():
            return affine(x, *self.folded()).relu_()
        if self._keeps and torch.is_grad_enabled():  # a step may come, and torch's fused ones tell nobody
            self._kept, self._keeps = None, False
        if not self.batch_norm and precision is None:
            y = self.linear(x, self.bias)
        elif not self.batch_norm:
            y = self.linear(x, precision=precision).to(x.dtype) + self.bias.unsqueeze(1)
        else:
            z = self.linear(x, precision=precision)
            if precision is not None:
                z = z.to(x.dtype)
            of_batch = self.training and z.shape[1] > 1
            mean, var = self.statistics(z) if of_batch else (self.running_mean, self.running_var)
            slope, shift = self.slope_and_shift(mean, var)
            y = torch.addcmul(shift.unsqueeze(1), z, slope.unsqueeze(1))
        y = y.relu_()
        return self.dropout(y) if self.training else y

    def statistics(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance of the units over the batch, ``(n, O)``; the running ones move towards them."""
        var, mean = torch.var_mean(z, dim=1, correction=0)
        # Detached, not under torch.no_grad(): Ctrl+C just before that ends would leave gradients off for good.
        self.running_mean.lerp_(mean.detach(), self.MOMENTUM)
        self.running_var.lerp_(var.detach() * (z.shape[1] / (z.shape[1] - 1)), self.MOMENTUM)
        return mean, var

    def slope_and_shift(self, mean: Tensor, var: Tensor) -> tuple[Tensor, Tensor]:
        """Batch norm by these statistics as one linear map: scale · (z − mean)/σ + bias = slope · z + shift."""
        slope = self.scale * torch.rsqrt(var + self.EPS)
        return slope, torch.addcmul(self.bias, mean, slope, value=-1.0)

    def folded(self) -> tuple[Tensor, Tensor]:
        """Weight and bias of a prediction, ``(n, I, O)`` and ``(n, O)``: batch norm is a part of them.

        They are kept until `train` or `eval` is called, or one of the tensors that they are made of is another, or was
        written to in a way that autograd would notice. While gradients are taken, nothing is kept.
        """
        if not self.batch_norm:
            return self.weight, self.bias
        made_of = (*self._parameters.values(), *self._buffers.values())
        kept, versions = self._kept, _versions(made_of)
        if kept is None or kept.versions != versions or not all(map(is_, kept.made_of, made_of)):
            with torch.no_grad():
                slope, shift = self.slope_and_shift(self.running_mean, self.running_var)
                kept = Folded(made_of, versions, self.weight * slope.unsqueeze(1), shift)
            is_known = versions is not None and len(made_of) == N_MADE_OF
            self._kept = kept if self._keeps and is_known else None
        return kept.weight, kept.bias

    def train(self, mode: bool = True) -> HiddenLayer:
        self._kept, self._keeps = None, True
        return super().train(mode)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_kept", "_keeps")}

    def spec(self) -> LayerSpec:
        """The layer as tensors and numbers; in prediction with batch norm as a part of weight and bias."""
        weight, bias = (self.weight, self.bias) if self.training else self.folded()
        is_normed = self.training and self.batch_norm
        return LayerSpec(
            weight,
            bias,
            scale=self.scale if is_normed else None,
            running_mean=self.running_mean if is_normed else None,
            running_var=self.running_var if is_normed else None,
            eps=self.EPS,
            momentum=self.MOMENTUM,
            threshold=self.dropout.threshold,
            stretch=self.dropout.scale,
            draw_keys=self.dropout.draw_keys,
        )

    @torch.no_grad()
    def start_from(self, other: HiddenLayer, positions: Tensor, factors: Tensor) -> None:
        """Let each of the layers begin as the single layer `other`, which reads the inputs `positions` of this one.

        Its weights are multiplied by `factors`, one an input; those of the inputs that it does not read stay.
        """
        device = self.weight.device
        self.weight[:, positions.to(device)] = (other.weight * factors.unsqueeze(1)).to(device)
        self.bias.copy_(other.bias.expand_as(self.bias))
        if self.batch_norm:
            self.scale.copy_(other.scale.expand_as(self.scale))
            self.running_mean.copy_(other.running_mean.expand_as(self.running_mean))
            self.running_var.copy_(other.running_var.expand_as(self.running_var))


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
    execution: Execution = FORMULA
    """Who may compute it in another way."""

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
    def hidden_layers(self) -> list[HiddenLayer]:
        return cast("list[HiddenLayer]", list(self.layers))

    @property
    def is_watched(self) -> bool:
        """Whether a layer has hooks, which nothing but a call of it would run; pruning by torch has some too."""
        return any(x._forward_pre_hooks or x._forward_hooks or x._backward_hooks for x in self.hidden_layers)

    def forward(self, x: Tensor, weights: Tensor | None = None) -> Tensor:
        if self.layers and self.execution.takes(x, training=self.training) and not self.is_watched:
            return self.execution.hidden(self.spec(), x, weights)
        if x.dim() == 3 and not self.in_order:
            x = x.index_select(0, self.index)
        elif x.dim() == 2 and not self.layers:
            x = x.expand(self.n, -1, -1)
        for layer in self.layers:
            x = layer(x, self.execution.precision if self.training else None)
        return x if weights is None else weights @ x.transpose(0, 1)

    def spec(self) -> StackSpec:
        """The stack as tensors and numbers."""
        return StackSpec(tuple(layer.spec() for layer in self.hidden_layers), self.reads, self.training)
