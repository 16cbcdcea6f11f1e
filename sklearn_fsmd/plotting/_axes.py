"""What displays share: the axes to draw on, labels that keep apart, and spreads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

_NEEDS = "draws with matplotlib and adjustText: pip install 'sklearn-fsmd[plot]'."
LEGEND_DISTANCE = 0.6
"""In inches, between the axes and the legend below: there are ticks and a label."""
ROOM = (1.2, 1.5)
"""How many times its size a label keeps free of others, and of points."""
LETTERS_OF_HALF = 26
"""A label of more letters takes more than half of the width of a legend."""
LETTER, MARK = 0.09, 0.5
"""In inches, at most: the width of a letter, and of the mark beside a label in a legend."""


def pyplot_for(display: Any) -> Any:
    """matplotlib.pyplot, or an error that names the extra."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(f"{type(display).__name__}.plot {_NEEDS}") from error
    return plt


def axes_of(display: Any, ax: Any, *, figsize: tuple[float, float] | None = None) -> tuple[Any, Any]:
    """The axes to draw on, new ones if none are given, and their figure."""
    plt = pyplot_for(display)
    if ax is None:
        _, ax = plt.subplots(figsize=figsize, layout="constrained")
    return ax, figure_of(ax)


def figure_of(ax: Any) -> Any:
    """The whole figure, which can be saved, where the axes are in a part of it."""
    return ax.figure.canvas.figure


def choose_ticks(axis: Any, **options: Any) -> None:
    """Set how matplotlib places ticks, unless the user's axes have fixed ones or another scale."""
    from matplotlib.ticker import MaxNLocator

    locator = axis.get_major_locator()
    if isinstance(locator, MaxNLocator):
        locator.set_params(**options)


def keep_apart(labels: list[Any], ax: Any, points: np.ndarray | None = None) -> None:
    """Move labels until they overlap neither each other nor the points ``(n, 2)``, inside the frame."""
    try:
        from adjustText import adjust_text
    except ImportError as error:
        raise ImportError(f"A picture with labels {_NEEDS}") from error
    if points is None:
        points = np.array([label.get_position() for label in labels])
    with _drawn_as_a_whole(ax):
        adjust_text(
            labels, *points.T, ax=ax, expand=ROOM, arrowprops={"arrowstyle": "-", "color": "0.6", "linewidth": 0.6}
        )


@contextmanager
def _drawn_as_a_whole(ax: Any) -> Iterator[None]:
    """A SubFigure draws its whole figure: it cannot draw itself, for which adjustText blames an old matplotlib."""
    part = ax.figure
    if hasattr(part, "draw_without_rendering"):
        yield
        return
    part.draw_without_rendering = figure_of(ax).draw_without_rendering
    try:
        yield
    finally:
        del part.draw_without_rendering


def deviation(runs: np.ndarray) -> np.ndarray:
    """The standard deviation of each column over the runs; 0 where there is one."""
    return runs.std(axis=0, ddof=1) if len(runs) > 1 else np.zeros(runs.shape[1])


def legend_below(ax: Any, title: str | None = None) -> None:
    """A legend under the axes, where it hides nothing, if a layout makes room for it; else inside of them."""
    from matplotlib.transforms import ScaledTranslation

    small = {"fontsize": "small", "title": title, "title_fontsize": "small"}
    if figure_of(ax).get_layout_engine() is None:
        ax.legend(loc="best", **small)
        return
    below = ax.transAxes + ScaledTranslation(0, -LEGEND_DISTANCE, ax.figure.dpi_scale_trans)
    place = {"loc": "upper center", "bbox_to_anchor": (0.5, 0), "bbox_transform": below}
    longest = max(map(len, ax.get_legend_handles_labels()[1]), default=0)
    ax.legend(**place, ncols=2 if longest <= LETTERS_OF_HALF else 1, frameon=False, **small)


def label_of(text: Any, length: int = 32) -> str:
    """What is the user's, such as a name, as a label: as it stands, or without its middle if it is too long.

    To matplotlib a text between two "$" is mathematics, and a curve whose name begins with "_" is in no legend.
    """
    text, head = str(text), (length - 1) // 2
    text = text if len(text) <= length else f"{text[:head]}…{text[-(length - 1 - head) :]}"
    return ("\u200b" if text.startswith("_") else "") + text.replace("$", r"\$")
