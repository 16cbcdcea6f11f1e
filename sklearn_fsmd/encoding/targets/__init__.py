"""Y: labels, values and weights, what follows from a funnel, and which labels are known."""

from sklearn_fsmd.encoding.targets.classes import warn_of_guess
from sklearn_fsmd.encoding.targets.encoder import (
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
from sklearn_fsmd.encoding.targets.funnel import warn_of_contradictions
from sklearn_fsmd.encoding.targets.index import index_of_target
from sklearn_fsmd.encoding.targets.known_labels import (
    IN_RATES,
    refuse_unlabeled,
    refuse_unlabeled_validation,
    warn_of_other_steps,
    warn_of_validation_without_events,
    warn_of_young_rows,
    warn_of_young_validation,
    warn_unlabeled_validation,
)
from sklearn_fsmd.encoding.targets.step_rates import StepSums, without_young_steps
from sklearn_fsmd.encoding.targets.values import ValueEncoder, Values, check_values
from sklearn_fsmd.encoding.targets.weights import check_weights, effective_counts, effective_number, factors_of

__all__ = [
    "DEFAULT_NAMES",
    "IN_RATES",
    "LabelledRows",
    "StepSums",
    "TargetEncoder",
    "Targets",
    "ValueEncoder",
    "Values",
    "are_moved",
    "check_values",
    "check_weights",
    "effective_counts",
    "effective_number",
    "events_of",
    "factors_of",
    "index_of_target",
    "names_of",
    "one_of",
    "refuse_sparse",
    "refuse_unlabeled",
    "refuse_unlabeled_validation",
    "warn_of_contradictions",
    "warn_of_guess",
    "warn_of_other_steps",
    "warn_of_validation_without_events",
    "warn_of_young_rows",
    "warn_of_young_validation",
    "warn_unlabeled_validation",
    "without_young_steps",
]
