"""Multi-objective ranking models with the interface of scikit-learn."""

import importlib
import typing

import sklearn  # noqa: F401
import torch  # noqa: F401 (these two first: both import more slowly after the modules below)

from sklearn_fsmd.estimators import (
    BaseMTL,
    DeepFMClassifier,
    DenoisingEmbedder,
    ESMMClassifier,
    FGClassifier,
    FSClassifier,
    FSMDClassifier,
    MMoEClassifier,
    MultiTaskClassifier,
    PLEClassifier,
    SharedBottomClassifier,
    SingleTaskClassifier,
    WideDeepClassifier,
)
from sklearn_fsmd.execution import show_versions

__version__ = "0.1.0"

__all__ = [
    "BaseMTL",
    "DeepFMClassifier",
    "DenoisingEmbedder",
    "ESMMClassifier",
    "FGClassifier",
    "FSClassifier",
    "FSMDClassifier",
    "MMoEClassifier",
    "MultiTaskClassifier",
    "PLEClassifier",
    "SharedBottomClassifier",
    "SingleTaskClassifier",
    "WideDeepClassifier",
    "show_versions",
]

_MODULES = (
    *("compose", "datasets", "export", "history", "inspection"),
    *("metrics", "plotting", "ranking", "ray", "scoring"),
)


if typing.TYPE_CHECKING:
    from sklearn_fsmd import compose as compose
    from sklearn_fsmd import datasets as datasets
    from sklearn_fsmd import export as export
    from sklearn_fsmd import history as history
    from sklearn_fsmd import inspection as inspection
    from sklearn_fsmd import metrics as metrics
    from sklearn_fsmd import plotting as plotting
    from sklearn_fsmd import ranking as ranking
    from sklearn_fsmd import ray as ray
    from sklearn_fsmd import scoring as scoring
else:

    def __getattr__(name: str) -> object:
        """Import a public module at its first use."""
        if name in _MODULES:
            return importlib.import_module(f"{__name__}.{name}")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
