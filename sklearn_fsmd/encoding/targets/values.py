"""Columns of Y that hold values, such as a watch time, instead of labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from sklearn_fsmd.encoding.columns import LARGEST_FLOAT32, shown
from sklearn_fsmd.encoding.table import as_pandas, refuse_masked
from sklearn_fsmd.encoding.targets.weights import factors_of

NOT_NEGATIVE = ("lognormal", "poisson")
"""Losses that do not allow negative values."""
MUST_BE_NUMBERS = "is one of `value_targets` and must hold numbers"


@dataclass(frozen=True)
class Values:
    """Values (n, V) float32, 0 where there is none, and their weights (n, V).

    `parents` are the indices of the steps that the values follow, among the binary targets; None for no step.
    """

    values: np.ndarray
    weights: np.ndarray
    parents: Sequence[int | None]

    @property
    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """The values and their weights."""
        return self.values, self.weights

    def take(self, rows: np.ndarray) -> Values:
        return Values(self.values[rows], self.weights[rows], self.parents)

    @staticmethod
    def joined(parts: Sequence[Values]) -> Values:
        """Concatenate parts, at least one."""
        values, weights = (np.concatenate(arrays) for arrays in zip(*(part.arrays for part in parts), strict=True))
        return Values(values, weights, parts[0].parents)

    def happened(self, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Number of rows in which the parent of each value has happened, ``(V,)``; labels of weight 0 do not count."""
        n, positive = len(labels), labels * (weights > 0)
        return np.array([n if parent is None else positive[:, parent].sum(dtype=np.float64) for parent in self.parents])

    def in_float32(self, factors: Any = 1.0) -> Values:
        """Multiply the weights by `factors` ``(V,)``, and convert them to float32."""
        return Values(self.values, (self.weights * factors).astype(np.float32), self.parents)

    def scaled(self, labels: np.ndarray, weights: np.ndarray) -> Values:
        """Scale the weights to mean 1 over the rows in which the parent of a value has happened."""
        return self.in_float32(self.factors(labels, weights))

    def factors(self, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """The factors of :meth:`scaled`, ``(V,)``."""
        return factors_of(self.happened(labels, weights), self.weights.sum(axis=0, dtype=np.float64))


class ValueEncoder:
    """Encoder of the columns of Y that hold values, each of which is observed after a step.

    Attributes
    ----------
    columns : list of V names or positions of columns of Y.
    names : list of V str
    parents : for each value, the index of its step among the binary targets; None if it has none.
    loss : the parameter `value_loss`.
    """

    def fit(
        self,
        Y: Any,
        columns: Sequence[str | int],
        parents: Mapping[Any, Any] | None,
        task_names: Sequence[str],
        loss: str,
    ) -> ValueEncoder:
        """Check the parameters `value_targets` and `value_parents`.

        Raises
        ------
        ValueError
            If a key of `parents` is not one of the values, or an item is not one of the binary targets.
        """
        self.columns, self.loss = list(columns), loss
        named = isinstance(Y, pd.DataFrame)
        self.names = [str(c) for c in columns] if named else [f"value{v}" for v in range(len(self.columns))]
        parents = parents or {}
        if others := [name for name in parents if name not in self.columns]:
            raise ValueError(f"'value_parents' names {others[0]!r}, which is none of value_targets={self.columns}.")
        all_columns = list(Y.columns) if named else range(np.shape(Y)[1])
        targets = [column for column in all_columns if column not in self.columns]
        self.parents = [_parent(name, parents.get(name), targets, task_names) for name in self.columns]
        return self

    def split_weights(self, weights: np.ndarray, Y: Any) -> tuple[np.ndarray, np.ndarray]:
        """Split weights of the columns of `Y`, ``(n, K + V)``, into those of binary targets and those of values."""
        named = isinstance(Y, pd.DataFrame)  # its columns may be in another order than in fit
        positions = [list(Y.columns).index(c) if named else int(c) for c in self.columns]
        return np.delete(weights, positions, axis=1), weights[:, positions]

    def encode(
        self,
        Y: Any,
        labels: np.ndarray,
        observed: np.ndarray,
        sample_weight: np.ndarray | None = None,
    ) -> Values:
        """Encode values and their weights, which are positive where the parent has happened and the value is observed.

        Parameters
        ----------
        Y : as in fit.
        labels, observed : (n, K), of the binary targets.
        sample_weight : (n, V), the user's; None for 1.

        Raises
        ------
        ValueError
            If a value is not a finite number, or is negative and the loss does not allow that.
        """
        values = self._numbers(Y)
        happened = np.ones(values.shape, dtype=bool)
        for v, parent in enumerate(self.parents):
            if parent is not None:
                happened[:, v] = observed[:, parent] & (labels[:, parent] == 1)
            _refuse_invalid(values[:, v], self.names[v], self.loss)
        counts = happened & ~np.isnan(values)
        weights = counts.astype(np.float64) if sample_weight is None else counts * sample_weight
        return Values(np.where(weights > 0, values, 0).astype(np.float32), weights, self.parents)

    def over_impressions(self, Y: Any, labels: np.ndarray) -> np.ndarray:
        """Return the values ``(n, V)`` of all rows: 0 where the parent has not happened, NaN where not observed."""
        values = self._numbers(Y)
        for v, parent in enumerate(self.parents):
            if parent is not None:
                values[labels[:, parent] == 0, v] = 0
        return values

    def _numbers(self, Y: Any) -> np.ndarray:
        """Convert the columns to numbers, ``(n, V)`` float64."""
        return np.stack(
            [_numbers(_column_of(Y, c), name) for c, name in zip(self.columns, self.names, strict=True)], axis=1
        )


def check_values(column: Any, name: str, loss: str) -> None:
    """Raise an error if a column of Y does not hold values, or values that `loss` does not allow.

    Raises
    ------
    TypeError
        If it holds times or durations.
    ValueError
        If a value is not a finite number, or is negative and the loss does not allow that.
    """
    _refuse_invalid(_numbers(column, name), name, loss)


def _refuse_invalid(values: np.ndarray, name: str, loss: str) -> None:
    if np.isinf(values).any() or (np.abs(values[~np.isnan(values)]) > LARGEST_FLOAT32).any():
        raise ValueError(f"Input y contains infinity or a value too large for float32: column {name!r}.")
    if loss in NOT_NEGATIVE and (values < 0).any():
        raise ValueError(
            f"Column {name!r} of Y has the value {shown(values[values < 0][0])}; value_loss={loss!r} is for values "
            "that are not negative. Use value_loss='squared', or NaN for values that were not observed."
        )


def _parent(name: Any, parent: Any, targets: Sequence[Any], task_names: Sequence[str]) -> int | None:
    """Index of the binary target that a value follows: a column of Y, or one of the names of the targets."""
    for candidates in (targets, task_names):
        if parent in candidates:
            return candidates.index(parent)
    if parent is None:
        return None
    raise ValueError(
        f"'value_parents' says that {name!r} follows {parent!r}, which is none of the binary targets: these are the "
        f"columns {list(targets)} of Y."
    )


def without_values(Y: Any, columns: Sequence[str | int]) -> Any:
    """Drop the columns of Y that hold values.

    Raises
    ------
    ValueError
        If Y has no such column, or no other.
    """
    Y = as_pandas(Y)
    if Y is None:
        raise ValueError("This estimator requires y to be passed, but the target y is None.")
    for column in columns:
        _column_of(Y, column)  # raises an error
    if len(set(columns)) < len(columns):
        raise ValueError(f"'value_targets' names a column of Y twice: {list(columns)}.")
    if isinstance(Y, pd.DataFrame):
        binary = Y.drop(columns=list(columns))
    else:
        array = np.asarray(Y)
        if isinstance(Y, (list, tuple)) and array.dtype.kind in "US":
            array = np.array(Y, dtype=object)  # keeps a NaN among strings
        binary = np.delete(array, [int(c) for c in columns], axis=1)
    if binary.shape[1] == 0:
        raise ValueError("Y has values only; at least one binary target is needed beside `value_targets`.")
    return binary


def _column_of(Y: Any, column: str | int) -> Any:
    """Return a column of Y, by name from a DataFrame and by position from an array."""
    if isinstance(Y, pd.DataFrame):
        if column not in Y.columns:
            raise ValueError(
                f"'value_targets' names {column!r}, which is missing in Y. The columns of Y are {list(Y.columns)}. "
                "Use NaN for values that are not known."
            )
        return Y[column]
    refuse_masked(Y, "Y")
    array = np.asarray(Y)
    n_columns = array.shape[1] if array.ndim == 2 else 0
    if not isinstance(column, (int, np.integer)) or isinstance(column, bool) or not 0 <= column < n_columns:
        raise ValueError(
            f"'value_targets' names {column!r}; in a Y without column names it takes positions, and Y has the shape "
            f"{array.shape}. A DataFrame has names."
        )
    return array[:, column]


def _numbers(column: Any, name: str) -> np.ndarray:
    """Convert a column to floats, NaN where missing."""
    column = pd.Series(column)
    if isinstance(column.dtype, pd.ArrowDtype) and column.dtype.type is Decimal:  # not convertible with missing values
        column = pd.Series(column.to_numpy(dtype=object, na_value=None), dtype=object)
    if isinstance(column.dtype, pd.ArrowDtype) and column.dtype.numpy_dtype == np.float16:  # pandas cannot convert it
        column = pd.Series(column.to_numpy(np.float16, na_value=np.nan))
    match pd.api.types.infer_dtype(column):
        case "timedelta" | "timedelta64":
            raise TypeError(f"Column {name!r} of Y {MUST_BE_NUMBERS}, and holds durations. Use `.dt.total_seconds()`.")
        case "datetime" | "datetime64" | "date" | "period":
            raise TypeError(
                f"Column {name!r} of Y {MUST_BE_NUMBERS}, and holds times. Subtract a reference time, and use "
                "`.dt.total_seconds()` of the difference."
            )
        case "complex":
            raise ValueError(f"Complex data not supported: column {name!r} of Y.")
    try:
        return pd.to_numeric(column).to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"Column {name!r} of Y {MUST_BE_NUMBERS}: {error}.") from None
