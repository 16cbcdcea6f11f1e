"""X as it comes from the user becomes a checked table: a DataFrame or a 2-D array."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_array, validate_data


def read_table(estimator: Any, X: Any, *, reset: bool) -> Any:
    """X checked, as a DataFrame or a 2-D array.

    Parameters
    ----------
    estimator : is told the names and the number of the columns with `reset`, and holds them otherwise.
    """
    refuse_masked(X, "X")
    if isinstance(X, (list, tuple)) and np.asarray(X).dtype.kind in "US":
        X = np.array(X, dtype=object)  # numbers among strings stay numbers
    if not reset and type(X) is np.ndarray and _is_as_in_fit(estimator, X):
        return X  # for a single row, the checks that it passes would take a tenth of the whole prediction
    if not isinstance(X, pd.DataFrame):
        return validate_data(estimator, X, reset=reset, dtype=None, ensure_all_finite=False)
    twice = X.columns[X.columns.duplicated()]
    if len(twice):
        raise ValueError(f"X has more than one column named {twice[0]!r}.")
    if 0 in X.shape:
        check_array(np.empty(X.shape, dtype=bool), estimator=estimator)  # scikit-learn's wording
    validate_data(estimator, X, reset=reset, skip_check_array=True)
    return X


def refuse_masked(array: Any, name: str) -> None:
    """Raise for masked values, which numpy hands on as if they were not."""
    if isinstance(array, np.ma.MaskedArray) and np.ma.is_masked(array):
        raise TypeError(f"{name} has masked values, which would count. Pass {name}.astype(float).filled(np.nan).")


def _is_as_in_fit(estimator: Any, X: np.ndarray) -> bool:
    """Whether scikit-learn's checks would pass `X` through as it is."""
    n, width = X.shape if X.ndim == 2 else (0, 0)
    fits = n > 0 and width == estimator.n_features_in_ and X.dtype.kind in "biuf"
    return fits and not hasattr(estimator, "feature_names_in_")
