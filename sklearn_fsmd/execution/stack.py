"""Fast hidden layers of a stack of MLPs: products by torch, all else by the compiled core."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from sklearn_fsmd.execution import core
from sklearn_fsmd.execution.crew import Crew
from sklearn_fsmd.execution.first_layer import FewValues, few_values_of
from sklearn_fsmd.execution.products import product
from sklearn_fsmd.execution.step import Step
from sklearn_fsmd.network import StackSpec


class TrainStack(torch.autograd.Function):
    """All layers in training, and, with `weights`, the mixtures of their outputs.

    If there are `values`, the first layer computes some columns of `x` by values; their gradient is that of `vectors`.
    The parameters are, layer by layer: weight, bias and, with batch norm, scale.

    **Shape**: ``(B, I)`` or ``(G, B, I)`` → ``(n, B, H)``, or with weights ``(B, M, n)`` → ``(B, M, H)``.
    """

    @staticmethod
    def forward(
        ctx: Any,
        crew: Crew,
        precision: torch.dtype | None,
        stack: StackSpec,
        values: FewValues | None,
        x: Tensor,
        weights: Tensor | None,
        vectors: Tensor | None,
        *parameters: Tensor,
    ) -> Tensor:
        step = ctx.step = Step(crew, precision, stack, x, values)
        step.forward()
        weights = None if weights is None else weights.contiguous()
        out = step.mix(weights) if weights is not None else step.out.to(x.dtype).detach()
        ctx.save_for_backward(x, weights, None if weights is not None else out, vectors, *parameters)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        _, weights, _, *_ = ctx.saved_tensors  # raises an error if they were changed in place
        step, grad = ctx.step, grad.contiguous()
        grad_weights = None if weights is None else step.mix_to_weights(grad, weights)
        with step.lock:
            grads, grad_x, grad_vectors = step.backward(grad, weights, to_inputs=ctx.needs_input_grad[4])
        return None, None, None, None, grad_x, grad_weights, grad_vectors, *grads


def evaluate(stack: StackSpec, x: Tensor, weights: Tensor | None) -> Tensor:
    """The output of the stack for many rows in prediction."""
    reads = stack.reads if x.dim() == 3 else (0,) * len(stack.reads)
    values = few_values_of(x)
    others = None if values is None else values.others
    inputs = x.unbind(0) if x.dim() == 3 else (x if others is None else x.index_select(1, others),)
    out = core.room(len(reads), x.shape[-2], stack.layers[-1].weight.shape[2])
    for e, read in enumerate(reads):  # one by one, so that the activations stay in the cache
        h = inputs[read]
        for layer in stack.layers:
            w, bias = layer.weight[e], layer.bias[e]
            into = out[e] if layer is stack.layers[-1] else None
            if values is not None and layer is stack.layers[0]:
                h = product(h, w[values.others], bias, into=into)
                values.add(values.products(w), slice(0, w.shape[1]), h)
            else:
                h = product(h, w, bias, into=into)
            h.relu_()  # not by oneDNN, which turns NaN into 0
    if weights is None:
        return out
    mixed = core.room(*weights.shape[:2], out.shape[2])
    core.mix(weights.contiguous(), out, mixed, slice(0, len(mixed)))
    return mixed
