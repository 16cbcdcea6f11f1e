"""Slope and level of expected values, which correct them to the observed values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import xlogy

from sklearn_fsmd.encoding.targets import effective_counts, effective_number
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
PRIOR_VALUES = 5.0
"""As how many values the spread of the training values counts, where that of validation values is estimated."""


class Expected(NamedTuple):
    """Expected and observed values of some rows, and their weights; all (n, V)."""

    expected: np.ndarray
    observed: np.ndarray
    weights: np.ndarray


def correct_slopes(values: ValueModel, train: Expected, valid: Expected) -> None:
    """Set the slopes of the expectations by the validation rows.

    A network that has memorised training rows expects too much of the differences between new ones. Targets keep their
    slope if no value is known in the validation rows, or if those of the training rows are all equal.
    """
    for v in range(values.n_values):
        expected, observed, weights = known_of(valid, v)
        _, of_train, train_weights = known_of(train, v)
        spread = spread_of(of_train, train_weights, multiplies=values.multiplies)
        if len(observed) and spread > 0:
            slope = slope_of(expected, observed, weights, spread, multiplies=values.multiplies)
            if not values.multiplies or fits_in_float32(level_as_factor(expected, observed, weights, slope)):
                values.slope[v] = slope


def known_of(part: Expected, v: int) -> list[np.ndarray]:
    """Expected and observed values of target `v` and their weights, as float64, of the rows in which it is known."""
    known = part.weights[:, v] > 0
    return [x[known, v].astype(np.float64) for x in part]


def slope_of(
    expected: np.ndarray, observed: np.ndarray, weights: np.ndarray, spread: float, *, multiplies: bool
) -> float:
    """The most probable slope of the expectations, or with `multiplies` of their logarithms, at the best level.

    It is rounded to four decimals, which is more than the rows determine.
    """
    x = np.log(expected.clip(1e-30)) if multiplies else expected
    x, counts = x - np.average(x, weights=weights), effective_counts(weights)

    def loss(log_slope: float) -> float:
        sums = math.exp(log_slope) * x
        means = np.exp(sums) if multiplies else sums
        likelihood = loss_at_best_level_of_values(means, observed, counts, spread, multiplies=multiplies)
        return likelihood + (log_slope / SPREAD) ** 2 / 2

    limit = math.log(STEEPEST)
    optimum = minimize_scalar(loss, bounds=(-limit, limit), method="bounded", options={"xatol": 1e-7})
    return round(math.exp(optimum.x), 4)


def loss_at_best_level_of_values(
    means: np.ndarray, y: np.ndarray, weights: np.ndarray, spread: float, *, multiplies: bool
) -> float:
    """Negative log-likelihood, but for a constant, of `y` with these means at the best level and the best spread.

    With `multiplies` the level is a factor, and the deviance is that of a Poisson distribution. Else the level is
    added, and the deviance is the squared error. The spread is a factor of the deviance. A few values may happen to be
    equal, so it has a prior: the `spread` of the training values, as that of `PRIOR_VALUES` values.
    """
    level = weights @ y / (weights @ means) if multiplies else weights @ (y - means) / weights.sum()
    deviance = weights @ _deviances(y, means * level if multiplies else means + level, multiplies=multiplies)
    return float((weights.sum() + PRIOR_VALUES) / 2 * math.log(deviance + PRIOR_VALUES * spread))


def spread_of(y: np.ndarray, weights: np.ndarray, *, multiplies: bool) -> float:
    """The mean deviance of values from their mean, in the units of :func:`loss_at_best_level_of_values`; 0 for none."""
    if not len(y):
        return 0.0
    mean = np.average(y, weights=weights)
    return float(np.average(_deviances(y, np.full(len(y), mean), multiplies=multiplies), weights=weights))


def _deviances(y: np.ndarray, means: np.ndarray, *, multiplies: bool) -> np.ndarray:
    """The deviance of each value: Poisson with `multiplies`, else the squared error; at least 0."""
    if not multiplies:
        return np.square(y - means)
    means = means.clip(1e-30)
    return 2 * (xlogy(y, y / means) - y + means).clip(0)


def correct_levels(values: ValueModel, parts: Sequence[Expected], *, is_chunk: bool = False) -> None:
    """Set the levels of the expectations by the training rows and, if there is a second part, validation rows.

    The mean prediction becomes the mean value, and so medians of a lognormal become means. Training rows have been
    memorised, validation rows may be of other days: both are used, and validation rows count less if they have few
    values, as for probabilities.

    `is_chunk` means that the training rows are a part of the data. A level that was set already is then mixed with the
    new one, which counts less the fewer values the chunk has. A target without any known value is not corrected.
    """
    for v in range(values.n_values):
        columns = [known_of(part, v) for part in parts]
        valid_share = 0.0 if len(columns) == 1 else trust(columns[1][1], columns[1][2], DRIFT, values.multiplies) / 2
        shares = (1 - valid_share, valid_share) if len(columns[0][0]) else (0.0, 1.0)
        weighted = [(e, o, share * w / max(w.sum(), 1e-30)) for (e, o, w), share in zip(columns, shares, strict=False)]
        expected, observed, weights = (np.concatenate(arrays) for arrays in zip(*weighted, strict=True))
        if not (weights > 0).any():
            continue
        level_of_rows = level_as_factor if values.multiplies else level_as_sum
        level = level_of_rows(expected, observed, weights, float(values.slope[v]))
        before = float(values.level[v])
        is_first = before == float(values.multiplies) and float(values.slope[v]) == 1
        new = trust(columns[0][1], columns[0][2], CHUNK, values.multiplies) if is_chunk and not is_first else 1.0
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
    n = effective_number(weights)
    mean = np.average(observed, weights=weights)
    spread = np.average(np.square(observed - mean), weights=weights)
    unit = mean**2 if in_means else max(spread, 1e-30)
    information = n * unit / max(spread + 4 * unit / n, 1e-30)  # a few equal values underestimate the spread
    return float(information / (information + drift**-2))


def level_as_factor(expected: np.ndarray, observed: np.ndarray, weights: np.ndarray, slope: float) -> float:
    """The level of ``level · expected^slope`` with which the mean is right."""
    mean, logs = observed @ weights / weights.sum(), np.log(expected.clip(1e-30))
    center = logs.mean()
    return float(mean / (np.exp(slope * (logs - center)) @ weights / weights.sum()) * np.exp(-slope * center))


def level_as_sum(expected: np.ndarray, observed: np.ndarray, weights: np.ndarray, slope: float) -> float:
    """The level of ``level + slope · expected`` with which the mean is right."""
    return float((observed - slope * expected) @ weights / weights.sum())


def fits_in_float32(level: float) -> bool:
    """Whether float32, in which levels are kept, can hold one; not with the slopes of very large or small values."""
    return level == 0 or bool(np.finfo(np.float32).tiny < level < np.finfo(np.float32).max)
