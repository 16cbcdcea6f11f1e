"""The hidden layers of a stack of MLPs in prediction, by compiled loops, for many rows at once on a CPU."""

from __future__ import annotations

from typing import cast

import numpy as np
from torch import Tensor

from sklearn_fsmd.execution.fast_gates import with_dense_rows
from sklearn_fsmd.execution.fast_hidden import places_of
from sklearn_fsmd.execution.loops import gates, layers
from sklearn_fsmd.network.stacked_mlp import HiddenLayer, StackedMLP


def evaluate(mlp: StackedMLP, x: Tensor, weights: Tensor | None) -> Tensor:
    """What :class:`~sklearn_fsmd.network.stacked_mlp.StackedMLP` says of `x` and `weights`."""
    x = with_dense_rows(x)
    inputs, row = places_of(x, np.array(mlp.reads if x.dim() == 3 else [0] * mlp.n)), x.stride(-2)
    hidden = cast("list[HiddenLayer]", list(mlp.layers))
    tensors = [(layer.weight, *layer.affine()) for layer in hidden]
    arrays = [tuple(t.detach().numpy() for t in group) for group in tensors]
    *between, last = (np.empty((x.shape[-2], weight.shape[2]), np.float32) for weight, *_ in arrays)
    out = x.new_empty(mlp.n, *last.shape)
    for e in range(mlp.n):  # one member after the other, so that what is between the layers stays in the cache
        at, step = inputs[e], row
        for group, h in zip(arrays, [*between, out[e].numpy()], strict=True):
            layers.evaluate(at, step, *group, e, h)
            at, step = h.ctypes.data, h.shape[1]
    if weights is None:
        return out
    mixed = out.new_empty(out.shape[1], weights.shape[1], out.shape[2])
    gates.mix(weights.contiguous().numpy(), out.numpy(), mixed.numpy(), 0, len(mixed))
    return mixed
