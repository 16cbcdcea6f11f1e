"""The hidden layers of a stack of MLPs in training, as one step with a gradient of its own.

Forward is what :class:`~sklearn_fsmd.network.stacked_mlp.HiddenLayer` says, with the statistics of the batch. Torch's
operations one after the other take twice as long on a CPU, where the products leave room for little else: a large
batch is bound by memory, a small one by the number of calls. So

- a few members at a time go through *all* layers, and what one pass writes the next one finds in the cache;
- the large tensors come from a workspace, see there;
- batch norm is written out: its gradient is two passes, where torch's takes four times as long.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from sklearn_fsmd.network.stacked_mlp import StackedMLP
from sklearn_fsmd.network.workspace import Loan, Workspace

BLOCK_BYTES = 2**22
"""How large the widest output of a block of members may be on a CPU: what a pass reads and writes fits the cache."""


class How(NamedTuple):
    """Where a step takes its memory from (None: fresh memory), and the number format of its products."""

    workspace: Workspace | None
    precision: torch.dtype | None


class TrainHidden(torch.autograd.Function):
    """All layers of a :class:`StackedMLP`, and the mixtures of its outputs if weights are given.

    The parameters follow layer by layer.

    **Shape**: ``(B, I)`` or ``(G, B, I)`` → ``(n, B, H)``, or with weights ``(B, M, n)`` → ``(B, M, H)``.
    """

    @staticmethod
    def forward(ctx: Any, how: How, mlp: StackedMLP, x: Tensor, weights: Tensor | None, *parameters: Tensor) -> Tensor:
        loan = Loan(how.workspace, x.device)
        products = Products(how.precision, loan)
        reads, inputs = _inputs(mlp, x)
        own = _by_layer(mlp, parameters)
        shapes = [(mlp.n, inputs.shape[1], weight.shape[2]) for weight, *_ in own]
        outputs = [loan.empty(shape, x.dtype) for shape in shapes]
        if weights is None:
            outputs[-1] = x.new_empty(shapes[-1])  # it is returned and may outlive the step: no part of the loan
        steps = [LayerStep(layer, output, loan) for layer, output in zip(mlp.layers, outputs, strict=True)]
        for s in _blocks(outputs):
            h = _pick(inputs, reads[s])
            for step, output, tensors in zip(steps, outputs, own, strict=True):
                h = step.forward(s, h, output[s], [t[s] for t in tensors], products)
        for step in steps:
            step.update_running_statistics()
        ctx.how, ctx.mlp, ctx.steps = how, mlp, steps
        ctx.loan = loan  # which lives as long as the graph that needs its tensors
        ctx.hidden = outputs if weights is not None else outputs[:-1]
        ctx.save_for_backward(x, weights, None if weights is not None else outputs[-1], *parameters)
        return outputs[-1] if weights is None else weights @ outputs[-1].transpose(0, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weights, output, *parameters = ctx.saved_tensors
        mlp, outputs = ctx.mlp, ctx.hidden if output is None else [*ctx.hidden, output]
        loan = Loan(ctx.how.workspace, x.device)
        products = Products(ctx.how.precision, loan)
        reads, inputs = _inputs(mlp, x)
        own = _by_layer(mlp, parameters)
        grads = _by_layer(mlp, [torch.empty_like(p) for p in parameters])
        grad_x = x.new_empty(inputs.shape)
        grad_weights = None if weights is None else grad @ outputs[-1].permute(1, 2, 0)
        for s in _blocks(outputs):
            g = grad[s] if weights is None else (weights[:, :, s].transpose(1, 2) @ grad).transpose(0, 1)
            for i in reversed(range(len(own))):
                h = outputs[i - 1][s] if i else _pick(inputs, reads[s])
                weight, into = own[i][0][s], [t[s] for t in grads[i]]
                d = products.low("d", ctx.steps[i].backward(s, g, outputs[i][s], into, loan))
                products.weight_gradient(h, d, out=into[0])
                if i:
                    g = products(d, weight, out=loan.scratch("g", h.shape, h.dtype), transpose_b=True)
            _add_to_inputs(products, d, weight, reads, s, grad_x)
        return None, None, grad_x.view(x.shape), grad_weights, *(t for group in grads for t in group)


class LayerStep:
    """One layer in one step of training, block by block of members, and what forward leaves for backward."""

    def __init__(self, layer: Any, output: Tensor, loan: Loan) -> None:
        self.layer, self.loan = layer, loan
        self.drops = layer.dropout.threshold > 0
        self.stretch = layer.dropout.scale
        if layer.batch_norm:
            n, self.n_rows, width = output.shape
            self.centred = loan.empty(output.shape, output.dtype)
            self.mean, self.var, self.inverse_std, self.slope = (output.new_empty((n, 1, width)) for _ in range(4))

    def forward(self, s: slice, x: Tensor, out: Tensor, tensors: Sequence[Tensor], products: Products) -> Tensor:
        weight, bias = tensors[0], tensors[1].unsqueeze(1)
        if self.layer.batch_norm:
            z = products(x, weight, out=self.centred[s])
            z.sub_(torch.mean(z, 1, keepdim=True, out=self.mean[s]))
            var = torch.mean(torch.mul(z, z, out=out), 1, keepdim=True, out=self.var[s])
            inverse_std = torch.rsqrt(var + self.layer.EPS, out=self.inverse_std[s])
            # ReLU(a·y) = a·ReLU(y): the scale of dropout goes into that of batch norm and costs nothing.
            slope = torch.mul(self._stretched(tensors[2].unsqueeze(1)), inverse_std, out=self.slope[s])
            torch.addcmul(self._stretched(bias), z, slope, out=out).relu_()
        else:
            products(x, weight, out=out).add_(bias).relu_()
            if self.drops:
                out.mul_(self.stretch)
        if self.drops:
            out.mul_(self.layer.dropout.mask(out, self.loan))
        return out

    def _stretched(self, x: Tensor) -> Tensor:
        return x * self.stretch if self.drops else x

    def update_running_statistics(self) -> None:
        if self.layer.batch_norm:
            unbiased = self.var.squeeze(1) * (self.n_rows / (self.n_rows - 1))
            self.layer.running_mean.lerp_(self.mean.squeeze(1), self.layer.MOMENTUM)
            self.layer.running_var.lerp_(unbiased, self.layer.MOMENTUM)

    def backward(self, s: slice, grad: Tensor, out: Tensor, into: Sequence[Tensor], loan: Loan) -> Tensor:
        """The gradient of the linear map's output; those of bias and scale are written."""
        # Dropped and negative units are both zero in the output.
        g = loan.scratch("masked", out.shape, out.dtype)
        torch.ops.aten.threshold_backward.grad_input(grad, out, 0.0, grad_input=g)
        sums = g.sum(1, keepdim=True)
        into[1].copy_(self._stretched(sums.squeeze(1)))
        if not self.layer.batch_norm:
            return g.mul_(self.stretch) if self.drops else g
        # dz = slope · (g − mean(g) − ẑ · mean(g·ẑ)), with ẑ = (z − mean)/σ and slope = scale/σ
        z, inverse_std = self.centred[s], self.inverse_std[s]
        d = torch.mul(g, z, out=loan.scratch("dz", out.shape, out.dtype))
        projections = d.sum(1, keepdim=True).mul_(inverse_std)
        into[2].copy_(self._stretched(projections.squeeze(1)))
        per_row = self.slope[s] / -self.n_rows
        factor = projections.mul_(inverse_std).mul_(per_row)
        return torch.addcmul(sums.mul_(per_row), z, factor, out=d).addcmul_(g, self.slope[s])


