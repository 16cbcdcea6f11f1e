"""Gates, and the mixtures that they make of experts; for ranges of rows, `start` to `stop`."""

from __future__ import annotations

import numpy as np

from sklearn_fsmd.execution.loops.blas import compile_, compile_sums
from sklearn_fsmd.execution.loops.products import multiply

F = np.float32


@compile_
def gate(x, group_stride, row_stride, ws, bias, excluded, out, start, stop):
    """Eq. (4), softmax(x·W + b), of inputs that are at the address `x`; strides are in bytes.

    `ws` is ``(1, I, G·E)`` where all gates read the same, and else ``(G, I, E)``.
    """
    _, n_gates, n_experts = out.shape
    n, n_in, width = ws.shape
    row, out_row = row_stride // 4, n_gates * n_experts
    for g in range(n):
        at, w = x + g * group_stride + start * row_stride, ws.ctypes.data + g * n_in * width * 4
        into = out.ctypes.data + (start * out_row + g * n_experts) * 4
        multiply(False, at, row, False, w, width, False, into, out_row, stop - start, width, n_in)
    for b in range(start, stop):
        for g in range(n_gates):
            o, top, total = out[b, g], F(-np.inf), F(0)
            for e in range(n_experts):
                o[e] += bias[g, e] + excluded[g, e]
                top = max(top, o[e])
            for e in range(n_experts):
                o[e] = np.exp(o[e] - top)
                total += o[e]
            for e in range(n_experts):
                o[e] /= total


@compile_
def gate_to_logits(weights, grads, grad_logits, start, stop):
    """The gradient of the softmax."""
    for b in range(start, stop):
        for g in range(weights.shape[1]):
            w, x, d, inner = weights[b, g], grads[b, g], grad_logits[b, g], F(0)
            for e in range(len(w)):
                inner += w[e] * x[e]
            for e in range(len(w)):
                d[e] = w[e] * (x[e] - inner)


@compile_
def gate_to_weights(x, group_stride, row_stride, grad_logits, grad_ws, g):
    """The gradient of the weights of gate `g`, or of all if they read the same; of all rows."""
    rows, n_gates, n_experts = grad_logits.shape
    _, n_in, width = grad_ws.shape
    d, into = grad_logits.ctypes.data + g * n_experts * 4, grad_ws.ctypes.data + g * n_in * width * 4
    at, row = x + g * group_stride, row_stride // 4
    multiply(False, at, row, True, d, n_gates * n_experts, False, into, width, n_in, width, rows)


@compile_
def gate_to_inputs(grad_logits, ws, out, group_stride, row_stride, start, stop):
    """The gradient of the inputs, at the address `out`."""
    _, n_gates, n_experts = grad_logits.shape
    n, n_in, width = ws.shape
    row, logits_row = row_stride // 4, n_gates * n_experts
    for g in range(n):
        d = grad_logits.ctypes.data + (start * logits_row + g * n_experts) * 4
        w, into = ws.ctypes.data + g * n_in * width * 4, out + g * group_stride + start * row_stride
        multiply(False, d, logits_row, False, w, width, True, into, row, stop - start, n_in, width)


@compile_
def mix(weights, outs, mixed, start, stop):
    """Eq. (5): ``mixed[b, g] = Σ_e weights[b, g, e] · outs[e, b]`` for a range of rows."""
    for b in range(start, stop):
        for g in range(weights.shape[1]):
            m = mixed[b, g]
            m[:] = F(0)
            for e in range(len(outs)):
                w, o = weights[b, g, e], outs[e, b]
                if w != F(0):
                    for j in range(len(m)):
                        m[j] += w * o[j]


@compile_
def mix_to_outputs(weights, grads, gs, e0, e1, c0, c1):
    """The gradient of the outputs: ``gs[e − e0, b] = Σ_g weights[b, g, e] · grads[b, g]``."""
    for e in range(e0, e1):
        for b in range(gs.shape[1]):
            o = gs[e - e0, b, c0:c1]
            o[:] = F(0)
            for g in range(grads.shape[1]):
                w, x = weights[b, g, e], grads[b, g, c0:c1]
                if w != F(0):
                    for j in range(len(o)):
                        o[j] += w * x[j]


@compile_sums
def mix_to_weights(grads, outs, gweights, start, stop):
    """The gradient of the weights, ``grads[b, g] · outs[e, b]``, for a range of rows."""
    for b in range(start, stop):
        for g in range(grads.shape[1]):
            for e in range(len(outs)):
                x, o, total = grads[b, g], outs[e, b], F(0)
                for j in range(len(x)):
                    total += x[j] * o[j]
                gweights[b, g, e] = total
