"""Data sets larger than memory: passes over files, and batches of rows that are read ahead."""

from sklearn_fsmd.training.streaming.database import Database, working_in
from sklearn_fsmd.training.streaming.dataset import Dataset, as_given
from sklearn_fsmd.training.streaming.feed import StreamFeed
from sklearn_fsmd.training.streaming.files import batches_of, is_of
from sklearn_fsmd.training.streaming.frames import located
from sklearn_fsmd.training.streaming.holdout import HoldOut, refuse_a_choice
from sklearn_fsmd.training.streaming.labels import LabelSums
from sklearn_fsmd.training.streaming.learning import encoded, first_pass, validation_blocks
from sklearn_fsmd.training.streaming.left_out import LeftOut
from sklearn_fsmd.training.streaming.parquet import ParquetSource
from sklearn_fsmd.training.streaming.scan import scan
from sklearn_fsmd.training.streaming.schema import columns_of
from sklearn_fsmd.training.streaming.trial import Trial

__all__ = [
    "Database",
    "Dataset",
    "HoldOut",
    "LabelSums",
    "LeftOut",
    "ParquetSource",
    "StreamFeed",
    "Trial",
    "as_given",
    "batches_of",
    "columns_of",
    "encoded",
    "first_pass",
    "is_of",
    "located",
    "refuse_a_choice",
    "scan",
    "validation_blocks",
    "working_in",
]
