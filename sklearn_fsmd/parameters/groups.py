"""Groups of parameters combined for the estimators; each group is declared in its own file."""

from __future__ import annotations

from sklearn_fsmd.parameters.declare import estimator
from sklearn_fsmd.parameters.encoding import EncodingParameters, InputParameters
from sklearn_fsmd.parameters.network import EmbeddingParameters, NetworkParameters
from sklearn_fsmd.parameters.runtime import RuntimeParameters
from sklearn_fsmd.parameters.training import TrainingParameters


@estimator
class TableParameters(RuntimeParameters, EncodingParameters, EmbeddingParameters):
    """Parameters of the encoding and embedding of a table, and of the machine."""


@estimator
class MultiTaskParameters(RuntimeParameters, TrainingParameters, InputParameters, NetworkParameters):
    """Parameters of a :class:`~sklearn_fsmd.MultiTaskClassifier`."""
