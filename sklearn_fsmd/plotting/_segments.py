"""Segments of rows, each of which has a curve, and grids of axes."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

import numpy as np
from sklearn.utils.validation import check_consistent_length

from sklearn_fsmd.metrics import check_count, segments_by_name, sizes_of
from sklearn_fsmd.plotting._axes import figure_of, pyplot_for

ALL = "all"
MIN_ROWS = 100
"""Smaller segments are merged with others: their curves would be mostly noise."""


def segments_of(by: Any, n: int, max_segments: int) -> dict[str, np.ndarray]:
    """The indices of the rows of each segment, the largest segment first.

    Parameters
    ----------
    by : array-like of shape (n,), the segment of each row; None for one segment with all rows.
    max_segments : number of segments to draw; the others, and those with few rows, are merged.
    """
    check_count("max_segments", max_segments)
    if by is None:
        return {ALL: np.arange(n)}
    names = segments_by_name(by)
    check_consistent_length(names, np.empty(n))
    counts = sizes_of(names)
    drawn = counts[counts >= MIN_ROWS].index[:max_segments]
    segments = {str(name): np.flatnonzero(names == name) for name in drawn}
    other_rows = np.flatnonzero(~names.isin(drawn))
    if not len(other_rows):
        return segments
    n_others = len(counts) - len(drawn)
    name = ALL if not segments else str(names.iloc[other_rows[0]]) if n_others == 1 else f"{n_others} others"
    return {**segments, unused_name(segments, name): other_rows}


def unused_name(taken: Container[str], name: str) -> str:
    """A name for merged segments that no segment has: `name`, with a suffix if it is taken."""
    return unused_name(taken, f"{name} (together)") if name in taken else name


def grid_of_axes(display: Any, n: int, ax: Any) -> tuple[Any, np.ndarray]:
    """The figure and its `n` axes: those in `ax`, or new ones, at most three per row."""
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
        raise ValueError(f"There are {n} targets to draw, and {len(axes)} axes. Choose some with `targets`.")
    return figure_of(axes[0]), axes
