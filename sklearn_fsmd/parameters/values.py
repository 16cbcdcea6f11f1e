"""Parameters of value targets, such as a watch time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from sklearn_fsmd.parameters.declare import estimator


@estimator
class ValueParameters:
    """Parameters of value targets.

    Parameters
    ----------
    value_targets : list of str or int, or None, default=None
        Columns of Y that hold values, such as a watch time: by name, or by position if Y is an array. Each has its own
        tower; see `predict_values`. Y needs at least one other column, with two classes.
    value_parents : dict or None, default=None
        Maps columns of `value_targets` to the binary target that they follow: ``{"watch_seconds": "click"}``. Both are
        columns of Y: by name, or by position if Y is an array, as in ``{2: 0}``. The network learns a value only from
        the rows in which its parent has happened. In the other rows let it be NaN; a placeholder such as −1 may be
        refused. A value target without a parent is learned from all rows in which it is known.
    value_loss : {"lognormal", "squared", "poisson"}, default="lognormal"
        Distribution of the values. "lognormal" is a lognormal distribution with a share of zeros, for watch times and
        prices. "squared" is a normal distribution, learned by the squared error. "poisson" is for counts. "lognormal"
        and "poisson" need values of at least 0.
    """

    value_targets: Sequence[str | int] | None = None
    value_parents: Mapping[Any, Any] | None = None
    value_loss: Literal["lognormal", "squared", "poisson"] = "lognormal"

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "value_targets": [list, tuple, None],
        "value_parents": [dict, None],
    }
