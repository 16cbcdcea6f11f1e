"""Displays in the style of scikit-learn: created by a method ``from_…``, drawn by ``plot``, with the axes as `ax_`.

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
from sklearn_fsmd.plotting._segments import unused_name as unused_name  # not public: other folders use it

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
    """The public names; the others are for other folders of the package."""
    return __all__
