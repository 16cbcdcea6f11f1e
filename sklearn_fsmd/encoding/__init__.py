"""A table becomes codes and numbers, targets become labels."""

from sklearn_fsmd.encoding.canonical import LARGEST_FLOAT32, MISSING_CODES, factorize, shown
from sklearn_fsmd.encoding.classes import warn_of_guess
from sklearn_fsmd.encoding.column_selection import column_mask, column_names, column_of, evenly_spaced, twice_in
from sklearn_fsmd.encoding.columns import CategoryColumn
from sklearn_fsmd.encoding.encoded import Encoded
from sklearn_fsmd.encoding.funnel import warn_of_contradictions
from sklearn_fsmd.encoding.growing import Growth
from sklearn_fsmd.encoding.ids import warn_of_ids
from sklearn_fsmd.encoding.input_encoder import InputEncoder
from sklearn_fsmd.encoding.known_labels import (
    IN_RATES,
    refuse_unlabeled,
    refuse_unlabeled_validation,
    warn_of_other_steps,
    warn_of_young_rows,
    warn_of_young_validation,
    warn_unlabeled_validation,
)
from sklearn_fsmd.encoding.lists import ListColumn
from sklearn_fsmd.encoding.missing_codes import warn_of_codes, warn_of_missing_codes
from sklearn_fsmd.encoding.numeric import NumericColumn
from sklearn_fsmd.encoding.odd_text import warn_of_text, warn_of_two_types
from sklearn_fsmd.encoding.pairing import warn_of_leaking_columns, warn_of_order, warn_of_orders, warn_of_target_columns
from sklearn_fsmd.encoding.seen import Counts, Moments, Numbers
from sklearn_fsmd.encoding.shallow import shallow
from sklearn_fsmd.encoding.single_rows import codes_of
from sklearn_fsmd.encoding.step_rates import StepSums
from sklearn_fsmd.encoding.streamed_statistics import RunningStatistics, StatisticsSums, draw_scale
from sklearn_fsmd.encoding.table_encoder import FeatureEncoder
from sklearn_fsmd.encoding.target_index import index_of_target
from sklearn_fsmd.encoding.target_statistics import TargetStatistics
from sklearn_fsmd.encoding.targets import (
    DEFAULT_NAMES,
    LabelledRows,
    TargetEncoder,
    Targets,
    are_moved,
    events_of,
    names_of,
    one_of,
    refuse_sparse,
)
from sklearn_fsmd.encoding.validation import as_pandas, named_in_errors, read_table, refuse_masked, rows_of
from sklearn_fsmd.encoding.values import ValueEncoder, Values, check_values
from sklearn_fsmd.encoding.vectors import VectorColumn
from sklearn_fsmd.encoding.weights import check_weights, factors_of

__all__ = [
    "DEFAULT_NAMES",
    "IN_RATES",
    "LARGEST_FLOAT32",
    "MISSING_CODES",
    "CategoryColumn",
    "Counts",
    "Encoded",
    "FeatureEncoder",
    "Growth",
    "InputEncoder",
    "LabelledRows",
    "ListColumn",
    "Moments",
    "Numbers",
    "NumericColumn",
    "RunningStatistics",
    "StatisticsSums",
    "StepSums",
    "TargetEncoder",
    "TargetStatistics",
    "Targets",
    "ValueEncoder",
    "Values",
    "VectorColumn",
    "are_moved",
    "as_pandas",
    "check_values",
    "check_weights",
    "codes_of",
    "column_mask",
    "column_names",
    "column_of",
    "draw_scale",
    "evenly_spaced",
    "events_of",
    "factorize",
    "factors_of",
    "index_of_target",
    "named_in_errors",
    "names_of",
    "one_of",
    "read_table",
    "refuse_masked",
    "refuse_sparse",
    "refuse_unlabeled",
    "refuse_unlabeled_validation",
    "rows_of",
    "shallow",
    "shown",
    "twice_in",
    "warn_of_codes",
    "warn_of_contradictions",
    "warn_of_guess",
    "warn_of_ids",
    "warn_of_leaking_columns",
    "warn_of_missing_codes",
    "warn_of_order",
    "warn_of_orders",
    "warn_of_other_steps",
    "warn_of_target_columns",
    "warn_of_text",
    "warn_of_two_types",
    "warn_of_young_rows",
    "warn_of_young_validation",
    "warn_unlabeled_validation",
]
