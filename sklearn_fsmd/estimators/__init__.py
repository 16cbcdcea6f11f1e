"""Scikit-learn's side of it all."""

from sklearn_fsmd.estimators.classifier import MultiTaskClassifier
from sklearn_fsmd.estimators.embedder import DenoisingEmbedder
from sklearn_fsmd.estimators.models import (
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
