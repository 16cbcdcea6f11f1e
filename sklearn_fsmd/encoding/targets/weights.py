"""Validation of the weights of rows and labels."""

from __future__ import annotations

from numbers import Number, Real
from typing import Any

import numpy as np
from sklearn.utils.validation import check_array, check_consistent_length

from sklearn_fsmd.encoding.columns import shown
from sklearn_fsmd.encoding.table import refuse_masked


def check_weights(sample_weight: Any, shape: tuple[int, int]) -> np.ndarray:
    """Check weights (n,) or (n, K), and return them as (n, K) float64."""
    if isinstance(sample_weight, Real):
        sample_weight = np.full(shape[0], sample_weight)
    refuse_masked(sample_weight, "sample_weight")
    options = {"ensure_2d": False, "allow_nd": True, "ensure_min_samples": 0, "input_name": "sample_weight"}
    unchecked = check_array(sample_weight, dtype=None, ensure_all_finite=False, **options)
    invalid = [] if unchecked.dtype.kind in "biuf" else list(unchecked.flat)
    if unchecked.dtype.kind == "O":
        invalid = [value for value in invalid if not isinstance(value, Number)]
    if invalid:
        raise ValueError(f"`sample_weight` must hold numbers. Got {shown(invalid[0])}.")
    weights = unchecked.astype(np.float64)
    with np.errstate(over="ignore"):
        check_array(weights, dtype=np.float32, **options)
    if weights.ndim > 2 or (weights.ndim == 2 and weights.shape[1] not in (1, shape[1])):
        raise ValueError(
            f"Sample weights must be 1D array or scalar, or have one column per task, {shape}. Got {weights.shape} "
            "instead."
        )
    check_consistent_length(weights, np.empty(shape[0]))
    if (weights < 0).any():
        raise ValueError(f"Negative values in data passed to `sample_weight`: {weights.min()}.")
    return np.broadcast_to(weights if weights.ndim == 2 else weights[:, None], shape).copy()


def effective_number(weights: np.ndarray, axis: int = 0) -> Any:
    """The number of rows of equal weight that are as informative, (Σw)² / Σw² (Kish); 0 without weights above 0."""
    return weights.sum(axis=axis) ** 2 / np.square(weights).sum(axis=axis).clip(1e-300)


def effective_counts(weights: np.ndarray) -> np.ndarray:
    """Scale weights so that their sum is the effective number of rows, which a prior is compared with."""
    return weights * (effective_number(weights) / weights.sum())


def factors_of(n: Any, total: Any) -> np.ndarray:
    """Factors that scale weights with the sums `total` to mean 1 over `n` rows; 1 where a sum is 0."""
    return np.where(total > 0, n / np.maximum(total, 1e-300), 1.0)
