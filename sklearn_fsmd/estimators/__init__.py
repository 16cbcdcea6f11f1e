"""The estimators: the part of the package that scikit-learn sees."""

from sklearn_fsmd.estimators.atomic import AtomicEstimator, on_snapshot
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
from sklearn_fsmd.estimators.tags import TakesTables

__all__ = [
    "AtomicEstimator",
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
    "TakesTables",
    "WideDeepClassifier",
    "on_snapshot",
]
