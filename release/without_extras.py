"""Check the errors of optional parts whose packages are not installed: python without_extras.py onnx plot."""

import sys
import tempfile
from pathlib import Path
from typing import Any

from sklearn_fsmd import FSMDClassifier
from sklearn_fsmd.datasets import make_funnel


def card(model: Any, X: Any, Y: Any) -> None:
    from sklearn_fsmd.export import model_card

    model_card(model, X, Y)


def explain(model: Any, X: Any, Y: Any) -> None:
    from sklearn_fsmd.inspection import attributions

    attributions(model, X[:2])


def onnx(model: Any, X: Any, Y: Any) -> None:
    from sklearn_fsmd.export.onnx import to_onnx

    with tempfile.TemporaryDirectory() as folder:
        to_onnx(model, Path(folder) / "model.onnx")


def plot(model: Any, X: Any, Y: Any) -> None:
    from sklearn_fsmd.plotting import HistoryDisplay

    HistoryDisplay.from_estimator(model)


def ray(model: Any, X: Any, Y: Any) -> None:
    import sklearn_fsmd.ray

    with tempfile.TemporaryDirectory() as folder:
        sklearn_fsmd.ray.fit_dataset(FSMDClassifier(), f"{folder}/log.parquet", ["click"], storage_path=folder)


USES = {use.__name__: use for use in (card, explain, onnx, plot, ray)}
"""For each extra, a function that needs it."""


def fitted() -> tuple[Any, Any, Any]:
    """A small fitted model, and its data."""
    X, Y = make_funnel(1200, random_state=0, return_X_y=True)
    model = FSMDClassifier(max_epochs=1, embedding_dim=2, expert_dims=(8,), tower_dims=(4,), random_state=0)
    return model.fit(X, Y), X, Y


def error_message(extra: str, data: tuple[Any, Any, Any]) -> str:
    """The message of the ImportError, which names the extra.

    Raises
    ------
    AssertionError
        If there is no such error, or its message does not name the extra.
    """
    try:
        USES[extra](*data)
    except ImportError as error:
        if f"sklearn-fsmd[{extra}]" in str(error):
            return str(error)
        raise AssertionError(f"{extra}: {error}") from error
    raise AssertionError(f"{extra}: no ImportError was raised")


if __name__ == "__main__":
    data = fitted()
    for name in sys.argv[1:]:
        print(f"{name}: {error_message(name, data)}")
