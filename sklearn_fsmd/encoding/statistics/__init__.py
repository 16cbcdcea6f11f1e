"""Statistics of the targets per category: counts and rates, of a table or of blocks of rows."""

from sklearn_fsmd.encoding.statistics.key_rows import Key
from sklearn_fsmd.encoding.statistics.keys import automatic_keys, named_keys
from sklearn_fsmd.encoding.statistics.step_rates import StepSums
from sklearn_fsmd.encoding.statistics.streamed import RunningStatistics, StatisticsSums, draw_scale
from sklearn_fsmd.encoding.statistics.target_statistics import TargetStatistics

__all__ = [
    "Key",
    "RunningStatistics",
    "StatisticsSums",
    "StepSums",
    "TargetStatistics",
    "automatic_keys",
    "draw_scale",
    "named_keys",
]
