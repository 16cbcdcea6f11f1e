"""The low-order part inside the graph: first-order terms and factorization machines."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from torch import nn

from sklearn_fsmd.export.onnx import lists
from sklearn_fsmd.export.onnx.names import Value
from sklearn_fsmd.export.onnx.rows import Rows
from sklearn_fsmd.export.onnx.weights import Weights
from sklearn_fsmd.network import FM, FieldWeightedFM, Linear

if TYPE_CHECKING:
    from sklearn_fsmd.export.onnx.graph import Graph


def logits(g: Graph, w: Weights, part: nn.Module, rows: Rows, fields: list[Value | None]) -> Value:
    """The logits of the low-order part, ``(n, 1)`` or ``(n, K)``.

    Raises
    ------
    ValueError
        If the part is not one of the library.
    """
    if type(part) is Linear:
        return _linear(g, w, part, rows)
    if type(part) is FM:
        pairs = [_pairs(g, w, part, rows, set_fields, s) for s, set_fields in enumerate(fields)]
    elif type(part) is FieldWeightedFM:
        pairs = [_weighted_pairs(g, w, part, rows, set_fields, s) for s, set_fields in enumerate(fields)]
    else:
        raise ValueError(
            f"The 'low_order' part is a {type(part).__name__}, and to_onnx knows 'linear', 'fm' and 'fwfm'. "
            "Fit a model with one of these, or with low_order=None."
        )
    return g.op("Add", _linear(g, w, part.linear, rows), _summed(g, w, part, pairs))


def _linear(g: Graph, w: Weights, part: Linear, rows: Rows) -> Value:
    """First-order terms ``(n, outputs)``."""
    table, terms = w(part.categories.weight), []
    if rows.codes is not None:
        terms.append(g.op("ReduceSum", g.op("Gather", table, rows.codes), np.array([1]), keepdims=0))
    number_weights = w(part.numbers)
    if rows.numbers is not None:
        terms.append(g.op("MatMul", rows.numbers, number_weights))
    terms += [lists.pooled(g, column, g.op("Gather", table, column.codes), part.pooling) for column in rows.lists]
    return terms[0] if len(terms) == 1 else g.op("Sum", *terms)


def _pairs(g: Graph, w: Weights, part: FM, rows: Rows, fields: Value | None, s: int) -> Value:
    """The pairwise products before the sum over dimensions, ``(n, D)``, by ½[(Σv)² − Σv²]."""
    vectors, sums, squares = w(part.vectors)[:, s], [], []
    if fields is not None:
        sums.append(g.op("ReduceSum", fields, np.array([1]), keepdims=0))
        squares.append(g.op("ReduceSumSquare", fields, np.array([1]), keepdims=0))
    if rows.scalars is not None:
        sums.append(g.op("MatMul", rows.scalars, vectors))
        squares.append(g.op("MatMul", g.op("Mul", rows.scalars, rows.scalars), vectors**2))
    total, total_of_squares = (x[0] if len(x) == 1 else g.op("Add", *x) for x in (sums, squares))
    return g.op("Mul", g.op("Sub", g.op("Mul", total, total), total_of_squares), np.float32(0.5 * part.scale))


def _weighted_pairs(g: Graph, w: Weights, part: FieldWeightedFM, rows: Rows, fields: Value | None, s: int) -> Value:
    """The pairwise products with a weight for each pair of fields, before the sum over dimensions, ``(n, D)``."""
    parts = [] if fields is None else [fields]
    vectors = w(part.vectors)[:, s]
    if rows.scalars is not None:
        parts.append(g.op("Mul", g.op("Unsqueeze", rows.scalars, np.array([2])), vectors))
    pair_weights = w(part.pair_weights)[s]
    n = math.isqrt(2 * len(pair_weights)) + 1  # n (n − 1) / 2 pairs
    r = np.zeros((n, n), np.float32)
    r[np.triu_indices(n, 1)] = 1 + pair_weights
    v = g.concat(parts)  # (B, n, D)
    products = g.op("ReduceSum", g.op("Mul", v, g.op("MatMul", r, v)), np.array([1]), keepdims=0)
    return g.op("Mul", products, np.float32(part.scale))


def _summed(g: Graph, w: Weights, part: FM, pairs: list[Value]) -> Value:
    """The sums over dimensions, weighted per task if the part has such weights: ``(n, 1)`` or ``(n, K)``."""
    weights = None if part.weights is None else w(part.weights)  # (K, D)
    if weights is None:
        ones = np.ones((part.vectors.shape[2], 1), np.float32)
        return g.concat([g.op("MatMul", products, ones) for products in pairs])
    if len(pairs) == 1:
        return g.op("MatMul", pairs[0], np.ascontiguousarray(weights.T))
    return g.concat([g.op("MatMul", products, weights[k][:, None]) for k, products in enumerate(pairs)])
