"""The training loop and what belongs to it. Only here is skorch imported."""

from sklearn_fsmd.training import trainer, validation_rows
from sklearn_fsmd.training.batches import BatchIterator, TensorData
from sklearn_fsmd.training.checkpoint import Checkpoint
from sklearn_fsmd.training.early_stopping import EarlyStopping
from sklearn_fsmd.training.level import level_of
from sklearn_fsmd.training.net import Net
from sklearn_fsmd.training.pretraining import pretrain
from sklearn_fsmd.training.trainer import draw_seed

__all__ = [
    "BatchIterator",
    "Checkpoint",
    "EarlyStopping",
    "Net",
    "TensorData",
    "draw_seed",
    "level_of",
    "pretrain",
    "trainer",
    "validation_rows",
]
