"""Many processes that train one model: what they say to each other, and how their steps become those of one process."""

from sklearn_fsmd.training.distributed.exchange import Exchange, Shares
from sklearn_fsmd.training.distributed.processes import LostProcessError, Processes, together

__all__ = ["Exchange", "LostProcessError", "Processes", "Shares", "together"]
