"""Encoder of targets: labels 0 or 1 per task, and weights, which are 0 where a label was not observed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from sklearn_fsmd.encoding.columns import shown, twice_in
from sklearn_fsmd.encoding.table import Encoded, as_pandas, refuse_masked
from sklearn_fsmd.encoding.targets.classes import given_classes, two_classes
from sklearn_fsmd.encoding.targets.funnel import settle_children, warn_of_contradictions
from sklearn_fsmd.encoding.targets.values import ValueEncoder, Values, without_values
from sklearn_fsmd.encoding.targets.weights import check_weights, factors_of

DEFAULT_NAMES = ("click", "conversion")

_NULLABLE = {
    "boolean": "boolean",
    "integer": "Int64",
    "floating": "Float64",
    "mixed-integer-float": "Float64",
    "decimal": "Float64",
}
"""Types that pandas infers for objects, and the dtype that holds these with missing values."""


@dataclass(frozen=True)
class Targets:
    """Labels (n, K) float32, 0 or 1, weights (n, K), None for 1, and values; None if there are none.

    Weights are float64 before they are scaled: a weight too small for float32 may fit after scaling.
    """

    labels: np.ndarray
    weights: np.ndarray | None
    values: Values | None = None

    def part(self, rows: np.ndarray) -> Targets:
        """Select some rows, without scaling their weights again."""
        weights = None if self.weights is None else self.weights[rows]
        return Targets(self.labels[rows], weights, None if self.values is None else self.values.take(rows))

    @staticmethod
    def joined(parts: Sequence[Targets]) -> Targets:
        """Concatenate parts, at least one."""
        if len(parts) == 1:
            return parts[0]
        labels, weights = np.concatenate([part.labels for part in parts]), None
        if any(part.weights is not None for part in parts):
            weights = np.concatenate([part.full_weights for part in parts])
        of_values = [part.values for part in parts if part.values is not None]  # noqa: PD011
        return Targets(labels, weights, Values.joined(of_values) if of_values else None)

    def scaled(self) -> Targets:
        """Scale the weights of each task to mean 1, so that the mean of a weighted loss is Σ w·l / Σ w."""
        values = None if self.values is None else self.values.scaled(self.labels, self.full_weights)
        if self.weights is None or (self.weights == 1).all():
            return Targets(self.labels, None, values)
        factors = factors_of(len(self.labels), self.weights.sum(axis=0, dtype=np.float64))
        return Targets(self.labels, (self.weights * factors).astype(np.float32), values)

    def in_float32(self) -> Targets:
        """Convert the weights to float32 without scaling them."""
        weights = None if self.weights is None else self.weights.astype(np.float32)
        return Targets(self.labels, weights, None if self.values is None else self.values.in_float32())

    @property
    def full_weights(self) -> np.ndarray:
        """The weights as an array ``(n, K)``, also if all are 1."""
        return np.ones_like(self.labels) if self.weights is None else self.weights

    def outcomes(self, events: Sequence[tuple[int, int | None]]) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return, per event of :func:`events_of`, the weight of each row, and the same for positive rows, ``(n,)``."""
        pairs = [(self.counts(k, parent), self.labels[:, k]) for k, parent in events]
        return [(weights, weights * labels) for weights, labels in pairs]

    def counts(self, task: int, parent: int | None) -> np.ndarray:
        """Weight of each row for a task, ``(n,)``; 0 unless its parent is known to have happened."""
        weights = self.full_weights
        if parent is None:
            return weights[:, task]
        return weights[:, task] * (weights[:, parent] > 0) * self.labels[:, parent]

    def totals(self) -> tuple[np.ndarray, np.ndarray]:
        """Sums of the weights of each task, and of the weights of its positive labels, ``(K,)`` each."""
        weights = self.full_weights
        return weights.sum(axis=0, dtype=np.float64), (weights * self.labels).sum(axis=0, dtype=np.float64)


