"""What was known of a user, an item, a pair at the moment of each row: a log of the past as columns."""

from sklearn_fsmd.history.features import HistoryFeatures
from sklearn_fsmd.history.files import write_history

__all__ = ["HistoryFeatures", "write_history"]
