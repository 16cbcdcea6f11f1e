"""Displays in scikit-learn's manner: made ``from_…`` what there is, drawn by ``plot``, with the axes kept as `ax_`.

They need matplotlib and adjustText: ``pip install 'sklearn-fsmd[plot]'``.
"""

from sklearn_fsmd.plotting._ablation import AblationDisplay
from sklearn_fsmd.plotting._attributions import AttributionsDisplay
from sklearn_fsmd.plotting._gate_weights import GateWeightsDisplay
from sklearn_fsmd.plotting._history import HistoryDisplay
from sklearn_fsmd.plotting._importances import ImportancesDisplay
from sklearn_fsmd.plotting._lift import LiftDisplay
from sklearn_fsmd.plotting._pareto import ParetoDisplay
from sklearn_fsmd.plotting._reliability import ReliabilityDisplay
from sklearn_fsmd.plotting._seesaw import SeesawDisplay
from sklearn_fsmd.plotting._segments import not_among as not_among  # for other parts of the package, and not public

__all__ = [
    "AblationDisplay",
    "AttributionsDisplay",
    "GateWeightsDisplay",
    "HistoryDisplay",
    "ImportancesDisplay",
    "LiftDisplay",
    "ParetoDisplay",
    "ReliabilityDisplay",
    "SeesawDisplay",
]


def __dir__() -> list[str]:
    """What is public: the other names are for other parts of the package."""
    return __all__
