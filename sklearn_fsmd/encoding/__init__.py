"""X and Y become tensors: the encoder of the inputs, vocabularies that grow, and warnings of common mistakes."""

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
from sklearn_fsmd.encoding.missing_codes import warn_of_codes, warn_of_missing_codes
from sklearn_fsmd.encoding.odd_text import warn_of_text, warn_of_two_types
from sklearn_fsmd.encoding.pairing import warn_of_leaking_columns, warn_of_order, warn_of_orders, warn_of_target_columns

__all__ = [
    "IN_RATES",
    "Growth",
    "InputEncoder",
    "refuse_unlabeled",
    "refuse_unlabeled_validation",
    "warn_of_codes",
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
