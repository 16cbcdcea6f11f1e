"""Slope and level of expected values, which correct them to the observed values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import xlogy

from sklearn_fsmd.network import ValueModel

DRIFT = 0.05
"""Assumed drift of the mean value between training rows and later rows: as a share of the mean or, if values may be
negative, of their spread."""
CHUNK = 0.2
"""The same drift between a chunk given to `partial_fit` and all rows before it."""
SPREAD = 0.3
"""Standard deviation of the prior of log(slope), whose mean is 0, as for probabilities."""
STEEPEST = 4.0
"""The largest slope, and the inverse of the smallest."""


class Expected(NamedTuple):
    """Expected and observed values of some rows, and their weights; all (n, V)."""

    expected: np.ndarray
    observed: np.ndarray
    weights: np.ndarray


def correct_slopes(values: ValueModel, valid: Expected) -> None:
    """Set the slopes of the expectations by the validation rows.

    A network that has memorised training rows expects too much of the differences between new ones. Targets without
    known values in the validation rows keep their slope.
    """
    for v in range(values.n_values):
        used = valid.weights[:, v] > 0
        if used.any():
            expected, observed, weights = (x[used, v].astype(np.float64) for x in valid)
            values.slope[v] = slope_of(expected, observed, weights, multiplies=values.multiplies)


def slope_of(expected: np.ndarray, observed: np.ndarray, weights: np.ndarray, *, multiplies: bool) -> float:
    """The most probable slope of the expectations, or with `multiplies` of their logarithms, at the best level.

    It is rounded to four decimals, which is more than the rows determine.
    """
    x = np.log(expected.clip(1e-30)) if multiplies else expected
    x = x - np.average(x, weights=weights)
    counts = weights * (weights.sum() / np.square(weights).sum())

    def loss(log_slope: float) -> float:
        sums = math.exp(log_slope) * x
        means = np.exp(sums) if multiplies else sums
        return loss_at_best_level(means, observed, counts, multiplies=multiplies) + (log_slope / SPREAD) ** 2 / 2

    limit = math.log(STEEPEST)
    optimum = minimize_scalar(loss, bounds=(-limit, limit), method="bounded", options={"xatol": 1e-7})
    return round(math.exp(optimum.x), 4)


def loss_at_best_level(means: np.ndarray, y: np.ndarray, weights: np.ndarray, *, multiplies: bool) -> float:
    """Negative log-likelihood, but for a constant, of `y` with these means at the best level and the best spread.

    With `multiplies` the level is a factor, and the deviance is that of a Poisson distribution. Else the level is
    added, and the deviance is the squared error. The spread is a factor of the deviance.
    """
    total = weights.sum()
    if multiplies:
        means = (means * (weights @ y / (weights @ means))).clip(1e-30)
        deviance = 2 * weights @ (xlogy(y, y / means) - y + means)
        unit = weights @ y
    else:
        residuals = y - means - weights @ (y - means) / total
        deviance = weights @ residuals**2
        unit = weights @ (y - weights @ y / total) ** 2
    return float(total / 2 * math.log(max(deviance, 1e-9 * unit, 1e-30)))


def correct_levels(values: ValueModel, parts: Sequence[Expected], *, is_chunk: bool = False) -> None:
    """Set the levels of the expectations by the training rows and, if there is a second part, validation rows.

    The mean prediction becomes the mean value, and so medians of a lognormal become means. Training rows have been
    memorised, validation rows may be of other days: both are used, and validation rows count less if they have few
    values, as for probabilities.

    `is_chunk` means that the training rows are a part of the data. A level that was set already is then mixed with the
    new one, which counts less the fewer values the chunk has. A target without any known value is not corrected.
    """
    for v in range(values.n_values):
        columns = [tuple(x[part.weights[:, v] > 0, v].astype(np.float64) for x in part) for part in parts]
        valid_share = 0.0 if len(columns) == 1 else trust(columns[1][1], columns[1][2], DRIFT, values.multiplies) / 2
        shares = (1 - valid_share, valid_share) if len(columns[0][0]) else (0.0, 1.0)
        weighted = [(e, o, share * w / max(w.sum(), 1e-30)) for (e, o, w), share in zip(columns, shares, strict=False)]
        expected, observed, weights = (np.concatenate(arrays) for arrays in zip(*weighted, strict=True))
        if not (weights > 0).any():
            continue
        of_rows = level_of_logarithms if values.multiplies else level_of_values
        level, slope = of_rows(expected, observed, weights, float(values.slope[v]))
        before = float(values.level[v])
        is_first = before == float(values.multiplies) and float(values.slope[v]) == 1
        new = trust(columns[0][1], columns[0][2], CHUNK, values.multiplies) if is_chunk and not is_first else 1.0
        if slope != float(values.slope[v]):  # it is 1, since float32 cannot hold the level otherwise
            if new < 1:
                continue
            values.slope[v] = slope
        if values.multiplies and level > 0 and before > 0:
            values.level[v] = before ** (1 - new) * level**new
        else:
            values.level[v] = (1 - new) * before + new * level


def trust(observed: np.ndarray, weights: np.ndarray, drift: float, in_means: bool = True) -> float:
    """Weight in [0, 1) of the mean of some values: its information relative to that of a prior with this `drift`.

    Both are in units of the mean. If values may be negative, so that their zero is arbitrary, they are in units of the
    spread.
    """
    if not weights.sum() > 0:
        return 0.0
    n = weights.sum() ** 2 / np.square(weights).sum()
    mean = np.average(observed, weights=weights)
    spread = np.average(np.square(observed - mean), weights=weights)
    unit = mean**2 if in_means else max(spread, 1e-30)
    information = n * unit / max(spread + 4 * unit / n, 1e-30)  # a few equal values underestimate the spread
    return float(information / (information + drift**-2))


def level_of_logarithms(
    expected: np.ndarray, observed: np.ndarray, weights: np.ndarray, slope: float
) -> tuple[float, float]:
    """The level of ``level · expected^slope`` with which the mean is right, and the slope.

    The slope is 1 if float32, in which levels are kept, could not hold the level with it, as with values of very large
    or very small units.
    """
    unit = observed @ weights / weights.sum()
    if not unit > 0:
        return 0.0, slope  # all values are 0
    logs = np.log(expected.clip(1e-30))
    center, float32 = logs.mean(), np.finfo(np.float32)
    relative = np.exp(slope * (logs - center)) @ weights / weights.sum()
    level = float(unit / relative * np.exp(-slope * center))
    if not float32.tiny < level < float32.max:
        return float(observed @ weights / (expected @ weights)), 1.0
    return level, slope


def level_of_values(
    expected: np.ndarray, observed: np.ndarray, weights: np.ndarray, slope: float
) -> tuple[float, float]:
    """The level of ``level + slope · expected`` with which the mean is right, and the slope."""
    return float((observed - slope * expected) @ weights / weights.sum()), slope
