"""Statistics of the targets per category: counts and rates, of a table or of blocks of rows."""

from sklearn_fsmd.encoding.statistics.key_selection import automatic_keys, named_keys
from sklearn_fsmd.encoding.statistics.keys import Key
from sklearn_fsmd.encoding.statistics.streamed import RunningStatistics, StatisticsSums, draw_scale
from sklearn_fsmd.encoding.statistics.target_statistics import TargetStatistics

__all__ = [
    "Key",
    "RunningStatistics",
    "StatisticsSums",
    "TargetStatistics",
    "automatic_keys",
    "draw_scale",
    "named_keys",
]
