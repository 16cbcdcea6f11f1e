"""A model in pictures
===================

Importances, the explanation of one prediction, reliability, lift, and the Pareto front of ranking weights::

    python examples/understanding.py [folder]

It draws the pictures of ``docs/understanding.md``.
"""

# sphinx_gallery_thumbnail_path = 'understanding/importances.png'

import sys
from pathlib import Path
from typing import Any

import pandas as pd

from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.datasets import make_funnel
from sklearn_fsmd.inspection import feature_importances, item_vectors
from sklearn_fsmd.plotting import (
    AttributionsDisplay,
    ImportancesDisplay,
    LiftDisplay,
    ParetoDisplay,
    ReliabilityDisplay,
)

DPI = 80


def main(n_samples: int = 20_000) -> tuple[pd.DataFrame, dict[str, Any]]:
    X, Y = make_funnel(n_samples, conflict=0.8, watch_time=True, random_state=0, return_X_y=True)
    cut = int(0.8 * n_samples)
    X_test, Y_test = X[cut:], Y[cut:]
    model = FSMDClassifier(
        value_targets=["watch_seconds"], value_parents={"watch_seconds": "click"}, random_state=0
    ).fit(X[:cut], Y[:cut])

    importances = feature_importances(
        model, X_test, Y_test, column_groups={"user": ["user_id", "segment"]}, max_samples=0.5, random_state=0
    )
    displays = {
        "importances": ImportancesDisplay.from_importances(importances),
        "attributions": AttributionsDisplay.from_estimator(model, X_test[:1], target="conversion"),
        "reliability": ReliabilityDisplay.from_estimator(model, X_test, Y_test, by=X_test["device"]),
        "lift": LiftDisplay.from_estimator(model, X_test, Y_test),
        "pareto": ParetoDisplay.from_estimator(model, X_test, Y_test, groups=X_test["user_id"], k=3, weights=[1, 1, 0]),
    }
    items = item_vectors(model, "item_id")
    unit = items.div((items**2).sum(axis=1) ** 0.5, axis=0)
    similarity = (unit @ unit.iloc[0]).sort_values(ascending=False)
    print("items most similar to the first:", similarity.index[1:6].tolist())
    return importances.frame, displays


def save(displays: dict[str, Any], folder: Path | str) -> None:
    Path(folder).mkdir(parents=True, exist_ok=True)
    for name, display in displays.items():
        display.figure_.savefig(Path(folder) / f"{name}.png", dpi=DPI)


if __name__ == "__main__":
    frame, drawn = main()
    print(frame.round(4).to_string())
    if len(sys.argv) > 1:
        save(drawn, sys.argv[1])