class Products:
    """Matrix products of stacks, in a lower precision where one is asked for; what surrounds them stays as it is."""

    def __init__(self, precision: torch.dtype | None, loan: Loan) -> None:
        self.precision, self.loan = precision, loan

    def __call__(
        self, a: Tensor, b: Tensor, out: Tensor, *, transpose_a: bool = False, transpose_b: bool = False
    ) -> Tensor:
        a, b = self.low("a", a), self.low("b", b)
        a, b = a.transpose(-2, -1) if transpose_a else a, b.transpose(-2, -1) if transpose_b else b
        multiply = torch.bmm if a.dim() == 3 else torch.mm  # matmul goes a long way to these
        if self.precision is None:
            return multiply(a, b, out=out)
        return out.copy_(multiply(a, b, out=self.loan.scratch("product", out.shape, self.precision)))

    def weight_gradient(self, h: Tensor, d: Tensor, out: Tensor) -> None:
        """Hᵀ·D of each member. That of a member by itself goes in halves, as if there were two.

        The sum over the rows of a single product is cut by as many threads as there are, which gives other bits; two
        products are a thread each.
        """
        if len(h) > 1 or d.shape[2] % 2:
            self(h, d, out=out, transpose_a=True)
            return
        halves = d[0].unflatten(1, (2, -1)).transpose(0, 1)  # (2, B, O / 2)
        gradients = self.loan.scratch("halves", (2, h.shape[2], halves.shape[2]), out.dtype)
        self(h.expand(2, -1, -1), halves, out=gradients, transpose_a=True)
        out[0].unflatten(1, (2, -1)).copy_(gradients.transpose(0, 1))

    def low(self, name: str, x: Tensor) -> Tensor:
        """`x` in the precision of the products."""
        if self.precision in (None, x.dtype):
            return x
        return self.loan.scratch(name, x.shape, self.precision).copy_(x)


