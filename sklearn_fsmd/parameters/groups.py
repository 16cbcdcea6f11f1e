"""The parameters of the estimators: the groups, each declared, documented and constrained in its own file, together."""

from __future__ import annotations

from sklearn_fsmd.parameters.declare import estimator
from sklearn_fsmd.parameters.encoding import EncodingParameters, InputParameters
from sklearn_fsmd.parameters.network import EmbeddingParameters, NetworkParameters
from sklearn_fsmd.parameters.runtime import RuntimeParameters
from sklearn_fsmd.parameters.training import TrainingParameters


@estimator
class TableParameters(RuntimeParameters, EncodingParameters, EmbeddingParameters):
    """What can be chosen of how a table is encoded and embedded, and where that is computed."""


@estimator
class MultiTaskParameters(RuntimeParameters, TrainingParameters, InputParameters, NetworkParameters):
    """What can be chosen of a :class:`~sklearn_fsmd.MultiTaskClassifier`."""
