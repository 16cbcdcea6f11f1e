"""Selection of columns by a parameter: a mask, indices, names or a callable."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from sklearn_fsmd.encoding.columns.canonical import shown

Selector = str | Sequence[Any] | np.ndarray | Callable[[Any], Any] | None


def categorical_mask(selector: Selector, X: Any) -> np.ndarray:
    """Mask of the columns of `X` that the parameter `categorical_features` selects, ``(n_features,)`` bool."""
    if callable(selector):
        selector = selector(X)
    if not isinstance(selector, str):
        return column_mask("categorical_features", selector, X)
    if selector == "all":
        return np.ones(X.shape[1], dtype=bool)
    if selector == "from_dtype":
        columns = (column for _, column in X.items()) if isinstance(X, pd.DataFrame) else X.T
        return np.array([_is_category(column) for column in columns], dtype=bool)
    raise ValueError(
        "The 'categorical_features' parameter must be 'from_dtype', 'all', None, a mask, indices, names or a "
        f"callable. Got {selector!r} instead; one column is given as a list, [{selector!r}]."
    )


def column_mask(parameter: str, selector: Selector, X: Any) -> np.ndarray:
    """Mask of the columns of `X` that the value `selector` of `parameter` selects, ``(n_features,)`` bool.

    Raises
    ------
    ValueError
        In scikit-learn's wording, if a mask has the wrong length, or there is no such index or name.
    """
    if callable(selector):
        selector = selector(X)
    n = X.shape[1]
    if selector is None:
        return np.zeros(n, dtype=bool)
    if isinstance(selector, (list, tuple)) and any(isinstance(item, tuple) for item in selector):
        items = np.fromiter(selector, dtype=object, count=len(selector))  # names of a MultiIndex are no rows of a table
    else:
        items = np.asarray(selector)
    if items.size == 0:
        return np.zeros(n, dtype=bool)
    if items.ndim != 1 or items.dtype.kind not in "biuOUT":
        raise ValueError(f"{parameter} must be an array-like of bool, int or str, got: {items.dtype.name}.")
    if items.dtype.kind == "O":
        items = _as_mask(parameter, items)
    if items.dtype.kind == "b":
        if items.shape != (n,):
            raise ValueError(f"{parameter} set as a boolean mask must have shape (n_features,), got: {items.shape}")
        return items
    names = list(X.columns) if isinstance(X, pd.DataFrame) else None
    mask = np.zeros(n, dtype=bool)
    for item in items.tolist():
        mask[_index(parameter, item, names, n)] = True
    return mask


def _as_mask(parameter: str, items: np.ndarray) -> np.ndarray:
    """Convert an array of objects that are bools to a boolean mask; return others unchanged."""
    are_bool = [isinstance(item, (bool, np.bool_)) for item in items]
    if not any(are_bool):
        return items
    if not all(are_bool):
        other = shown(items[are_bool.index(False)])
        raise ValueError(f"{parameter} set as a boolean mask must hold only True and False, got: {other}")
    return items.astype(bool)


def _index(parameter: str, item: Any, names: list[Any] | None, n: int) -> int:
    if isinstance(item, (int, np.integer)):
        if not 0 <= item < n:
            raise ValueError(f"{parameter} set as integer indices must be in [0, n_features - 1], got index: {item}")
        return int(item)
    if names is None:
        raise ValueError(
            f"{parameter} has an item value {item!r}, but X has no column names. Pass a DataFrame, a mask or indices."
        )
    if item not in names:
        raise ValueError(
            f"{parameter} has an item value {item!r} which is not a valid feature name of the training data. "
            f"Observed feature names: {names}"
        )
    return names.index(item)


def _is_category(column: Any) -> bool:
    """Whether a column holds categories by its dtype; for a column of an object array, by its values.

    In pandas, objects are categories, except decimals, for which pandas has no other dtype.
    """
    dtype = column.dtype
    if isinstance(column, np.ndarray) and dtype.kind == "O":
        known = column[~pd.isna(column)]
        return pd.api.types.infer_dtype(known) not in ("integer", "floating", "mixed-integer-float", "decimal", "empty")
    if isinstance(dtype, pd.CategoricalDtype) or pd.api.types.is_bool_dtype(dtype):
        return True
    if isinstance(dtype, np.dtype) and dtype.kind == "O" and isinstance(_first_known(column), Decimal):
        return pd.api.types.infer_dtype(column, skipna=True) != "decimal"
    return not pd.api.types.is_numeric_dtype(dtype) and getattr(dtype, "kind", "") in "OUS"


def _first_known(column: pd.Series) -> Any:
    """Return the first value of a column of objects that is neither missing nor a float."""
    for value in column:
        if value is not None and value is not pd.NA and value is not pd.NaT and not isinstance(value, float):
            return value
    return None


def column_names(X: Any) -> list[str]:
    """Names of the columns for messages: x0, x1, … if there are none."""
    return [str(name) for name in X.columns] if isinstance(X, pd.DataFrame) else [f"x{i}" for i in range(X.shape[1])]


def evenly_spaced(n: int, most: int) -> np.ndarray:
    """Positions of at most `most` of `n` rows, from the first to the last; all of them if there are fewer."""
    if n == 0:
        return np.empty(0, dtype=int)
    return np.unique(np.linspace(0, n - 1, most).astype(int))  # without the repetitions for fewer rows


def twice_in(names: Iterable[Any]) -> list[Any]:
    """Names that occur more than once, in their order."""
    return [name for name, n in Counter(names).items() if n > 1]


def column_of(X: Any, position: int) -> Any:
    """Return one column of a DataFrame or array."""
    return X.iloc[:, position] if isinstance(X, pd.DataFrame) else X[:, position]
