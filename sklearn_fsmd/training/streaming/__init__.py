"""Training on data sets larger than memory: passes over sources, and batches that are read ahead."""

from sklearn_fsmd.training.streaming.dataset import Dataset, as_given, listed
from sklearn_fsmd.training.streaming.feed import StreamFeed
from sklearn_fsmd.training.streaming.first_pass import encoded, first_pass, validation_blocks
from sklearn_fsmd.training.streaming.holdout import HoldOut, refuse_a_choice
from sklearn_fsmd.training.streaming.labels import LabelSums
from sklearn_fsmd.training.streaming.second_pass import HeldOutSums, scan
from sklearn_fsmd.training.streaming.trial import Trial

__all__ = [
    "Dataset",
    "HeldOutSums",
    "HoldOut",
    "LabelSums",
    "StreamFeed",
    "Trial",
    "as_given",
    "encoded",
    "first_pass",
    "listed",
    "refuse_a_choice",
    "scan",
    "validation_blocks",
]
