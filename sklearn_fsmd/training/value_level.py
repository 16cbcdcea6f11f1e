"""The level of expected values: what corrects them to the values that were observed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from sklearn.linear_model import LinearRegression, PoissonRegressor

from sklearn_fsmd.network import Values


class Expected(NamedTuple):
    """What was expected of some rows, what was observed, and what each row counts; all (n, V)."""

    expected: np.ndarray
    observed: np.ndarray
    weights: np.ndarray


def correct_values(values: Values, parts: Sequence[Expected]) -> None:
    """Set level and slope of the expectations, by the rows of training and of validation.

    A regression of the values on what was expected of them: its mean prediction is the mean value. Rows of training
    have been learned by heart, rows of validation may be of other days; each part has the same say. So medians
    of a lognormal become means, and a slope corrects a distribution that is not that of the data.
    """
    for v in range(values.n_values):
        columns = [[x[part.weights[:, v] > 0, v].astype(np.float64) for x in part] for part in parts]
        expected, observed, shares = (
            np.concatenate(of) for of in zip(*[(e, o, w / max(w.sum(), 1e-30)) for e, o, w in columns], strict=True)
        )
        correction = of_logs if values.multiplies else of_numbers
        values.level[v], values.slope[v] = correction(expected, observed, shares)


def of_logs(expected: np.ndarray, observed: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Level and slope of ``level · expected^slope``, by a Poisson regression on the logarithms."""
    unit = observed @ weights / weights.sum() if len(observed) else 0.0
    if not unit > 0:
        return 1.0, 1.0
    logs = np.log(expected.clip(1e-30))
    if logs.std() > 1e-6:
        center, scale = logs.mean(), logs.std()
        model = PoissonRegressor(alpha=0, max_iter=300).fit((logs - center)[:, None] / scale, observed / unit, weights)
        slope = float(model.coef_[0]) / scale
        if slope > 0:
            return float(unit * np.exp(model.intercept_ - slope * center)), slope
    return float(observed @ weights / (expected @ weights)), 1.0


def of_numbers(expected: np.ndarray, observed: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Level and slope of ``level + slope · expected``, by least squares."""
    if not weights.sum() > 0:
        return 0.0, 1.0
    if expected.std() > 1e-6 * max(observed.std(), 1e-30):
        model = LinearRegression().fit(expected[:, None], observed, weights)
        if model.coef_[0] > 0:
            return float(model.intercept_), float(model.coef_[0])
    return float((observed - expected) @ weights / weights.sum()), 1.0
