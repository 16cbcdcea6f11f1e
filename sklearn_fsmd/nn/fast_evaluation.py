"""The hidden layers of a stack of MLPs in prediction, by compiled loops, for many rows at once on a CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
from torch import Tensor

from sklearn_fsmd.nn.fast_gates import with_dense_rows
from sklearn_fsmd.nn.fast_hidden import places_of
from sklearn_fsmd.nn.loops import gates, layers

if TYPE_CHECKING:
    from sklearn_fsmd.nn.mlp import HiddenLayer, StackedMLP


def evaluate(mlp: StackedMLP, x: Tensor, weights: Tensor | None) -> Tensor:
    """What :class:`~sklearn_fsmd.nn.mlp.StackedMLP` says of `x` and `weights`."""
    h = with_dense_rows(x)
    at = places_of(h, np.array(mlp.reads if x.dim() == 3 else [0] * mlp.n))
    for layer in cast("list[HiddenLayer]", mlp.layers):
        weight = layer.weight.detach()
        out = h.new_empty(mlp.n, h.shape[-2], weight.shape[2])
        arrays = (t.detach().numpy() for t in (weight, *layer.affine(), out))
        layers.evaluate(at, h.stride(-2), *arrays)
        h, at = out, places_of(out, np.arange(mlp.n))
    if weights is None:
        return h
    mixed = h.new_empty(h.shape[1], weights.shape[1], h.shape[2])
    gates.mix(weights.contiguous().numpy(), h.numpy(), mixed.numpy(), 0, len(mixed))
    return mixed
