"""Hidden units of a stack of MLPs: batch norm, ReLU and dropout, as one step with a gradient of its own."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from sklearn_fsmd.nn.dropout import Dropout


class HiddenUnits(nn.Module):
    """Batch norm (optional), ReLU and dropout of ``(n, B, H)``, each of the ``n * H`` units on its own.

    A training batch of one row has no variance; it is normalised with the running statistics.

    **Shape**: ``(n, B, H)``, kept.
    """

    running_mean: Tensor
    running_var: Tensor
    EPS, MOMENTUM = 1e-5, 0.1

    def __init__(self, n: int, features: int, *, dropout: float = 0.0, batch_norm: bool = False) -> None:
        super().__init__()
        self.dropout = Dropout(dropout)
        self.batch_norm = batch_norm
        if batch_norm:
            self.scale = nn.Parameter(torch.ones(n, features))
            self.bias = nn.Parameter(torch.zeros(n, features))
            self.register_buffer("running_mean", torch.zeros(n, features))
            self.register_buffer("running_var", torch.ones(n, features))

    def forward(self, z: Tensor) -> Tensor:
        if not self.batch_norm:
            return self.dropout(torch.relu(z))
        if self.training and z.shape[1] > 1:
            drops = self.dropout.threshold > 0
            mask = self.dropout.mask(z.shape, z.device) if drops else None
            # ReLU(s·y) = s·ReLU(y): the scale of dropout goes into that of batch norm and costs nothing.
            s = self.dropout.scale if drops else 1.0
            buffers = (self.running_mean, self.running_var)
            return _NormReluDrop.apply(z, self.scale * s, self.bias * s, *buffers, mask, self.MOMENTUM, self.EPS)
        slope = self.scale * torch.rsqrt(self.running_var + self.EPS)
        shift = self.bias - self.running_mean * slope
        return self.dropout(torch.addcmul(shift.unsqueeze(1), z, slope.unsqueeze(1)).relu_())


class _NormReluDrop(torch.autograd.Function):
    """Batch norm over the rows, ReLU and a mask.

    It works member by member, so that what one pass writes is still in the cache when the next one reads it. Torch's
    own operations, one after the other, take twice as long on a CPU, most of it in the gradient of batch norm.
    """

    @staticmethod
    def forward(
        ctx: Any,
        z: Tensor,
        scale: Tensor,
        bias: Tensor,
        running_mean: Tensor,
        running_var: Tensor,
        mask: Tensor | None,
        momentum: float,
        eps: float,
    ) -> Tensor:
        out = torch.empty_like(z)
        stats = []
        for e in range(len(z)):
            y, mean, inverse_std = torch.native_batch_norm(
                z[e], scale[e], bias[e], running_mean[e], running_var[e], True, momentum, eps
            )
            stats.append((mean, inverse_std))
            if mask is None:
                torch.clamp(y, min=0.0, out=out[e])
            else:
                torch.mul(y.relu_(), mask[e].to(z.dtype), out=out[e])
        mean, inverse_std = (torch.stack(part) for part in zip(*stats, strict=True))
        ctx.save_for_backward(z, scale, mean, inverse_std, out)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        z, scale, mean, inverse_std, out = ctx.saved_tensors
        grad = grad.contiguous()
        grad_z = torch.empty_like(z)
        grad_scale, grad_bias = torch.empty_like(scale), torch.empty_like(scale)
        g, product = torch.empty_like(z[0]), torch.empty_like(z[0])
        n_rows = z.shape[1]
        for e in range(len(z)):
            centred = torch.sub(z[e], mean[e], out=grad_z[e])
            # Dropped and negative units are both zero in the output.
            torch.ops.aten.threshold_backward.grad_input(grad[e], out[e], 0.0, grad_input=g)
            torch.sum(g, 0, out=grad_bias[e])
            torch.sum(torch.mul(g, centred, out=product), 0, out=grad_scale[e])
            grad_scale[e].mul_(inverse_std[e])
            # dz = s/σ · (g − mean(g) − ẑ · mean(g·ẑ)), with ẑ = (z − mean)/σ
            slope = scale[e] * inverse_std[e]
            centred.mul_(slope * inverse_std[e] * grad_scale[e] / -n_rows)
            centred.addcmul_(g, slope).sub_(slope * grad_bias[e] / n_rows)
        return grad_z, grad_scale, grad_bias, None, None, None, None, None
