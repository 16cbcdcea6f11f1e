"""Stacks of MLPs with equal shapes, computed together: the building block of experts, gates and towers."""

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
    """The product of ``(B, I)`` or ``(n, B, I)`` with ``(n, I, O)``, plus the bias ``(n, O)`` if there is one."""
    if x.dim() == 2:
        x = x.expand(len(weight), -1, -1)
    return torch.bmm(x, weight) if bias is None else torch.baddbmm(bias.unsqueeze(1), x, weight)


class StackedLinear(nn.Module):
    """`n` independent affine maps, computed by one batched product.

    **Shape**

    - Input: ``(B, I)``, the input of all maps, or ``(n, B, I)``, one input per map.
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
        """Draw the weights uniformly with the variance of He initialisation, and set the biases to 0."""
        bound = math.sqrt(6.0 / self.weight.shape[1])
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x, self.bias)

    def linear(self, x: Tensor, bias: Tensor | None = None, precision: torch.dtype | None = None) -> Tensor:
        """The affine maps with products in `precision` and with `bias`."""
        weight: Tensor = self.weight
        n = len(weight)
        if precision is not None:
            x, weight = x.to(precision), weight.to(precision)
        if is_odd := self.training and n % 2 == 1:
            # Two threads compute one map each, but would share the last of an odd number, and its bits would differ.
            weight = torch.cat((weight, weight[:1]))
            bias = None if bias is None else torch.cat((bias, bias[:1]))
            x = x if x.dim() == 2 else torch.cat((x, x[:1]))
        y = affine(x, weight, bias)
        return y[:n] if is_odd else y


N_SOURCES = 5
"""Weight, bias, scale, mean and variance; a pruned or parametrized layer has other tensors, or computes some."""


class Folded(NamedTuple):
    """Weight and bias for predictions, and the tensors, with their versions, from which they were computed."""

    sources: tuple[Tensor | None, ...]
    versions: list[tuple[int, int]] | None
    weight: Tensor
    bias: Tensor


def _versions(tensors: Sequence[Tensor | None]) -> list[tuple[int, int]] | None:
    """Address and version of each tensor, which change with its content; None if a tensor has no version."""
    try:
        return [(tensor.data_ptr(), tensor._version) for tensor in tensors if tensor is not None]
    except RuntimeError:  # created in inference mode, or stacked by vmap
        return None


class HiddenLayer(StackedLinear):
    """`n` hidden layers: linear, batch norm (optional), ReLU and dropout.

    Batch norm subtracts the mean, and with it any bias of the linear map. So there is a single bias, which is added
    after normalisation. A batch of one row has no variance, so it is normalised with the running statistics.

    **Shape**: ``(B, I)`` or ``(n, B, I)`` → ``(n, B, O)``.
    """

    running_mean: Tensor
    running_var: Tensor
    EPS, MOMENTUM = 1e-5, 0.1
    _cached: Folded | None = None
    _may_cache = True

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
        if self._may_cache and torch.is_grad_enabled():  # steps of torch's fused optimizers do not change the versions
            self._cached, self._may_cache = None, False
        if not self.batch_norm and precision is None:
            y = self.linear(x, self.bias)
        elif not self.batch_norm:
            y = self.linear(x, precision=precision).to(x.dtype) + self.bias.unsqueeze(1)
        else:
            z = self.linear(x, precision=precision)
            if precision is not None:
                z = z.to(x.dtype)
            by_batch = self.training and z.shape[1] > 1
            mean, var = self.statistics(z) if by_batch else (self.running_mean, self.running_var)
            slope, shift = self.slope_and_shift(mean, var)
            y = torch.addcmul(shift.unsqueeze(1), z, slope.unsqueeze(1))
        y = y.relu_()
        return self.dropout(y) if self.training else y

    def statistics(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance of the units over the batch, ``(n, O)``; the running statistics are updated."""
        var, mean = torch.var_mean(z, dim=1, correction=0)
        # Detached instead of torch.no_grad(): Ctrl+C just before the end of that would leave gradients disabled.
        self.running_mean.lerp_(mean.detach(), self.MOMENTUM)
        self.running_var.lerp_(var.detach() * (z.shape[1] / (z.shape[1] - 1)), self.MOMENTUM)
        return mean, var

    def slope_and_shift(self, mean: Tensor, var: Tensor) -> tuple[Tensor, Tensor]:
        """Batch norm with these statistics as one affine map: scale · (z − mean)/σ + bias = slope · z + shift."""
        slope = self.scale * torch.rsqrt(var + self.EPS)
        return slope, torch.addcmul(self.bias, mean, slope, value=-1.0)

    def folded(self) -> tuple[Tensor, Tensor]:
        """Weight ``(n, I, O)`` and bias ``(n, O)`` for predictions, with batch norm folded into them.

        They are cached until `train` or `eval` is called, or until a source tensor is replaced, or changed in a way
        that autograd would notice. Nothing is cached while gradients are computed.
        """
        if not self.batch_norm:
            return self.weight, self.bias
        sources = (*self._parameters.values(), *self._buffers.values())
        folded, versions = self._cached, _versions(sources)
        if folded is None or folded.versions != versions or not all(map(is_, folded.sources, sources)):
            with torch.no_grad():
                slope, shift = self.slope_and_shift(self.running_mean, self.running_var)
                folded = Folded(sources, versions, self.weight * slope.unsqueeze(1), shift)
            can_be_checked = versions is not None and len(sources) == N_SOURCES
            self._cached = folded if self._may_cache and can_be_checked else None
        return folded.weight, folded.bias

    def train(self, mode: bool = True) -> HiddenLayer:
        self._cached, self._may_cache = None, True
        return super().train(mode)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_cached", "_may_cache")}

    def spec(self) -> LayerSpec:
        """The layer as tensors and numbers; in prediction with batch norm folded into weight and bias."""
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
        """Start each layer from the single layer `other`, whose inputs are the inputs `positions` of this one.

        Its weights are multiplied by `factors`, one per input. Weights of inputs that `other` does not have stay the
        same.
        """
        device = self.weight.device
        self.weight[:, positions.to(device)] = (other.weight * factors.unsqueeze(1)).to(device)
        self.bias.copy_(other.bias.expand_as(self.bias))
        if self.batch_norm:
            self.scale.copy_(other.scale.expand_as(self.scale))
            self.running_mean.copy_(other.running_mean.expand_as(self.running_mean))
            self.running_var.copy_(other.running_var.expand_as(self.running_var))