LabelledRows = tuple[Encoded, Targets]
"""Encoded rows and their targets."""


class TargetEncoder:
    """Learns the two classes of each task, and converts Y to labels.

    Attributes
    ----------
    classes : list of K arrays of two classes, sorted; the second is the positive one.
    names : list of K str, the columns of Y.
    one_dimensional : whether Y was (n,) in fit.
    of_values : the encoder of the columns of Y that hold values; None if there are none.
    """

    of_values: ValueEncoder | None = None

    def fit(
        self,
        Y: Any,
        classes: Any = None,
        *,
        value_targets: Sequence[str | int] | None = None,
        value_parents: Mapping[Any, Any] | None = None,
        value_loss: str = "squared",
    ) -> TargetEncoder:
        """Learn names and classes from `Y`, or take the classes from `classes`; `value_targets` have no classes."""
        Y = Y_all = as_pandas(Y)
        if value_parents and not value_targets:
            raise ValueError(f"'value_parents' is for `value_targets`, of which there are none. Got {value_parents!r}.")
        names = names_of(Y_all)
        if twice := twice_in(names):
            raise ValueError(f"Y has more than one column named {twice[0]!r}.")
        if value_targets:
            Y = without_values(Y_all, value_targets)
        self.names = names_of(Y)
        self.named = isinstance(Y, pd.DataFrame)
        columns, self.one_dimensional = _columns(Y)
        if classes is None:
            self.classes = [two_classes(column, name) for column, name in zip(columns, self.names, strict=True)]
        else:
            self.classes = given_classes(classes, self.names)
        if value_targets:
            self.of_values = ValueEncoder().fit(Y_all, value_targets, value_parents, self.names, value_loss)
        return self

    @property
    def value_names(self) -> list[str]:
        """Names of the columns of Y that hold values."""
        return [] if self.of_values is None else self.of_values.names

    def check_classes(self, classes: Any) -> TargetEncoder:
        """Raise an error if `classes`, passed to a later call of partial_fit, are not those of the first call."""
        if classes is not None:
            pairs = given_classes(classes, self.names)
            if any(set(two) != set(known) for two, known in zip(pairs, self.classes, strict=True)):
                raise ValueError(
                    f"`classes={classes!r}` is not the same as on last call to partial_fit, was: {self.classes!r}"
                )
        return self

    def encode(
        self,
        Y: Any,
        sample_weight: Any = None,
        parents: Sequence[int | None] = (),
        *,
        scale: bool = True,
        warns: bool = True,
    ) -> Targets:
        """Encode Y as labels and weights.

        Parameters
        ----------
        Y, sample_weight : as in fit.
        parents : as in the link; labels that follow from the funnel are added.
        scale : whether weights are scaled to mean 1 in each task; False for a part of the rows.
        warns : whether to warn of rows that contradict the funnel.
        """
        targets, n_happened = self.encode_part(Y, sample_weight, parents)
        if warns:
            warn_of_contradictions(n_happened, self.names, parents)
        targets = targets.scaled() if scale else targets.in_float32()
        if targets.weights is not None and not targets.weights.any():
            raise ValueError("Y has no observed label whose weight is not zero.")
        return targets

    def encode_part(
        self, Y: Any, sample_weight: Any = None, parents: Sequence[int | None] = ()
    ) -> tuple[Targets, np.ndarray]:
        """Encode some of the rows, with unscaled weights; return also the counts of :func:`settle_children`."""
        Y, sample_weight = as_pandas(Y), as_pandas(sample_weight)
        Y_all = Y
        if self.of_values is not None:
            Y = without_values(Y_all, self.of_values.columns)
        columns, _ = _columns(Y)
        if len(columns) != len(self.classes):
            raise ValueError(f"Y has {len(columns)} tasks, but {len(self.classes)} were seen in fit.")
        if (
            isinstance(Y, pd.DataFrame)
            and names_of(Y) != self.names
            and (self.named or are_moved(names_of(Y), self.names))
        ):
            raise ValueError(f"The columns of Y must be those of fit, in their order, {self.names}. Got {names_of(Y)}.")
        if isinstance(Y, pd.Series) and self.named and Y.name is not None and str(Y.name) != self.names[0]:
            raise ValueError(f"Y must have the name of the target of fit, {self.names[0]!r}. Got {str(Y.name)!r}.")
        observed = np.stack([~pd.isna(column) for column in columns], axis=1)
        labels = np.stack([self._labels(k, column) for k, column in enumerate(columns)], axis=1)
        user_weights, value_weights = None, None
        if sample_weight is not None:
            user_weights = self._user_weights(sample_weight, Y_all, len(labels))
            if self.of_values is not None:
                user_weights, value_weights = self.of_values.split_weights(user_weights, Y_all)
        n_happened = settle_children(labels, observed, parents, user_weights)
        weights = None if observed.all() else observed.astype(np.float64)
        if user_weights is not None:
            weights = user_weights if weights is None else user_weights * weights
        values = None
        if self.of_values is not None:
            counts = observed if user_weights is None else observed & (user_weights > 0)  # weight 0 masks a label too
            values = self.of_values.encode(Y_all, labels, counts, value_weights)
        return Targets(labels, weights, values), n_happened

    def _user_weights(self, sample_weight: Any, Y: Any, n: int) -> np.ndarray:
        """Check the user's weights, and return a column per column of Y, ``(n, K + V)``."""
        names = self.names if self.of_values is None else names_of(Y)
        if isinstance(sample_weight, pd.DataFrame) and are_moved(names_of(sample_weight), names):
            raise ValueError(
                f"The columns of `sample_weight` must have the order of those of Y, {names}. "
                f"Got {names_of(sample_weight)}."
            )
        return check_weights(sample_weight, (n, len(names)))

    def split_weights(self, sample_weight: Any, Y: Any) -> tuple[np.ndarray, np.ndarray]:
        """Split the user's weights into those of the labels, ``(n, K)``, and those of the values, ``(n, V)``."""
        Y = as_pandas(Y)
        weights = self._user_weights(as_pandas(sample_weight), Y, len(Y))
        return (weights, weights[:, :0]) if self.of_values is None else self.of_values.split_weights(weights, Y)

    def over_impressions(self, Y: Any, parents: Sequence[int | None]) -> tuple[Any, np.ndarray]:
        """Split Y into its binary targets and its values ``(n, V)`` over all impressions, as metrics need them.

        A value is 0 where its parent has not happened, as in :meth:`predict_values`. `parents` are those of the link:
        labels that follow from the funnel are added.
        """
        Y = as_pandas(Y)
        if self.of_values is None:
            return Y, np.empty((len(Y), 0))
        binary = without_values(Y, self.of_values.columns)
        labels = np.stack([self._labels(k, column) for k, column in enumerate(_columns(binary)[0])], axis=1)
        observed = np.stack([~pd.isna(column) for column in _columns(binary)[0]], axis=1)
        settle_children(labels, observed, parents)
        return binary, self.of_values.over_impressions(Y, np.where(observed, labels, np.nan))

    def _labels(self, k: int, column: np.ndarray) -> np.ndarray:
        known = ~pd.isna(column)
        low, high = self.classes[k]
        unexpected = known & (column != low) & (column != high)
        if unexpected.any():
            raise ValueError(
                f"Column {self.names[k]!r} of Y has the value {shown(column[unexpected][0])}; its classes are "
                f"{self.classes[k].tolist()}."
            )
        return np.where(known, column == high, False).astype(np.float32)


