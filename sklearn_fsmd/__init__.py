"""Multi-objective ranking models with the interface of scikit-learn."""

import sklearn  # noqa: F401
import torch  # noqa: F401 (these two first: after what else is imported below, both take longer)

from sklearn_fsmd._versions import show_versions
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
