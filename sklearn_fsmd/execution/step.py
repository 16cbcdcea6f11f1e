"""One step of training of a stack of MLPs: how its work is divided, and in which order it is done.

A thread computes all layers of one MLP, a member of the stack, so that each pass finds its input in the cache. If the
number of members is odd, all threads share the last one, and divide the columns of its layers. In small batches a
thread computes several members at once. Each operation releases the interpreter lock, and with short operations the
threads would mostly wait for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from threading import Lock

import torch
from torch import Tensor

from sklearn_fsmd.execution import core, products
from sklearn_fsmd.execution.crew import FEW, Crew, parts_of, ranges_of
from sklearn_fsmd.execution.first_layer import FewValues, FirstLayers
from sklearn_fsmd.execution.products import first_transposed, product
from sklearn_fsmd.network import StackSpec

TOGETHER = 4
"""Approximate number of members that a thread computes at once in small batches."""


class Step:
    """The forward pass, and the backward pass, which uses its intermediate results.

    `i` is the index of a layer, `u` the index of a unit of one or several members, and `c` a slice of the columns of
    their outputs.
    """

    def __init__(
        self, crew: Crew, precision: torch.dtype | None, stack: StackSpec, x: Tensor, values: FewValues | None
    ) -> None:
        self.crew, self.shape, self.rows, self.n = crew, x.shape, x.shape[-2], len(stack.reads)
        self.reads = stack.reads if x.dim() == 3 else (0,) * self.n
        self.dtype = precision or torch.float32
        self.layers = [core.Layer(layer, self.rows, self.dtype) for layer in stack.layers]
        self.last = len(self.layers) - 1
        self.sizes = [self.rows * layer.width for layer in self.layers]
        few = self.n * max(self.sizes) < FEW
        n_alone = self.n if few else self.n - self.n % 2
        self.units = units_of(n_alone, at_once=max(self.sizes) <= FEW and products.onednn() is None, by_one_thread=few)
        self.alone, self.shared = range(len(self.units)), range(len(self.units), len(self.units) + self.n - n_alone)
        self.units += [slice(e, e + 1) for e in range(n_alone, self.n)]
        # Views are created here and not by the threads, since each view releases the interpreter lock.
        self.reads_of = [self.reads[unit] for unit in self.units]
        self.weights = [layer.weight.detach() for layer in stack.layers]
        self.first = None if values is None else FirstLayers(values, self.weights[0])
        x = x.detach()
        if values is not None:
            x, self.weights[0] = x[:, values.others], self.weights[0][:, values.others]
        self.n_in = x.shape[-1]
        self.inputs = self._inputs_of_units(x.to(self.dtype))
        self.weights = [weight.to(self.dtype) for weight in self.weights]
        self.outs = [self._by_unit(layer.out) for layer in self.layers]
        self.ws = [self._by_unit(weight) for weight in self.weights]
        self.wts = [self._by_unit(weight.mT) for weight in self.weights]
        self.lock = Lock()  # for backward, which two threads may call on one graph
        self.z: dict[tuple[int, int, int], Tensor] = {}
        """Outputs of the linear maps, by layer, unit and first column."""

    @property
    def out(self) -> Tensor:
        return self.layers[-1].out

    def whole(self, i: int) -> slice:
        return slice(0, self.layers[i].width)

    def _by_unit(self, x: Tensor) -> Sequence[Tensor]:
        """Split a tensor with one entry per member by units; the entry of a single member is a matrix."""
        if len(self.units) == self.n:
            return x.unbind(0)
        return [x[unit.start] if unit.stop - unit.start == 1 else x[unit] for unit in self.units]

    def _inputs_of_units(self, x: Tensor) -> list[Tensor]:
        """The inputs of the members of each unit."""
        inputs = x.unbind(0) if x.dim() == 3 else (x,)
        unit_inputs = []
        for reads in self.reads_of:
            if len(reads) == 1:
                unit_inputs.append(inputs[reads[0]])
            else:
                unit_inputs.append(x[list(reads)] if x.dim() == 3 else x.expand(len(reads), *x.shape))
        return unit_inputs

    def _room(self, u: int, width: int) -> Tensor:
        return core.room_of(len(self.reads_of[u]), self.rows, width, self.dtype)

    # --------------------------------------------------------------------------------------------------------- forward

    def forward(self) -> None:
        """Compute the outputs of all layers."""
        self.crew.each(self._forward_unit, self.alone, sum(self.sizes) * self.n)
        for u in self.shared:
            self._begin(u)
            for i, layer in enumerate(self.layers):
                self.crew.each(partial(self._forward_columns, i, u), parts_of(layer.width), self.sizes[i])

    def _begin(self, u: int) -> None:
        if self.first is not None:
            self.first.begin(self.units[u])

    def _forward_unit(self, u: int) -> None:
        self._begin(u)
        for i in range(len(self.layers)):
            self._forward_columns(i, u, self.whole(i))

    def _forward_columns(self, i: int, u: int, c: slice) -> None:
        x, w, wt = self.outs[i - 1][u] if i else self.inputs[u], self.ws[i][u], self.wts[i][u]
        z = product(x, w, transposed=wt) if c == self.whole(i) else product(x, w[:, c], transposed=wt[c])
        if self.first is not None and not i:
            self.first.forward(self.units[u], c, z)
        self.layers[i].forward(self.units[u], c, z)
        if self.layers[i].normed:
            self.z[i, u, c.start] = z

    def mix(self, weights: Tensor) -> Tensor:
        """Eq. (5): the outputs mixed by `weights` ``(B, M, n)``."""
        mixed = core.room(*weights.shape[:2], self.out.shape[2])
        self._by_rows(partial(core.mix, weights.detach(), self.out, mixed))
        return mixed

    # -------------------------------------------------------------------------------------------------------- backward

    def mix_to_weights(self, grad: Tensor, weights: Tensor) -> Tensor:
        """The gradient of the weights of the mixtures from the gradient of the mixtures."""
        grad_weights = core.room(*weights.shape)
        self._by_rows(partial(core.mix_to_weights, grad, self.out, grad_weights))
        return grad_weights

    def _by_rows(self, work: Callable[[slice], object]) -> None:
        self.crew.each(work, ranges_of(*self.out.shape[1:]), self.out.numel())

    def backward(
        self, grad: Tensor, weights: Tensor | None, *, to_inputs: bool
    ) -> tuple[list[Tensor], Tensor | None, Tensor | None]:
        """The gradients of parameters, inputs and vectors of values, from that of the outputs or mixtures."""
        self.grad, self.mixed_by, self.to_inputs = grad, weights, to_inputs
        self.grads = self._by_unit(grad) if weights is None else ()
        grads = [layer.new_gradients() for layer in self.layers]  # new ones: backward may be called more than once
        grad_ws = [core.room(*weight.shape) for weight in self.weights]
        self.grad_ws = [self._by_unit(grad_w) for grad_w in grad_ws]
        distinct = dict(zip(self.reads_of, self.inputs, strict=True))  # each input is transposed once
        transposed = {reads: first_transposed(x) for reads, x in distinct.items()}
        self.inputs_t = [transposed[reads] for reads in self.reads_of]
        self.outs_t = [self._by_unit(layer.out.mT) for layer in self.layers[:-1]]
        self.output_grads: dict[int, Tensor] = {}
        """For each unit the gradient of the output of the next layer to compute."""
        if self.first is not None:
            self.first.begin_backward()
        self.crew.each(self._backward_unit, self.alone, sum(self.sizes) * self.n)
        for u in self.shared:
            self._backward_shared(u)
        grad_vectors = None
        if self.first is not None:
            grad_ws[0], grad_vectors = self.first.gradients(self.crew, grad_ws[0])
        parameter_grads = [grad for w, vectors in zip(grad_ws, grads, strict=True) for grad in (w, *vectors)]
        return parameter_grads, self._input_gradient() if to_inputs else None, grad_vectors

    def _backward_unit(self, u: int) -> None:
        self.output_grads[u] = self._grad_of_output(u)
        for i in range(self.last, -1, -1):
            d = self._room(u, self.layers[i].width)
            self._backward_columns(i, u, d, self.whole(i))
            if i or self.to_inputs:
                self.output_grads[u] = product(d, self.wts[i][u], transposed=self.ws[i][u])

    def _backward_shared(self, u: int) -> None:
        self.output_grads[u] = self._grad_of_output(u)
        for i in range(self.last, -1, -1):
            d = self._room(u, self.layers[i].width)
            self.crew.each(partial(self._backward_columns, i, u, d), parts_of(self.layers[i].width), self.sizes[i])
            if i or self.to_inputs:
                self.output_grads[u] = self._room(u, len(self.ws[i][u]))
                self.crew.each(partial(self._grad_of_input_rows, i, u, d), parts_of(self.rows), d.numel())

    def _grad_of_input_rows(self, i: int, u: int, d: Tensor, rows: slice) -> None:
        product(d[rows], self.wts[i][u], transposed=self.ws[i][u], into=self.output_grads[u][rows])

    def _backward_columns(self, i: int, u: int, d: Tensor, c: slice) -> None:
        """Compute the gradient `d` of the linear map, and from it those of the parameters."""
        g, into = self.output_grads[u], self.grad_ws[i][u]
        if c != self.whole(i):
            g, d, into = g[:, c], d[:, c], into[:, c]
        z = self.z[i, u, c.start] if self.layers[i].normed else g  # it is not used without batch norm
        self.layers[i].backward(self.units[u], c, z, g, d)
        product(self.outs_t[i - 1][u] if i else self.inputs_t[u], d, into=into)
        if self.first is not None and not i:
            self.first.backward(self.units[u], c, d)

    def _grad_of_output(self, u: int) -> Tensor:
        if self.mixed_by is None:
            return self.grads[u].to(self.dtype)
        return core.mix_to_outputs(self.mixed_by, self.grad, self.units[u], self.dtype)

    def _input_gradient(self) -> Tensor:
        """The gradient of each input: the sum over the members that use it."""
        total = core.room(*self.shape[:-1], self.n_in).zero_()
        inputs = total.unbind(0) if total.dim() == 3 else (total,)
        for u, reads in enumerate(self.reads_of):
            unit_grad = self.output_grads[u]
            for read, grad in zip(reads, unit_grad.unbind(0) if len(reads) > 1 else (unit_grad,), strict=True):
                inputs[read].add_(grad)
        if self.first is None:
            return total
        return core.room(*self.shape).zero_().index_copy_(1, self.first.values.others, total)


def units_of(n: int, *, at_once: bool, by_one_thread: bool) -> list[slice]:
    """Divide `n` members into units: each alone, in an even number of groups, or all in one group."""
    if not at_once or not n:
        return [slice(e, e + 1) for e in range(n)]
    groups = 1 if by_one_thread else 2 * -(-n // (2 * TOGETHER))
    size = -(-n // groups)
    return [slice(e, min(e + size, n)) for e in range(0, n, size)]