def names_of(Y: Any) -> list[str]:
    """Names of the columns of Y; default names if it has none."""
    if isinstance(Y, pd.DataFrame):
        return [str(name) for name in Y.columns]
    if isinstance(Y, pd.Series):
        return [str(Y.name)] if Y.name is not None else ["y"]
    shape = np.asarray(Y).shape
    n_tasks = shape[1] if len(shape) > 1 else 1
    if n_tasks == 1:
        return ["y"]
    return list(DEFAULT_NAMES) if n_tasks == 2 else [f"task{k}" for k in range(n_tasks)]


def events_of(parents: Sequence[int | None]) -> list[tuple[int, int | None]]:
    """Pairs of a task and its condition: each target over all rows, and each step given its parent."""
    return [(k, None) for k in range(len(parents))] + [(k, p) for k, p in enumerate(parents) if p is not None]


def one_of(Y: Any, y: Any) -> Any:
    """Return Y, which may be passed by either of two names."""
    if Y is not None and y is not None:
        raise TypeError("`Y` and `y` are two names of one argument; both were given.")
    return y if Y is None else Y


def are_moved(names: Iterable[Any], order: Iterable[Any]) -> bool:
    """Whether `names` are the names of `order` in another order."""
    actual, expected = [str(name) for name in names], [str(name) for name in order]
    return actual != expected and sorted(actual) == sorted(expected)


