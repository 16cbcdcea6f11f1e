"""The level of expected values: a regression that corrects them to the observed values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from sklearn.linear_model import LinearRegression, PoissonRegressor

from sklearn_fsmd.network import ValueModel

DRIFT = 0.05
"""Assumed drift of the mean value between training rows and later rows: as a share of the mean or, if values may be
negative, of their spread."""
CHUNK = 0.2
"""The same drift between a chunk given to `partial_fit` and all rows before it."""
FEW_VALUES = 100
"""With fewer values only the level is set, and no slope."""
STEEPEST = 4.0
"""The largest slope on logarithms. A network that has hardly begun to learn the values would need a larger one, which
would amplify noise."""


class Expected(NamedTuple):
    """Expected and observed values of some rows, and their weights; all (n, V)."""

    expected: np.ndarray
    observed: np.ndarray
    weights: np.ndarray


def correct_values(values: ValueModel, parts: Sequence[Expected], *, is_chunk: bool = False) -> None:
    """Set level and slope of the expectations by the training rows and, if there is a second part, validation rows.

    They come from a regression of the values on the expectations, so the mean prediction is the mean value. Medians of
    a lognormal become means this way, and the slope corrects a distribution that is not that of the data. Training
    rows have been memorised, validation rows may be of other days: both are used, and validation rows count less if
    they have few values, as for probabilities.

    `is_chunk` means that the training rows are a part of the data. A correction that exists already is then mixed with
    the new one, and counts more the fewer values the chunk has. A target without any known value is not corrected.
    """
    for v in range(values.n_values):
        columns = [tuple(x[part.weights[:, v] > 0, v].astype(np.float64) for x in part) for part in parts]
        valid_share = 0.0 if len(columns) == 1 else trust(columns[1][1], columns[1][2], DRIFT, values.multiplies) / 2
        shares = (1 - valid_share, valid_share) if len(columns[0][0]) else (0.0, 1.0)
        weighted = [(e, o, share * w / max(w.sum(), 1e-30)) for (e, o, w), share in zip(columns, shares, strict=False)]
        expected, observed, weights = (np.concatenate(arrays) for arrays in zip(*weighted, strict=True))
        used = weights > 0
        if not used.any():
            continue
        fit_correction = fit_on_logarithms if values.multiplies else fit_on_values
        level, slope = fit_correction(expected[used], observed[used], weights[used])
        before = float(values.level[v])
        is_first = before == float(values.multiplies) and float(values.slope[v]) == 1
        new = trust(columns[0][1], columns[0][2], CHUNK, values.multiplies) if is_chunk and not is_first else 1.0
        if values.multiplies and level > 0 and before > 0:
            values.level[v] = before ** (1 - new) * level**new
        else:
            values.level[v] = (1 - new) * before + new * level
        values.slope[v] = (1 - new) * float(values.slope[v]) + new * slope


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


def fit_on_logarithms(expected: np.ndarray, observed: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Fit level and slope of ``level · expected^slope`` by a Poisson regression on the logarithms."""
    unit = observed @ weights / weights.sum()
    if not unit > 0:
        return 0.0, 1.0  # all values are 0
    logs = np.log(expected.clip(1e-30))
    center, scale, slope = logs.mean(), logs.std(), 1.0
    if scale > 1e-6 and len(observed) >= FEW_VALUES:
        model = PoissonRegressor(alpha=0, max_iter=300).fit((logs - center)[:, None] / scale, observed / unit, weights)
        slope = min(float(model.coef_[0]) / scale, STEEPEST) if model.coef_[0] > 0 else 1.0
    relative = np.exp(slope * (logs - center)) @ weights / weights.sum()
    level = float(unit / relative * np.exp(-slope * center))
    float32 = np.finfo(np.float32)  # in which levels are kept
    if not float32.tiny < level < float32.max:  # values of very large or small units
        return float(observed @ weights / (expected @ weights)), 1.0
    return level, slope


def fit_on_values(expected: np.ndarray, observed: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Fit level and slope of ``level + slope · expected`` by least squares."""
    if expected.std() > 1e-6 * max(observed.std(), 1e-30) and len(observed) >= FEW_VALUES:
        model = LinearRegression().fit(expected[:, None], observed, weights)
        if model.coef_[0] > 0:
            return float(model.intercept_), float(model.coef_[0])
    return float((observed - expected) @ weights / weights.sum()), 1.0
