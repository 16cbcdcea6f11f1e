"""Learning from data sets that are larger than memory."""

from __future__ import annotations

from sklearn_fsmd.estimators.learning import Learning
from sklearn_fsmd.parameters import estimator


@estimator
class Datasets(Learning):
    """An estimator that learns from tables and, in time, from data sets."""
