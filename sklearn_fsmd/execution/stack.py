"""The hidden layers of a stack of MLPs, fast: products by torch, what is between them by the core.

A thread takes a member through all its layers, so that what one pass writes the next one finds in the cache. Where the
number of members is odd, all threads share the last one: they cut the columns of its layers.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from threading import Lock
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from sklearn_fsmd.execution import core
from sklearn_fsmd.execution.crew import FEW, Crew, parts_of, ranges_of
from sklearn_fsmd.execution.products import first_transposed, product
from sklearn_fsmd.network import StackSpec


class TrainStack(torch.autograd.Function):
    """All layers in training, and the mixtures of their outputs if weights are given.

    The parameters follow layer by layer: weight, bias and, with batch norm, scale.

    **Shape**: ``(B, I)`` or ``(G, B, I)`` → ``(n, B, H)``, or with weights ``(B, M, n)`` → ``(B, M, H)``.
    """

    @staticmethod
    def forward(
        ctx: Any,
        crew: Crew,
        precision: torch.dtype | None,
        stack: StackSpec,
        x: Tensor,
        weights: Tensor | None,
        *parameters: Tensor,
    ) -> Tensor:
        step = ctx.step = Step(crew, precision, stack, x)
        step.forward()
        weights = None if weights is None else weights.contiguous()
        out = step.mix(weights) if weights is not None else step.out.to(x.dtype).detach()
        ctx.save_for_backward(x, weights, None if weights is not None else out, *parameters)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        _, weights, _, *_ = ctx.saved_tensors  # which raises where somebody has changed them
        step, grad = ctx.step, grad.contiguous()
        grad_weights = None if weights is None else step.mix_to_weights(grad, weights)
        with step.lock:
            grads, grad_x = step.backward(grad, weights, to_inputs=ctx.needs_input_grad[3])
        return None, None, None, grad_x, grad_weights, *grads


class Step:
    """One step of training of a stack: forward, and what that leaves for backward.

    Below, `i` is a layer, `e` a member and `c` some of the columns of its output.
    """

    def __init__(self, crew: Crew, precision: torch.dtype | None, stack: StackSpec, x: Tensor) -> None:
        self.crew, self.shape, self.rows, self.n = crew, x.shape, x.shape[-2], len(stack.reads)
        self.reads = stack.reads if x.dim() == 3 else (0,) * self.n
        self.dtype = precision or torch.float32
        self.layers = [core.Layer(layer, self.rows, self.dtype) for layer in stack.layers]
        self.last = len(self.layers) - 1
        # Views are made here and not by the threads: each gives up the interpreter's lock and has to wait for it.
        inputs = x.detach().to(self.dtype)
        self.inputs = inputs.unbind(0) if x.dim() == 3 else (inputs,)
        self.outs = [layer.out.unbind(0) for layer in self.layers]
        weights = [layer.weight.detach().to(self.dtype) for layer in stack.layers]
        self.ws = [weight.unbind(0) for weight in weights]
        self.wts = [weight.transpose(1, 2).unbind(0) for weight in weights]
        self.lock = Lock()  # of backward, which two threads may call on one graph
        self.z: dict[tuple[int, int, int], Tensor] = {}
        """What the linear map has given, by layer, member and first column."""
        self.sizes = [self.rows * layer.width for layer in self.layers]
        n_alone = self.n - self.n % 2 if self.n * max(self.sizes) >= FEW else self.n
        self.alone, self.shared = range(n_alone), range(n_alone, self.n)

    @property
    def out(self) -> Tensor:
        return self.layers[-1].out

    def whole(self, i: int) -> slice:
        return slice(0, self.layers[i].width)

    def _room(self, width: int) -> Tensor:
        return core.room(self.rows, width, dtype=self.dtype)

    # --------------------------------------------------------------------------------------------------------- forward

    def forward(self) -> None:
        """Fill the outputs of all layers."""
        self.crew.each(self._forward_member, self.alone, sum(self.sizes) * self.n)
        for e in self.shared:
            for i, layer in enumerate(self.layers):
                self.crew.each(partial(self._forward_columns, i, e), parts_of(layer.width), self.sizes[i])

    def _forward_member(self, e: int) -> None:
        for i in range(len(self.layers)):
            self._forward_columns(i, e, self.whole(i))

    def _forward_columns(self, i: int, e: int, c: slice) -> None:
        x, wt = self.outs[i - 1][e] if i else self.inputs[self.reads[e]], self.wts[i][e]
        z = product(x, wt if c == self.whole(i) else wt[c])
        self.layers[i].forward(e, c, z)
        if self.layers[i].normed:
            self.z[i, e, c.start] = z

    def mix(self, weights: Tensor) -> Tensor:
        """Eq. (5): the outputs mixed by `weights` ``(B, M, n)``."""
        mixed = core.room(*weights.shape[:2], self.out.shape[2])
        self._by_rows(partial(core.mix, weights.detach(), self.out, mixed))
        return mixed

    # -------------------------------------------------------------------------------------------------------- backward

    def mix_to_weights(self, grad: Tensor, weights: Tensor) -> Tensor:
        """The gradient of the weights of the mixtures, from that of the mixtures."""
        made = core.room(*weights.shape)
        self._by_rows(partial(core.mix_to_weights, grad, self.out, made))
        return made

    def _by_rows(self, work: Callable[[slice], object]) -> None:
        self.crew.each(work, ranges_of(*self.out.shape[1:]), self.out.numel())

    def backward(self, grad: Tensor, weights: Tensor | None, *, to_inputs: bool) -> tuple[list[Tensor], Tensor | None]:
        """The gradients of the parameters and of the inputs, from that of the outputs or of their mixtures."""
        self.grad, self.mixed_by, self.to_inputs = grad, weights, to_inputs
        grad_ws = [core.room(self.n, *w[0].shape) for w in self.ws]
        grads = [layer.new_gradients() for layer in self.layers]  # fresh ones: a graph may be gone back more than once
        self.grad_ws = [grad_w.unbind(0) for grad_w in grad_ws]
        self.inputs_t = [first_transposed(x) if self.n > 1 else x.t() for x in self.inputs]
        self.below: dict[int, Tensor] = {}
        """Of each member, the gradient of the output of the layer that is worked on next."""
        self.crew.each(self._backward_member, self.alone, sum(self.sizes) * self.n)
        for e in self.shared:
            self._backward_shared(e)
        of_parameters = [grad for w, vectors in zip(grad_ws, grads, strict=True) for grad in (w, *vectors)]
        return of_parameters, self._sums_of_inputs() if to_inputs else None

    def _backward_member(self, e: int) -> None:
        self.below[e] = self._of_output(e)
        for i in range(self.last, -1, -1):
            d = self._room(self.layers[i].width)
            self._backward_columns(i, e, d, self.whole(i))
            if i or self.to_inputs:
                self.below[e] = product(d, self.ws[i][e])

    def _backward_shared(self, e: int) -> None:
        self.below[e] = self._of_output(e)
        for i in range(self.last, -1, -1):
            d = self._room(self.layers[i].width)
            self.crew.each(partial(self._backward_columns, i, e, d), parts_of(self.layers[i].width), self.sizes[i])
            if i or self.to_inputs:
                w = self.ws[i][e]
                self.below[e] = self._room(len(w))
                self.crew.each(partial(self._through, d, w, self.below[e]), parts_of(self.rows), d.numel())

    def _through(self, d: Tensor, w: Tensor, into: Tensor, rows: slice) -> None:
        into[rows] = product(d[rows], w)

    def _backward_columns(self, i: int, e: int, d: Tensor, c: slice) -> None:
        """The gradient `d` of the linear map, and from it those of the parameters."""
        g, into = self.below[e], self.grad_ws[i][e]
        if c != self.whole(i):
            g, d, into = g[:, c], d[:, c], into[:, c]
        z = self.z[i, e, c.start] if self.layers[i].normed else g  # without batch norm nobody looks at it
        self.layers[i].backward(e, c, z, g, d)
        xt = self.outs[i - 1][e].t() if i else self.inputs_t[self.reads[e]]
        into.copy_(product(xt, d.t()))

    def _of_output(self, e: int) -> Tensor:
        if self.mixed_by is None:
            return self.grad[e].to(self.dtype)
        return core.mix_to_outputs(self.mixed_by, self.grad, e, self.dtype)

    def _sums_of_inputs(self) -> Tensor:
        """The gradient of each input: the sum over the members that read it."""
        made = core.room(*self.shape).zero_()
        inputs = made.unbind(0) if made.dim() == 3 else (made,)
        for e, read in enumerate(self.reads):
            inputs[read].add_(self.below[e])
        return made


def evaluate(stack: StackSpec, x: Tensor, weights: Tensor | None) -> Tensor:
    """The same in prediction, for many rows: batch norm goes into the weights."""
    reads = stack.reads if x.dim() == 3 else (0,) * len(stack.reads)
    inputs = x.unbind(0) if x.dim() == 3 else (x,)
    affine = [layer.slope_and_shift() for layer in stack.layers]
    out = core.room(len(reads), x.shape[-2], stack.layers[-1].weight.shape[2])
    for e, read in enumerate(reads):  # one after the other: what is between the layers stays in the cache
        h = inputs[read]
        for layer, (slope, shift) in zip(stack.layers, affine, strict=True):
            w = layer.weight[e] if slope is None else layer.weight[e] * slope[e]
            h = product(h, w.t(), shift[e]).relu_()  # not by oneDNN, which makes 0 of what is not a number
        out[e] = h
    if weights is None:
        return out
    mixed = core.room(*weights.shape[:2], out.shape[2])
    core.mix(weights.contiguous(), out, mixed, slice(0, len(mixed)))
    return mixed