class StackedMLP(nn.Module):
    """`n` independent MLPs with layers of equal shapes: linear, batch norm, ReLU, dropout.

    Parameters
    ----------
    reads : for each MLP the index of its input; None for a single input, or for one input per MLP.

    **Shape**

    - Input: ``(B, I)``, the input of all MLPs, or ``(G, B, I)``, with ``G = n`` if `reads` is None.
    - Output: ``(n, B, H)`` with ``H = dims[-1]``; without layers the input of each MLP. With `weights` ``(B, M, n)``
      the output is `M` mixtures of the MLPs, ``(B, M, H)``.

    Examples
    --------
    >>> import torch
    >>> mlp = StackedMLP(3, in_features=5, dims=(8, 4), dropout=0.1, batch_norm=True)
    >>> mlp(torch.randn(7, 5)).shape, mlp.out_features
    (torch.Size([3, 7, 4]), 4)
    """

    index: Tensor  # `reads` on the device of the module
    execution: Execution = FORMULA
    """The execution that may compute the stack instead of the formula."""

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
        """Whether a layer has hooks, such as those of torch's pruning: they only run if the layer itself is called."""
        return any(x._forward_pre_hooks or x._forward_hooks or x._backward_hooks for x in self.hidden_layers)

    def forward(self, x: Tensor, weights: Tensor | None = None) -> Tensor:
        if self.layers and self.execution.supports(x, training=self.training) and not self.is_watched:
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
