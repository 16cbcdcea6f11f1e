"""Several processes that train one model: their communication, and how they make the steps of a single process."""

from sklearn_fsmd.training.distributed.exchange import Exchange, Shares
from sklearn_fsmd.training.distributed.processes import LostProcessError, Processes, together

__all__ = ["Exchange", "LostProcessError", "Processes", "Shares", "together"]
