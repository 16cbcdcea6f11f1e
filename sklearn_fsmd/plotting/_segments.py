"""Rows in segments, for curves that are drawn side by side."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

import numpy as np
from sklearn.utils.validation import check_consistent_length

from sklearn_fsmd.metrics import check_count, segments_by_name, sizes_of
from sklearn_fsmd.plotting._axes import figure_of, pyplot_for

ALL = "all"
FEWEST = 100
"""A segment of fewer rows is one of the others: its curve would be chance."""


def segments_of(by: Any, n: int, max_segments: int) -> dict[str, np.ndarray]:
    """The rows of each segment, the largest first; all rows where `by` is None.

    Parameters
    ----------
    by : array-like of shape (n,), the segment of each row; None for one segment of all.
    max_segments : how many are drawn; the rest of them, and those with few rows, are taken together.
    """
    check_count("max_segments", max_segments)
    if by is None:
        return {ALL: np.arange(n)}
    names = segments_by_name(by)
    check_consistent_length(names, np.empty(n))
    counts = sizes_of(names)
    kept = counts[counts >= FEWEST].index[:max_segments]
    found = {str(name): np.flatnonzero(names == name) for name in kept}
    rest = np.flatnonzero(~names.isin(kept))
    if not len(rest):
        return found
    n_rest = len(counts) - len(kept)
    name = ALL if not found else str(names.iloc[rest[0]]) if n_rest == 1 else f"{n_rest} others"
    return {**found, not_among(found, name): rest}


def not_among(taken: Container[str], name: str) -> str:
    """A name for segments that are taken together, which no segment has."""
    return not_among(taken, f"{name} (together)") if name in taken else name


def grid_of_axes(display: Any, n: int, ax: Any) -> tuple[Any, np.ndarray]:
    """The figure, and `n` axes side by side: those that are given, or new ones, at most three in a row."""
    plt = pyplot_for(display)
    if ax is None:
        n_columns = min(n, 3)
        n_rows = -(-n // n_columns)
        size = (max(4.6, 4.1 * n_columns), 4.8 * n_rows)
        figure, grid = plt.subplots(n_rows, n_columns, figsize=size, layout="constrained", squeeze=False)
        for unused in grid.flat[n:]:
            unused.set_axis_off()
        return figure, grid.ravel()[:n]
    axes = np.ravel(np.asarray(ax, dtype=object))
    if len(axes) != n:
        raise ValueError(f"There are {n} targets to draw, and {len(axes)} axes.")
    return figure_of(axes[0]), axes
