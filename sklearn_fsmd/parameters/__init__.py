"""Parameters of the estimators in groups, the decorator that declares them, the registry of parts, and warnings."""

from sklearn_fsmd.parameters.declare import check_widths, estimator, group_of
from sklearn_fsmd.parameters.documented import Documented
from sklearn_fsmd.parameters.encoding import EncodingParameters, InputParameters
from sklearn_fsmd.parameters.groups import MultiTaskParameters, TableParameters
from sklearn_fsmd.parameters.methods import checks_parameters, offered_if
from sklearn_fsmd.parameters.network import NetworkParameters
from sklearn_fsmd.parameters.registry import EXTRACTORS, LOW_ORDER
from sklearn_fsmd.parameters.training import OF_ALL_TASKS, OPTIMIZERS, OptimizationParameters, TrainingParameters
from sklearn_fsmd.parameters.warnings import warn

__all__ = [
    "EXTRACTORS",
    "LOW_ORDER",
    "OF_ALL_TASKS",
    "OPTIMIZERS",
    "Documented",
    "EncodingParameters",
    "InputParameters",
    "MultiTaskParameters",
    "NetworkParameters",
    "OptimizationParameters",
    "TableParameters",
    "TrainingParameters",
    "check_widths",
    "checks_parameters",
    "estimator",
    "group_of",
    "offered_if",
    "warn",
]
