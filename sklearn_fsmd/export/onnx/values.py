"""Expected values inside the graph: from the outputs of the towers to the result of `predict_values`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from sklearn_fsmd.export.onnx.names import Value
from sklearn_fsmd.network import LogNormal, Poisson, Squared, ValueModel

if TYPE_CHECKING:
    from sklearn_fsmd.export.onnx.graph import Graph

Parameters = tuple[Value, ...]
"""The parameters of the distributions, each ``(n, V)``."""


def expected(g: Graph, values: ValueModel, members: Sequence[Parameters]) -> Value:
    """E[value | the step before] of each value, ``(n, V)`` float, from the outputs of all members.

    Raises
    ------
    ValueError
        If the distribution is not one of the library.
    """
    if type(values) is LogNormal:
        expectation = _lognormal(g, values, members)
    elif type(values) is Squared:
        outputs = _mean(g, [z for (z,) in members])
        expectation = g.op("Add", g.op("Mul", outputs, _array(values.scale)), _array(values.center))
    elif type(values) is Poisson:
        log_rate = _log_mean(g, [z for (z,) in members])
        expectation = g.op("Mul", g.op("Exp", log_rate), _array(values.scale))
    else:
        raise ValueError(f"The values have the distribution {type(values).__name__}, which to_onnx does not know.")
    level, slope = _array(values.level), _array(values.slope)
    if values.multiplies:
        with np.errstate(divide="ignore"):  # the level is 0 if all values were 0
            log_level = np.log(level)
        log_expectation = g.op("Log", g.op("Max", expectation, np.finfo(np.float32).tiny))
        corrected = g.op("Exp", g.op("Add", g.op("Mul", log_expectation, slope), log_level))
        return g.op("Min", corrected, _array(values.largest)) if type(values) is LogNormal else corrected
    return g.op("Add", g.op("Mul", expectation, slope), level)


def per_impression(g: Graph, values: Value, marginals: Value, n_tasks: int, parents: Sequence[int | None]) -> Value:
    """Expected values of impressions ``(n, V)``: values given the step before, times the probability of the step."""
    p, columns = g.columns(marginals, n_tasks), g.columns(values, len(parents))
    return g.concat(
        [v if parent is None else g.op("Mul", v, p[parent]) for v, parent in zip(columns, parents, strict=True)]
    )


def _lognormal(g: Graph, values: LogNormal, members: Sequence[Parameters]) -> Value:
    """The probability of a value above 0, times the median of such values; for an ensemble the mean of the products."""
    at_location, at_odds = values.order.tolist()
    log_medians = [g.op("Mul", outputs[at_location], _array(values.scale)) for outputs in members]
    log_odds = [outputs[at_odds] for outputs in members]
    if len(members) == 1:
        p_positive, log_median = g.sigmoid(log_odds[0]), log_medians[0]
    else:
        log_ps = [g.op("Neg", g.op("Softplus", g.op("Neg", z))) for z in log_odds]
        limit = _array(values.largest.log() - values.center)
        log_products = [g.op("Add", p, g.op("Min", m, limit)) for p, m in zip(log_ps, log_medians, strict=True)]
        log_median = g.op("Sub", _log_mean(g, log_products), _log_mean(g, log_ps))
        p_positive = g.op("Exp", _log_mean(g, log_ps))
    median = g.op("Min", g.op("Exp", g.op("Add", log_median, _array(values.center))), _array(values.largest))
    return g.op("Mul", p_positive, median)


def _mean(g: Graph, parts: list[Value]) -> Value:
    return parts[0] if len(parts) == 1 else g.op("Mean", *parts)


def _log_mean(g: Graph, logs: list[Value]) -> Value:
    """The logarithm of the mean of numbers that are given by their logarithms."""
    if len(logs) == 1:
        return logs[0]
    stacked = g.concat([g.op("Unsqueeze", log, np.array([2])) for log in logs], axis=2)
    total = g.op("ReduceLogSumExp", stacked, np.array([2]), keepdims=0)
    return g.op("Sub", total, np.float32(math.log(len(logs))))


def _array(buffer: Tensor) -> np.ndarray:
    return buffer.detach().cpu().numpy().astype(np.float32)