def refuse_sparse(Y: Any) -> None:
    """Raise a TypeError if Y is a sparse matrix."""
    if hasattr(Y, "toarray"):
        raise TypeError("Sparse data was passed for Y, but dense data is required. Use '.toarray()' to convert it.")


def _columns(Y: Any) -> tuple[list[np.ndarray], bool]:
    """Return the columns of Y as arrays, and whether Y is one-dimensional."""
    if isinstance(Y, pd.DataFrame):
        if Y.shape[1] == 0:
            raise ValueError("Y has 0 columns; at least one target is needed.")
        return [_plain(Y.iloc[:, k]) for k in range(Y.shape[1])], False
    refuse_sparse(Y)
    if Y is None:
        raise ValueError("This estimator requires y to be passed, but the target y is None.")
    refuse_masked(Y, "Y")
    y = _plain(Y) if isinstance(Y, pd.Series) else np.asarray(Y)
    if y.dtype.names is not None:
        raise ValueError(f"Y is a structured array, with the fields {list(y.dtype.names)}. Pass pandas.DataFrame(Y).")
    if isinstance(Y, (list, tuple)) and y.dtype.kind in "US":
        y = np.array(Y, dtype=object)  # keeps a NaN among strings
    if y.dtype.kind == "T":  # numpy's strings of variable length
        y = y.astype(object)
    if y.ndim == 2 and y.shape[1] > 0:
        return [_plain(pd.Series(column, dtype=y.dtype)) for column in y.T], False
    if y.ndim != 1:
        raise ValueError(f"Y must have the shape (n_samples,) or (n_samples, n_tasks), got {y.shape}.")
    if pd.isna(y).any():
        raise ValueError("Input y contains NaN. In a two-dimensional Y, NaN leaves a label out.")
    return [y], True


def _plain(series: pd.Series) -> np.ndarray:
    """Convert a column of any dtype to a plain array: NaN where missing; numbers and bools keep their kind."""
    if isinstance(series.dtype, pd.CategoricalDtype):
        series = series.astype(object)
    if isinstance(series.dtype, pd.ArrowDtype) and series.dtype.kind == "O":
        series = series.astype(object)
    if series.dtype == object:
        with suppress(OverflowError):
            series = series.astype(_NULLABLE.get(pd.api.types.infer_dtype(series, skipna=True), object))
    if series.dtype == object:
        series = series.where(series.notna(), np.nan)
    if not pd.api.types.is_extension_array_dtype(series.dtype):
        return series.to_numpy()
    is_number = pd.api.types.is_numeric_dtype(series.dtype) or pd.api.types.is_bool_dtype(series.dtype)
    if not series.isna().any():
        return series.to_numpy() if is_number else series.to_numpy(dtype=object)
    return series.to_numpy(dtype=np.float64 if is_number else object, na_value=np.nan)
