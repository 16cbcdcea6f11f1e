"""Helpers of the displays: axes, legends, labels that do not overlap, and standard deviations."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

_NEEDS = "draws with matplotlib and adjustText: pip install 'sklearn-fsmd[plot]'."
LEGEND_DISTANCE = 0.6
"""Inches between the axes and the legend below, for ticks and a label."""
LABEL_MARGINS = (1.2, 1.5)
"""Factors by which the box of a label is expanded in x and y to keep it apart from others and from points."""
MAX_HALF_WIDTH_LETTERS = 26
"""A label with more letters takes more than half of the width of a legend."""
LETTER_WIDTH, MARKER_WIDTH = 0.09, 0.5
"""Largest width in inches of a letter, and of the marker of an entry in a legend."""


def pyplot_for(display: Any) -> Any:
    """Import matplotlib.pyplot, or raise an error that names the extra to install."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(f"{type(display).__name__}.plot {_NEEDS}") from error
    return plt


def axes_of(display: Any, ax: Any, *, figsize: tuple[float, float] | None = None) -> tuple[Any, Any]:
    """The axes to draw on, which are created if `ax` is None, and their figure."""
    plt = pyplot_for(display)
    if ax is None:
        _, ax = plt.subplots(figsize=figsize, layout="constrained")
    return ax, figure_of(ax)


def figure_of(ax: Any) -> Any:
    """The top-level figure of axes, which may be in a SubFigure."""
    return ax.figure.canvas.figure


def choose_ticks(axis: Any, **options: Any) -> None:
    """Set options of the tick locator, unless the user's axes have fixed ticks or another scale."""
    from matplotlib.ticker import MaxNLocator

    locator = axis.get_major_locator()
    if isinstance(locator, MaxNLocator):
        locator.set_params(**options)


def keep_apart(labels: list[Any], ax: Any, points: np.ndarray | None = None) -> None:
    """Move labels inside the frame until they overlap neither each other nor the points ``(n, 2)``."""
    try:
        from adjustText import adjust_text
    except ImportError as error:
        raise ImportError(f"A picture with labels {_NEEDS}") from error
    if points is None:
        points = np.array([label.get_position() for label in labels])
    arrows = {"arrowstyle": "-", "color": "0.6", "linewidth": 0.6}
    with _drawable_subfigure(ax):
        adjust_text(labels, *points.T, ax=ax, expand=LABEL_MARGINS, arrowprops=arrows)


@contextmanager
def _drawable_subfigure(ax: Any) -> Iterator[None]:
    """Let a SubFigure draw its top-level figure.

    A SubFigure has no `draw_without_rendering`, which adjustText calls; without it, adjustText complains about an old
    version of matplotlib.
    """
    figure = ax.figure
    if hasattr(figure, "draw_without_rendering"):
        yield
        return
    figure.draw_without_rendering = figure_of(ax).draw_without_rendering
    try:
        yield
    finally:
        del figure.draw_without_rendering


def standard_deviations(runs: np.ndarray) -> np.ndarray:
    """The standard deviation of each column over the runs; 0 for a single run."""
    return runs.std(axis=0, ddof=1) if len(runs) > 1 else np.zeros(runs.shape[1])


def legend_below(ax: Any, title: str | None = None) -> None:
    """Draw a legend below the axes if a layout engine makes room for it, or else inside the axes."""
    from matplotlib.transforms import ScaledTranslation

    small = {"fontsize": "small", "title": title, "title_fontsize": "small"}
    if figure_of(ax).get_layout_engine() is None:
        ax.legend(loc="best", **small)
        return
    below = ax.transAxes + ScaledTranslation(0, -LEGEND_DISTANCE, ax.figure.dpi_scale_trans)
    position = {"loc": "upper center", "bbox_to_anchor": (0.5, 0), "bbox_transform": below}
    longest = max(map(len, ax.get_legend_handles_labels()[1]), default=0)
    ax.legend(**position, ncols=2 if longest <= MAX_HALF_WIDTH_LETTERS else 1, frameon=False, **small)


def label_of(text: Any, length: int = 32) -> str:
    """A text of the user, such as a name, as a label: with an ellipsis instead of its middle if it is too long.

    Matplotlib would render text between two "$" as mathematics, and would leave a curve whose label begins with "_"
    out of the legend. Both are escaped.
    """
    text, head = str(text), (length - 1) // 2
    text = text if len(text) <= length else f"{text[:head]}…{text[-(length - 1 - head) :]}"
    return ("\u200b" if text.startswith("_") else "") + text.replace("$", r"\$")
