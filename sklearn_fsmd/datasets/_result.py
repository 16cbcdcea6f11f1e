"""The result of all data sets."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

import pandas as pd
from sklearn.utils import Bunch


def as_result(
    data: pd.DataFrame, target: pd.DataFrame, *, return_X_y: bool, as_frame: bool, **more: Any
) -> Bunch | tuple[Any, Any]:
    """Return a Bunch, or ``(X, Y)``, with DataFrames or arrays."""
    X = data if as_frame else data.to_numpy()
    Y = target if as_frame else target.to_numpy()
    if return_X_y:
        return X, Y
    return Bunch(data=X, target=Y, feature_names=list(data.columns), target_names=list(target.columns), **more)


def check_choice(parameter: str, value: Any, known: Container[str]) -> None:
    """Raise if the value of a parameter is not among the known ones."""
    if not isinstance(value, str) or value not in known:
        raise ValueError(f"The {parameter!r} parameter must be one of {list(known)}. Got {value!r} instead.")  # type: ignore[call-overload]
