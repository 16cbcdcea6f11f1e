"""The same network, computed faster; what chooses who computes."""

from sklearn_fsmd.execution.choice import MANY, Scoring, way_here, way_to_train
from sklearn_fsmd.execution.core import Adam, adam, adam_pieces
from sklearn_fsmd.execution.crew import FEW, Crew

__all__ = ["FEW", "MANY", "Adam", "Crew", "Scoring", "adam", "adam_pieces", "way_here", "way_to_train"]
