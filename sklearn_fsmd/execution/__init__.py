"""Faster execution of the network, the choice of the execution, and a report of it."""

from sklearn_fsmd.execution.choice import MANY, Scoring, available_way, way_to_train
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
    "available_way",
    "show_versions",
    "way_to_train",
]
