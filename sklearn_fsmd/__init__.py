"""Multi-objective ranking models with the interface of scikit-learn."""

from sklearn_fsmd.base import MultiTaskClassifier
from sklearn_fsmd.embedder import DenoisingEmbedder
from sklearn_fsmd.estimators import (
    BaseMTL,
    DeepFMClassifier,
    ESMMClassifier,
    FGClassifier,
    FSClassifier,
    FSMDClassifier,
    MMoEClassifier,
    PLEClassifier,
    SharedBottomClassifier,
    SingleTaskClassifier,
    WideDeepClassifier,
)

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
]
