"""History features: what a log contained about a user, an item or a pair at the time of each row."""

from sklearn_fsmd.history.features import HistoryFeatures
from sklearn_fsmd.history.files import write_history

__all__ = ["HistoryFeatures", "write_history"]
