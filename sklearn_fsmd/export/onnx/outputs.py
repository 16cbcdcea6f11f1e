"""From the logits of the members to the outputs of the file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from sklearn_fsmd.export.onnx.names import Value
from sklearn_fsmd.network import parents_of

if TYPE_CHECKING:
    from sklearn_fsmd.export.onnx.graph import Graph

Parents = Sequence[int | None]


def step_probabilities(g: Graph, members: list[Value], parents: Parents, calibration: np.ndarray | None) -> Value:
    """P(step | the step before), ``(n, K)``, from the logits of each member; P(target) for a target without a parent.

    Parameters
    ----------
    calibration : (K, 2) slopes and intercepts of the log-odds; None means slopes 1 and intercepts 0.
    """
    logits = members[0] if len(members) == 1 else _mean(g, members, parents)
    if calibration is not None:
        slopes, intercepts = calibration.T.astype(np.float32)
        logits = g.op("Add", g.op("Mul", logits, slopes), intercepts)
    return g.sigmoid(logits)


def marginals(g: Graph, steps: Value, parents: Parents) -> Value:
    """P(Y_k = 1), ``(n, K)``."""
    if _are_independent(parents):
        return steps
    p = g.columns(steps, len(parents))
    for k, parent in enumerate(parents):
        if parent is not None:
            p[k] = g.op("Mul", p[parent], p[k])
    return g.concat(p)


def conditionals(g: Graph, steps: Value, parents: Parents) -> Value:
    """P(step | the step before), ``(n, K)``; targets that no link connects are treated as a chain."""
    if not _are_independent(parents):
        return steps
    p = g.columns(steps, len(parents))
    chain = parents_of("chain", len(parents))
    return g.concat([p[k] if parent is None else _ratio(g, p[k], p[parent]) for k, parent in enumerate(chain)])


def rank_score(g: Graph, factors: Value, weights: np.ndarray) -> Value:
    """The weighted product of marginals and expected values, ``(n,)`` double. A negative value counts as 0."""
    p = g.cast(g.op("Max", factors, np.finfo(np.float32).tiny), "double")
    total = g.op("MatMul", g.op("Log", p), weights[:, None].astype(np.float64))
    is_zero = g.cast(g.op("LessOrEqual", factors, np.float32(0)), "double")
    n_zeros = g.op("MatMul", is_zero, (weights[:, None] > 0).astype(np.float64))
    score = g.op("Where", g.op("Greater", n_zeros, np.float64(0)), np.float64(0), g.op("Exp", total))
    return g.op("Squeeze", score, np.array([1]))


def _are_independent(parents: Parents) -> bool:
    return all(parent is None for parent in parents)


def _ratio(g: Graph, p: Value, p_parent: Value) -> Value:
    """The ratio of the two, at most 1; 1 where `p_parent` is 0."""
    ratio = g.op("Where", g.op("Greater", p_parent, np.float32(0)), g.op("Div", p, p_parent), np.float32(1))
    return g.op("Min", ratio, np.float32(1))


def _mean(g: Graph, members: list[Value], parents: Parents) -> Value:
    """The logits whose marginals are the means of the marginals of the members, as in `TreeLink.mean`."""
    n_tasks = len(parents)
    log_yes = [g.columns(g.op("Neg", g.op("Softplus", g.op("Neg", z))), n_tasks) for z in members]
    log_no = [g.columns(g.op("Neg", g.op("Softplus", z)), n_tasks) for z in members]
    odds = []
    for k, parent in enumerate(parents):
        for yes, no in zip(log_yes, log_no, strict=True):
            if parent is not None:
                yes[k], no[k] = g.op("Add", yes[parent], yes[k]), g.op("Add", yes[parent], no[k])
        odds.append(g.op("Sub", _log_sum(g, [yes[k] for yes in log_yes]), _log_sum(g, [no[k] for no in log_no])))
    return g.concat(odds)


def _log_sum(g: Graph, logs: list[Value]) -> Value:
    """The logarithm of the sum of numbers that are given by their logarithms, ``(n, 1)``."""
    return g.op("ReduceLogSumExp", g.concat(logs), np.array([1]), keepdims=1)
