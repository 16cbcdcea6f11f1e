"""The gradient of a table, and Adam's step."""

from __future__ import annotations

import numpy as np

from sklearn_fsmd.execution.loops.blas import compile_

F = np.float32


@compile_
def scatter_add(codes, grads, out):
    """Add each vector of `grads` (B, F, D) to the row of `out` that its code says."""
    for b in range(codes.shape[0]):
        for f in range(codes.shape[1]):
            o, g = out[codes[b, f]], grads[b, f]
            for j in range(len(g)):
                o[j] += g[j]


@compile_
def adam(
    w, g, m, v, average, start, stop, lr, beta1, beta2, eps, decay, is_decoupled, correction1, correction2, newest
):
    """A step of Adam for some of a parameter's numbers, and of the average of the weights, which may be empty.

    Loop by loop: with more than two arrays that are written, the compiler does not see that they are apart.
    """
    beta1, beta2, eps = F(beta1), F(beta2), F(eps)
    size, root, shrink = F(lr / correction1), F(np.sqrt(correction2)), F(1 - lr * decay if is_decoupled else 1.0)
    pull, newest = F(0 if is_decoupled else decay), F(newest)
    keep1, keep2 = F(1) - beta1, F(1) - beta2
    w, g, m, v = w[start:stop], g[start:stop], m[start:stop], v[start:stop]
    for i in range(len(w)):
        m[i] += (g[i] + pull * w[i] - m[i]) * keep1
    for i in range(len(w)):
        x = g[i] + pull * w[i]
        v[i] += (x * x - v[i]) * keep2
    for i in range(len(w)):
        w[i] = shrink * w[i] - size * m[i] / (np.sqrt(v[i]) / root + eps)
    if len(average) > 0:
        average = average[start:stop]
        for i in range(len(w)):
            average[i] += (w[i] - average[i]) * newest
