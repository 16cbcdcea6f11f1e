"""Gates and tables in training by compiled loops, and where their inputs lie in memory."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from sklearn_fsmd.execution.crew import Crew, ranges_of
from sklearn_fsmd.execution.loops import gates, updates


class FastGates(torch.autograd.Function):
    """Eq. (4) for gates without hidden layers, as :class:`~sklearn_fsmd.network.extractors.Gates` says it.

    **Shape**: ``(B, I)``, or ``(B, G or more, I)``, of which the first are read → ``(B, G, E)``.
    """

    @staticmethod
    def forward(ctx: Any, crew: Crew, x: Tensor, weight: Tensor, bias: Tensor, excluded: Tensor) -> Tensor:
        x = with_dense_rows(x)
        n_gates, n_in, n_experts = weight.shape
        w = weight.detach()  # one product for all gates where they read the same
        ws = (w if x.dim() == 3 else w.transpose(0, 1).reshape(1, n_in, -1)).contiguous().numpy()
        out = x.new_empty(len(x), n_gates, n_experts)
        arrays = x.data_ptr(), *_strides(x), ws, bias.detach().numpy(), excluded.numpy(), out.numpy()
        crew.each(lambda r, _: gates.gate(*arrays, *r), ranges_of(len(x), n_in), x.numel())
        ctx.crew, ctx.ws = crew, ws
        ctx.save_for_backward(x, out)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, out = ctx.saved_tensors
        crew, ws = ctx.crew, ctx.ws
        weights, grads = out.detach().numpy(), grad.contiguous().numpy()
        # MKL's last bits depend on where arrays begin, and torch's begin where registers do.
        grad_logits, grad_ws = torch.empty_like(out).numpy(), torch.empty(ws.shape, dtype=out.dtype).numpy()
        grad_x = torch.empty_like(x)
        if x.dim() == 3:
            grad_x[:, len(ws) :] = 0.0  # what no gate reads

        def rows(r: tuple[int, int], _: int) -> None:
            gates.gate_to_logits(weights, grads, grad_logits, *r)
            gates.gate_to_inputs(grad_logits, ws, grad_x.data_ptr(), *_strides(grad_x), *r)

        def one(g: int, _: int) -> None:
            gates.gate_to_weights(x.data_ptr(), *_strides(x), grad_logits, grad_ws, g)

        crew.each(rows, ranges_of(len(x), x.shape[-1]), x.numel())
        crew.each(one, range(len(ws)), x.numel())
        bias, weight = torch.from_numpy(grad_logits.sum(axis=0)), torch.from_numpy(grad_ws)
        if x.dim() == 2:
            weight = weight.view(-1, *bias.shape).transpose(0, 1).contiguous()  # as the parameter lies in memory
        return None, grad_x, weight, bias, None


class FastLookup(torch.autograd.Function):
    """Rows of a table, whose gradient is added up by one loop."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, codes: Tensor) -> Tensor:
        ctx.save_for_backward(codes)
        ctx.shape = table.shape
        return torch.nn.functional.embedding(codes, table)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (codes,) = ctx.saved_tensors
        out = grad.new_zeros(ctx.shape)
        updates.scatter_add(codes.contiguous().numpy(), grad.contiguous().numpy(), out.numpy())
        return out, None


def with_dense_rows(x: Tensor) -> Tensor:
    """`x` with the numbers of a row beside each other, and its parts in any order without gaps or overlaps."""
    is_dense = (x.stride(-1) == 1 and x.transpose(0, -2).is_contiguous()) or x.is_contiguous()
    return x if is_dense else x.contiguous()


def _strides(x: Tensor) -> tuple[int, int]:
    """In bytes: from the input of a gate to the next one's, and from a row to the next."""
    return (x.stride(1) * x.element_size() if x.dim() == 3 else 0), x.stride(0) * x.element_size()