def _add_to_inputs(
    products: Products, d: Tensor, weight: Tensor, reads: tuple[int, ...], s: slice, grad_x: Tensor
) -> None:
    """Add what the members `s` say of their inputs; `grad_x` need not be zero where nobody has written yet."""
    if len(set(reads)) == len(reads):
        products(d, weight, out=grad_x[s], transpose_b=True)
        return
    for i, e in enumerate(range(s.start, s.stop)):
        into = grad_x[reads[e]]
        if reads[e] not in reads[:e]:
            products(d[i], weight[i], out=into, transpose_b=True)
        elif products.precision is None:
            into.addmm_(d[i], weight[i].t())
        else:
            term = products.loan.scratch("term", into.shape, into.dtype)
            into.add_(products(d[i], weight[i], out=term, transpose_b=True))


def _inputs(mlp: StackedMLP, x: Tensor) -> tuple[tuple[int, ...], Tensor]:
    """Which input each member reads, and the inputs, ``(G, B, I)``."""
    return (mlp.reads, x) if x.dim() == 3 else ((0,) * mlp.n, x.unsqueeze(0))


def _pick(inputs: Tensor, reads: tuple[int, ...]) -> Tensor:
    """The inputs of some members, ``(m, B, I)``, without a copy if possible."""
    first, n = reads[0], len(reads)
    if reads == (first,) * n:
        return inputs[first].expand(n, -1, -1)
    if reads == tuple(range(first, first + n)):
        return inputs[first : first + n]
    return inputs[list(reads)]


def _by_layer(mlp: StackedMLP, tensors: Any) -> list[Any]:
    n_each = len(tensors) // len(mlp.layers)
    return [tensors[i : i + n_each] for i in range(0, len(tensors), n_each)]


def _blocks(outputs: Sequence[Tensor]) -> Iterator[slice]:
    """Ranges of members to be worked on together: what fits the cache, or all where memory is fast."""
    size = n = len(outputs[0])
    if outputs[0].device.type == "cpu":
        size = max(BLOCK_BYTES // max(output[0].nbytes for output in outputs), 1)
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))
