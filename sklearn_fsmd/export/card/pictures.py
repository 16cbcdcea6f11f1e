"""The pictures of a model card, as images inside its Markdown."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from typing import Any

from sklearn_fsmd.compose import fitted_model
from sklearn_fsmd.export.card.tables import escaped_heading
from sklearn_fsmd.metrics import has_lift, observations
from sklearn_fsmd.plotting import ImportancesDisplay, LiftDisplay, ReliabilityDisplay

DPI = 80


def as_markdown(
    model: Any, X: Any, Y: Any, cuts: Mapping[str, Any], importances: Any, *, sample_weight: Any, as_shown: bool
) -> dict[str, tuple[str, str]]:
    """The text and the picture of each section."""
    options = {"sample_weight": sample_weight, "as_shown": as_shown}
    display = ReliabilityDisplay.from_estimator(model, X, Y, **options)
    text = (
        "On the dashed line predictions are right on average; bars are 95 % intervals of the observed rates or means."
    )
    sections = {"Calibration": (text, picture_of(display.figure_, "observed rates against predictions"))}
    for name, column in cuts.items():
        display = ReliabilityDisplay.from_estimator(model, X, Y, by=column, **options)
        alt = f"observed rates against predictions, by {name}"
        sections[f"Calibration/By {escaped_heading(name)}"] = (
            "The largest segments.",
            picture_of(display.figure_, alt),
        )
    observed, weights = observations(fitted_model(model), Y, sample_weight)
    if any(has_lift(column[counts > 0]) for column, counts in zip(observed.T, weights.T, strict=True)):
        lift = LiftDisplay.from_estimator(model, X, Y, **options)
        text = "Rows are sorted by prediction, the highest first, and cut into tenths. A lift of 2 is twice the mean."
        sections["Lift"] = (text, picture_of(lift.figure_, "lift by decile"))
    if importances is not None:
        drawn = ImportancesDisplay.from_importances(importances)
        text = "The drop of each score if the values of a column are permuted; bars are standard deviations."
        sections["Importances"] = (text, picture_of(drawn.figure_, "permutation importances"))
    return sections


def picture_of(figure: Any, alt: str) -> str:
    """Close a figure and return it as an image inside Markdown."""
    import matplotlib.pyplot as plt

    content = io.BytesIO()
    try:
        figure.savefig(content, format="png", dpi=DPI, metadata={"Software": None})
    finally:
        plt.close(figure)
    escaped_alt = alt.replace("[", "(").replace("]", ")").replace("\n", " ")
    return f"![{escaped_alt}](data:image/png;base64,{base64.b64encode(content.getvalue()).decode('ascii')})"
