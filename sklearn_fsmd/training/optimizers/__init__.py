"""Optimizers: Adam in one pass, steps by rows of large tables, and the moving average of the weights."""

from sklearn_fsmd.training.optimizers.fused_step import FusedStep
from sklearn_fsmd.training.optimizers.large_tables import (
    check_table_size,
    optimizer_of,
    trains_rows,
    warn_of_shared_rows,
)
from sklearn_fsmd.training.optimizers.rowwise_adagrad import RowWiseAdagrad
from sklearn_fsmd.training.optimizers.rowwise_adam import RowWiseAdam
from sklearn_fsmd.training.optimizers.weight_average import WeightAverage, check_same_shapes

__all__ = [
    "FusedStep",
    "RowWiseAdagrad",
    "RowWiseAdam",
    "WeightAverage",
    "check_same_shapes",
    "check_table_size",
    "optimizer_of",
    "trains_rows",
    "warn_of_shared_rows",
]
