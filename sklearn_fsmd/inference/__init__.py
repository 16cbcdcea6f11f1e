"""Building a network for the columns of a table, and predicting with it, without an optimizer and without skorch."""

from sklearn_fsmd.inference.building import ADDS_REGRESSIONS, CHOSEN, build, layout_of, parameters_of
from sklearn_fsmd.inference.predictor import CPU_CHUNK, Predictor, in_chunks, in_chunks_alone

__all__ = [
    "ADDS_REGRESSIONS",
    "CHOSEN",
    "CPU_CHUNK",
    "Predictor",
    "build",
    "in_chunks",
    "in_chunks_alone",
    "layout_of",
    "parameters_of",
]
