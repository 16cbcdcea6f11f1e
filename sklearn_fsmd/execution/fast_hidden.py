"""The hidden layers of a stack of MLPs in training, by compiled loops.

The same function as :class:`~sklearn_fsmd.execution.torch_hidden.TrainHidden`, for float32 on a CPU. A thread takes a
member through all its layers. Where the number of members is odd, all threads share the last one: they cut the columns
of its layers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from sklearn_fsmd.execution.crew import FEW, Crew, ranges_of
from sklearn_fsmd.execution.fast_gates import with_dense_rows
from sklearn_fsmd.execution.loops import gates, layers, random
from sklearn_fsmd.execution.torch_hidden import How
from sklearn_fsmd.network.dropout import parts_of
from sklearn_fsmd.network.stacked_mlp import StackedMLP
from sklearn_fsmd.network.workspace import Loan

NONE = np.empty((0, 0), np.float32)
NO_STACK, NO_LOW_STACK = np.empty((0, 0, 0), np.float32), np.empty((0, 0, 0), np.int16)


class Group(NamedTuple):
    """Members that go through the layers together."""

    start: int
    stop: int


def groups_of(n: int, numbers: int) -> tuple[list[Group], list[Group]]:
    """Cut `n` members, whose widest outputs have so many numbers each: groups for one thread, and those for all."""
    if n * numbers < FEW:
        return [Group(0, n)], []
    single = [Group(e, e + 1) for e in range(n)]
    return single[: n - n % 2], single[n - n % 2 :]


class FastHidden(torch.autograd.Function):
    """All layers of a :class:`StackedMLP`, and the mixtures of its outputs if weights are given.

    **Shape**: ``(B, I)`` or ``(G, B, I)`` → ``(n, B, H)``, or with weights ``(B, M, n)`` → ``(B, M, H)``.
    """

    @staticmethod
    def forward(
        ctx: Any, crew: Crew, how: How, mlp: StackedMLP, x: Tensor, weights: Tensor | None, *parameters: Tensor
    ) -> Tensor:
        x = with_dense_rows(x)
        step = ctx.step = Step(crew, how, mlp, x, parameters, is_returned=weights is None)
        step.forward()
        out = step.layers[-1].take_out()
        if weights is None:
            ctx.save_for_backward(x, None, out, *parameters)
            return out
        ctx.save_for_backward(x, weights, None, *parameters)
        ctx.out = out
        mixed = x.new_empty(x.shape[-2], weights.shape[1], out.shape[2])
        arrays = weights.detach().contiguous().numpy(), out.numpy(), mixed.numpy()
        step.crew.each(lambda r, _: gates.mix(*arrays, *r), ranges_of(len(mixed), out.shape[2]), out.numel())
        return mixed

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weights, out, *parameters = ctx.saved_tensors
        step, crew = ctx.step, ctx.step.crew
        out = (ctx.out if out is None else out.detach()).numpy()
        grads = step.by_layer([torch.empty_like(p, memory_format=torch.contiguous_format) for p in parameters])
        grad_weights, mixed_by = None, None
        given = grad.contiguous().numpy()
        if weights is not None:
            mixed_by = weights.detach().contiguous().numpy()
            grad_weights = torch.empty_like(weights, memory_format=torch.contiguous_format)
            arrays = given, out, grad_weights.numpy()
            crew.each(lambda r, _: gates.mix_to_weights(*arrays, *r), ranges_of(len(given), out.shape[2]), out.size)
        grad_x = step.backward(x, out, given, mixed_by, [[t.numpy() for t in group] for group in grads])
        return None, None, None, grad_x, grad_weights, *(t for group in grads for t in group)


class Step:
    """One step of training of a stack: forward, and what that leaves for backward."""

    def __init__(
        self,
        crew: Crew,
        how: How,
        mlp: StackedMLP,
        x: Tensor,
        parameters: Sequence[Tensor],
        *,
        is_returned: bool,
    ) -> None:
        self.n, self.crew, self.workspace, self.low = mlp.n, crew, how.workspace, how.precision is not None
        self.loan = Loan(how.workspace, x.device)  # it lives as long as the graph that needs its tensors
        self.n_layers = len(mlp.layers)
        self.reads = np.array(mlp.reads if x.dim() == 3 else [0] * mlp.n)
        self.inputs = self.loan.empty(x.shape, torch.bfloat16).copy_(x) if self.low else x
        at, row = places_of(self.inputs, self.reads), self.inputs.stride(-2)
        self.layers: list[Layer] = []
        for module, tensors in zip(mlp.layers, self.by_layer(parameters), strict=True):
            is_last = len(self.layers) == self.n_layers - 1
            shape = (self.n, x.shape[-2], tensors[0].shape[2])
            dtype = torch.bfloat16 if self.low and not is_last else torch.float32
            # What is returned may outlive the step: no part of the loan.
            out = x.new_empty(shape) if is_last and is_returned else self.loan.empty(shape, dtype)
            self.layers.append(Layer(module, tensors, at, row, out, self.loan, is_low=self.low))
            at, row = places_of(out, np.arange(self.n)), shape[2]
        self.groups, self.shared = groups_of(self.n, max(layer.rows * layer.width for layer in self.layers))
        self.numbers = sum(layer.rows * layer.width for layer in self.layers) * self.n

    def by_layer(self, tensors: Sequence[Tensor]) -> list[Sequence[Tensor]]:
        n_each = len(tensors) // self.n_layers
        return [tensors[i : i + n_each] for i in range(0, len(tensors), n_each)]

    def forward(self) -> None:
        def chain(group: Group, _: int) -> None:
            for layer in self.layers:
                layer.forward(group, 0, layer.n_parts)

        self.crew.each(chain, self.groups, self.numbers)
        for group in self.shared:
            for layer in self.layers:

                def part(i: int, _: int, layer: Layer = layer, group: Group = group) -> None:
                    layer.forward(group, i, i + 1)

                self.crew.each(part, range(layer.n_parts), layer.rows * layer.width)

    def backward(
        self, x: Tensor, out: np.ndarray, given: np.ndarray, mixed_by: np.ndarray | None, into: list[list[np.ndarray]]
    ) -> Tensor:
        """The gradient of the inputs; those of the parameters are written `into` arrays."""
        loan = Loan(self.workspace, x.device)
        own, last = self.layers, self.n_layers - 1
        own[last].out = torch.from_numpy(out)
        together = max(group.stop - group.start for group in (*self.groups, *self.shared))
        n_slots = max(min(self.crew.n, len(self.groups)), 1)
        slots = [Slot(own, together, loan, low=self.low) for _ in range(n_slots)]
        grad_x = torch.empty_like(x)
        is_shared = len(set(self.reads.tolist())) < self.n  # several members' gradients are one input's
        terms = loan.empty((self.n, *x.shape[-2:]), torch.float32) if is_shared else grad_x
        at = places_of(terms, np.arange(self.n) if is_shared else self.reads)

        def columns(group: Group, i: int, slot: Slot, c0: int, c1: int) -> None:
            """Of the gradients of layer i, or with i = −1 of the inputs."""
            e0, e1 = group
            if i == last and mixed_by is None:
                slot.g[i][: e1 - e0, :, c0:c1] = given[e0:e1, :, c0:c1]
            elif i == last:
                gates.mix_to_outputs(mixed_by, given, slot.g[i], e0, e1, c0, c1)
            else:
                places, row = (slot.at[i], own[i].width) if i >= 0 else (at[e0:e1], terms.stride(-2))
                layers.through(self.low, slot.d[i + 1], own[i + 1].weight, places, row, e0, e1, c0, c1)
            if i >= 0:
                own[i].backward(slot.g[i], slot.d[i], into[i], group, c0, c1)

        widths = [layer.width for layer in own] + [x.shape[-1]]
        downwards = [*reversed(range(self.n_layers)), -1]

        def chain(group: Group, worker: int) -> None:
            for i in downwards:
                columns(group, i, slots[worker], 0, widths[i])

        self.crew.each(chain, self.groups, self.numbers)
        for group in self.shared:
            for i in downwards:

                def part(c: slice, _: int, i: int = i, group: Group = group) -> None:
                    columns(group, i, slots[0], c.start, c.stop)

                self.crew.each(part, parts_of(widths[i]), own[i].rows * widths[i])
        if is_shared:
            flat = grad_x.as_strided((grad_x.numel(),), (1,)).numpy()
            strides = (grad_x.stride(0) if x.dim() == 3 else 0), grad_x.stride(-2)
            arrays = terms.numpy(), self.reads, flat, *strides
            self.crew.each(lambda r, _: layers.add_up(*arrays, *r), ranges_of(*x.shape[-2:]), terms.numel())
        return grad_x


class Layer:
    """One layer in one step, as arrays."""

    def __init__(
        self,
        module: Any,
        tensors: Sequence[Tensor],
        inputs: np.ndarray,
        row: int,
        out: Tensor,
        loan: Loan,
        *,
        is_low: bool,
    ) -> None:
        n, self.rows, self.width = out.shape
        weight, bias, *scale = (t.detach() for t in tensors)
        self.weight, self.bias = _array(weight.to(torch.bfloat16) if is_low else weight), bias.numpy()
        self.is_low, self.inputs, self.row = is_low, inputs, row
        self.out: Tensor | None = out
        self.scale, self.statistics, self.running = NONE, [NONE] * 3, [NONE] * 2
        keeps = module.batch_norm or out.dtype != torch.float32  # else the outputs take the place of the linear map's
        self.z = loan.empty(out.shape, torch.float32).numpy() if keeps else NO_STACK
        if module.batch_norm:
            self.scale = scale[0].numpy()
            self.statistics = [np.empty((n, self.width), np.float32) for _ in range(3)]
            self.running = [module.running_mean.numpy(), module.running_var.numpy()]
        self.eps, self.momentum = module.EPS, module.MOMENTUM
        self.threshold, self.stretch = module.dropout.threshold, module.dropout.scale
        self.bounds = np.array([0, *(c.stop for c in parts_of(self.width))])
        self.n_parts = len(self.bounds) - 1
        self.keys = module.dropout.keys(n, self.n_parts, random.LANES)

    def forward(self, group: Group, first: int, last: int) -> None:
        """Of some members, the parts of the columns from `first` to before `last`."""
        assert self.out is not None
        out = _array(self.out)
        outs = (out, NO_LOW_STACK) if out.dtype == np.float32 else (NO_STACK, out)
        layers.forward(
            *(self.is_low, self.inputs, self.row, self.weight, self.bias, self.scale, self._z(), *outs),
            *(group.start, group.stop, self.bounds, first, last),
            *(self.keys, self.threshold, self.stretch, *self.statistics, self.eps, *self.running, self.momentum),
        )

    def backward(self, g: np.ndarray, d: np.ndarray, into: list[np.ndarray], group: Group, c0: int, c1: int) -> None:
        assert self.out is not None
        scale = into[2] if len(into) > 2 else NONE
        layers.backward(
            *(self.is_low, self.inputs, self.row, _array(self.out), self._z(), g, d, into[0], into[1], scale),
            *(group.start, group.stop, c0, c1, *self.statistics, self.stretch, self.eps),
        )

    def _z(self) -> np.ndarray:
        assert self.out is not None
        return self.z if len(self.z) else self.out.numpy()

    def take_out(self) -> Tensor:
        """The output; a step that kept the tensor that it returns would keep itself alive."""
        out, self.out = self.out, None
        assert out is not None
        return out


class Slot:
    """Where a worker has the gradients of some members: of the layers' outputs, then of their linear maps.

    The latter are also in the precision of the products. Two layers that follow each other have different places.
    """

    def __init__(self, layers: Sequence[Layer], n: int, loan: Loan, *, low: bool) -> None:
        shapes = [(n, layer.rows, layer.width) for layer in layers]

        def places(dtype: torch.dtype) -> list[np.ndarray]:
            flat = [_array(loan.empty((max(map(math.prod, shapes)),), dtype)) for _ in range(2)]
            return [flat[i % 2][: math.prod(shape)].reshape(shape) for i, shape in enumerate(shapes)]

        self.g = places(torch.float32)
        self.d = places(torch.bfloat16) if low else self.g
        self.at = [g.ctypes.data + np.arange(n) * g[0].nbytes for g in self.g]


def _array(x: Tensor) -> np.ndarray:
    return x.view(torch.int16).numpy() if x.dtype == torch.bfloat16 else x.numpy()


def places_of(x: Tensor, which: np.ndarray) -> np.ndarray:
    """The addresses of matrices of ``(G, B, I)``, or of the only one of ``(B, I)``."""
    return x.data_ptr() + which * (x.stride(0) * x.element_size() if x.dim() == 3 else 0)
