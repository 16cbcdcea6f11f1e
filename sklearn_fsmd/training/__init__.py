"""The training loop and its parts. No other package imports skorch."""

from sklearn_fsmd.training import construction, level_rows, regression_rows, trainer, validation_rows
from sklearn_fsmd.training.automatic import batch_size_of
from sklearn_fsmd.training.batches import Batch, Batches, BatchIterator, TensorData
from sklearn_fsmd.training.checkpoint import Checkpoint
from sklearn_fsmd.training.early_stopping import EarlyStopping
from sklearn_fsmd.training.feed import Feed, InMemory, arrays_of, masking_options
from sklearn_fsmd.training.level import level_of
from sklearn_fsmd.training.net import Net
from sklearn_fsmd.training.net_options import check_callbacks
from sklearn_fsmd.training.pretraining import pretrain
from sklearn_fsmd.training.slope import slope_of
from sklearn_fsmd.training.spec import FIRST_STEP, NETWORK_SHARES
from sklearn_fsmd.training.validation_metric import steps_of

__all__ = [
    "FIRST_STEP",
    "NETWORK_SHARES",
    "Batch",
    "BatchIterator",
    "Batches",
    "Checkpoint",
    "EarlyStopping",
    "Feed",
    "InMemory",
    "Net",
    "TensorData",
    "arrays_of",
    "batch_size_of",
    "check_callbacks",
    "construction",
    "level_of",
    "level_rows",
    "masking_options",
    "pretrain",
    "regression_rows",
    "slope_of",
    "steps_of",
    "trainer",
    "validation_rows",
]
