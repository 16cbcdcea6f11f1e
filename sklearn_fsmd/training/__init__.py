"""Training: batches, balance of the tasks, the skorch net, average of the weights, early stopping.

Only here is skorch imported.
"""

from sklearn_fsmd.training.balancing import RULES
from sklearn_fsmd.training.batches import BatchIterator, TensorData
from sklearn_fsmd.training.callbacks import EarlyStopping, ProgressBar
from sklearn_fsmd.training.checkpoint import Checkpoint
from sklearn_fsmd.training.net import Net
from sklearn_fsmd.training.rowwise import RowWiseAdam, RowWiseAdamW

__all__ = [
    "RULES",
    "BatchIterator",
    "Checkpoint",
    "EarlyStopping",
    "Net",
    "ProgressBar",
    "RowWiseAdam",
    "RowWiseAdamW",
    "TensorData",
]
