"""The level of expected values: what corrects them to the values that were observed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from sklearn.linear_model import LinearRegression, PoissonRegressor

from sklearn_fsmd.network import ValueModel

DRIFT = 0.05
"""How far the mean value of later rows is thought to be from that of the rows of training: as a share of it or, where
values may be negative, of their spread."""
CHUNK = 0.2
"""The same drift, between a chunk given to `partial_fit` and all rows before it."""
FEW_VALUES = 100
"""Of fewer values no slope is known, and the level alone is set."""
STEEPEST = 4.0
"""The largest slope on logarithms. A network that has hardly begun to learn the values would need a larger one, and
what is no more than noise in it would become large."""


class Expected(NamedTuple):
    """What was expected of some rows, what was observed, and what each row counts; all (n, V)."""

    expected: np.ndarray
    observed: np.ndarray
    weights: np.ndarray


def correct_values(values: ValueModel, parts: Sequence[Expected], *, of_chunk: bool = False) -> None:
    """Set level and slope of the expectations, by the rows of training and, second, of validation.

    A regression of the values on what was expected of them: its mean prediction is the mean value. Rows of training
    have been learned by heart, rows of validation may be of other days; both have a say, validation less where it has
    few values, as for probabilities. So medians of a lognormal become means, and a slope corrects a distribution that
    is not that of the data. `of_chunk` says that the rows are a part of the data: the correction of before, if there
    was one, stays the more, the fewer values they have. Where no value is known it stays as it is.
    """
    for v in range(values.n_values):
        columns = [tuple(x[part.weights[:, v] > 0, v].astype(np.float64) for x in part) for part in parts]
        of_valid = 0.0 if len(columns) == 1 else trust(columns[1][1], columns[1][2], DRIFT, values.multiplies) / 2
        said = (1 - of_valid, of_valid) if len(columns[0][0]) else (0.0, 1.0)
        weighted = [(e, o, share * w / max(w.sum(), 1e-30)) for (e, o, w), share in zip(columns, said, strict=False)]
        expected, observed, shares = (np.concatenate(of) for of in zip(*weighted, strict=True))
        used = shares > 0
        if not used.any():
            continue
        correction = of_logs if values.multiplies else of_numbers
        level, slope = correction(expected[used], observed[used], shares[used])
        before = float(values.level[v])
        is_first = before == float(values.multiplies) and float(values.slope[v]) == 1
        new = trust(columns[0][1], columns[0][2], CHUNK, values.multiplies) if of_chunk and not is_first else 1.0
        if values.multiplies and level > 0 and before > 0:
            values.level[v] = before ** (1 - new) * level**new
        else:
            values.level[v] = (1 - new) * before + new * level
        values.slope[v] = (1 - new) * float(values.slope[v]) + new * slope


def trust(observed: np.ndarray, weights: np.ndarray, drift: float, in_means: bool = True) -> float:
    """How far the mean of some values is known, in [0, 1): its information, beside that on what changes by `drift`.

    Both are in units of the mean or, of values that may be negative, whose zero says nothing, of the spread.
    """
    if not weights.sum() > 0:
        return 0.0
    n = weights.sum() ** 2 / np.square(weights).sum()
    mean = np.average(observed, weights=weights)
    spread = np.average(np.square(observed - mean), weights=weights)
    unit = mean**2 if in_means else max(spread, 1e-30)
    information = n * unit / max(spread + 4 * unit / n, 1e-30)  # a few that are alike say little of the spread
    return float(information / (information + drift**-2))


def of_logs(expected: np.ndarray, observed: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Level and slope of ``level · expected^slope``, by a Poisson regression on the logarithms."""
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
    kept = np.finfo(np.float32)
    if not kept.tiny < level < kept.max:  # values of very large or small units
        return float(observed @ weights / (expected @ weights)), 1.0
    return level, slope


def of_numbers(expected: np.ndarray, observed: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Level and slope of ``level + slope · expected``, by least squares."""
    if expected.std() > 1e-6 * max(observed.std(), 1e-30) and len(observed) >= FEW_VALUES:
        model = LinearRegression().fit(expected[:, None], observed, weights)
        if model.coef_[0] > 0:
            return float(model.intercept_), float(model.coef_[0])
    return float((observed - expected) @ weights / weights.sum()), 1.0
