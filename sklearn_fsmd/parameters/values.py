"""Targets with values, beside the binary ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from sklearn_fsmd.parameters.declare import estimator


@estimator
class ValueParameters:
    """What can be chosen of targets with values.

    Parameters
    ----------
    value_targets : list of str or int, or None, default=None
        Columns of Y that hold values, such as a watch time, by name, or by position where Y is an array. Each has a
        tower of its own; see `predict_values`. At least one other column, with two classes, is needed.
    value_parents : dict or None, default=None
        For columns of `value_targets` the binary target that they follow: ``{"watch_seconds": "click"}``. Both are
        columns of Y, by name, or by position where Y is an array: ``{2: 0}``. A value counts where its target has
        happened. Elsewhere it is not learned from: let it be NaN there, for a placeholder such as −1 may be refused.
        Values without such a target count wherever they are known.
    value_loss : {"lognormal", "squared", "poisson"}, default="lognormal"
        The distribution of values: lognormal with a share of zeros, for watch times and prices; normal, by the squared
        error; or Poisson, for counts. "lognormal" and "poisson" need values of at least 0.
    """

    value_targets: Sequence[str | int] | None = None
    value_parents: Mapping[Any, Any] | None = None
    value_loss: Literal["lognormal", "squared", "poisson"] = "lognormal"

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "value_targets": [list, tuple, None],
        "value_parents": [dict, None],
    }
