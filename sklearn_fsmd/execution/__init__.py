"""The same network, computed faster; what chooses who computes, and says so."""

from sklearn_fsmd.execution.choice import MANY, Scoring, way_here, way_to_train
from sklearn_fsmd.execution.core import Adam, adam, adam_pieces
from sklearn_fsmd.execution.crew import FEW, Crew
from sklearn_fsmd.execution.versions import show_versions

__all__ = [
    "FEW",
    "MANY",
    "Adam",
    "Crew",
    "Scoring",
    "adam",
    "adam_pieces",
    "show_versions",
    "way_here",
    "way_to_train",
]
