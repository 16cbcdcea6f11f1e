"""Fast training of gates and tables."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from sklearn_fsmd.execution import core
from sklearn_fsmd.execution.crew import Crew
from sklearn_fsmd.execution.products import product
from sklearn_fsmd.network import GateSpec


class TrainGates(torch.autograd.Function):
    """Eq. (4): the softmax of one linear map per gate.

    **Shape**: ``(B, I)``, or ``(B, G or more, I)``, of which the first G are used → ``(B, G, E)``.
    """

    @staticmethod
    def forward(ctx: Any, crew: Crew, gates: GateSpec, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        n, n_in, n_experts = weight.shape
        # If all gates have the same input, one product computes the logits of all gates.
        ws = weight.detach().transpose(0, 1).reshape(1, n_in, -1) if x.dim() == 2 else weight.detach()
        ctx.inputs = (x.detach(),) if x.dim() == 2 else x.detach().unbind(1)[:n]
        out = core.room(len(x), n, n_experts)

        def part(i: int) -> None:
            logits = out.flatten(1) if x.dim() == 2 else out[:, i]
            product(ctx.inputs[i], ws[i], into=logits)

        crew.each(part, range(len(ws)), out.numel())
        out = out.add_(gates.bias.detach() + gates.excluded).softmax(dim=2)
        ctx.crew, ctx.ws = crew, ws
        ctx.save_for_backward(x, weight, out)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, _, out = ctx.saved_tensors  # raises an error if they were changed in place
        d = out.detach() * grad
        d -= out.detach() * d.sum(dim=2, keepdim=True)
        grad_x, grad_ws = torch.zeros_like(x) if x.dim() == 3 else torch.empty_like(x), torch.empty_like(ctx.ws)

        def part(i: int) -> None:
            logits, into = (d.flatten(1), grad_x) if x.dim() == 2 else (d[:, i], grad_x[:, i])
            product(logits, ctx.ws[i].t(), transposed=ctx.ws[i], into=into)
            product(ctx.inputs[i].t(), logits, into=grad_ws[i])

        ctx.crew.each(part, range(len(ctx.ws)), out.numel())
        weight = grad_ws.view(x.shape[-1], *out.shape[1:]).transpose(0, 1) if x.dim() == 2 else grad_ws
        return None, None, grad_x, weight.contiguous(), d.sum(dim=0)


class Lookup(torch.autograd.Function):
    """Rows of a table; their gradient is summed in one pass.

    **Shape**: ``(rows, D)`` and codes ``(B, F)`` → ``(B, F, D)``.
    """

    @staticmethod
    def forward(ctx: Any, table: Tensor, codes: Tensor) -> Tensor:
        ctx.save_for_backward(codes)
        ctx.shape = table.shape
        return torch.nn.functional.embedding(codes, table)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (codes,) = ctx.saved_tensors
        table = core.room(*ctx.shape).zero_()
        core.scatter_add(codes.contiguous(), grad.contiguous(), table)
        return table, None
