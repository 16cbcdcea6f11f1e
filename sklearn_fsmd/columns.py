"""One column: its values become row numbers of an embedding table, or scaled numbers and bins.

Categories are mapped *by value* to 1…n. Row 0 is for everything else: missing, unseen, rare, and the codes −1 and −2
with which the usual encoders mark such values. Integers stay integers: no id passes through a float.
"""

from __future__ import annotations

from numbers import Integral
from typing import Any, Literal

import numpy as np
import pandas as pd

UNKNOWN = 0
MISSING_CODES = (-1, -2)
"""The codes by which category_encoders, scikit-learn and pandas mark unknown and missing values."""

Kind = Literal["numbers", "strings", "mixed values"]


class CategoryColumn:
    """The known values of a column and their codes.

    Parameters
    ----------
    name : str, for messages.
    min_frequency : values seen less often in fit than this share the row for unknown values.

    Attributes
    ----------
    values : pandas.Index of the known values, sorted; value `i` has the code ``i + 1``.
    kind : what the values were in fit; None if all were missing.
    """

    def __init__(self, name: str, min_frequency: int = 1) -> None:
        self.name = name
        self.min_frequency = min_frequency

    @property
    def n_rows(self) -> int:
        """Rows of the table that the column needs: one a known value, and one for unknown values."""
        return len(self.values) + 1

    def fit_encode(self, column: Any) -> np.ndarray:
        """Learn the values and return their codes, ``(n,)`` int64."""
        positions, values, self.kind = _factorize(column, self.name)
        counts = np.bincount(positions + 1, minlength=len(values) + 1)[1:]
        self.values = _sorted(values[counts >= self.min_frequency])
        return self._codes_of(values, self.kind)[positions]

    def encode(self, column: Any) -> np.ndarray:
        """The codes of the values, ``(n,)`` int64, 0 where they are unknown."""
        positions, values, kind = _factorize(column, self.name)
        return self._codes_of(values, kind)[positions]

    def __getstate__(self) -> dict[str, Any]:
        """The values as a plain array: no object of another library is in a pickle."""
        return {**self.__dict__, "values": self.values.to_numpy()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        mixed = object if state["kind"] == "mixed values" else None
        self.__dict__.update(state, values=pd.Index(state["values"], dtype=mixed))

    def _codes_of(self, values: np.ndarray, kind: Kind | None) -> np.ndarray:
        """Codes of distinct `values`, and last a 0 which the position −1 of a missing value picks."""
        codes = np.zeros(len(values) + 1, dtype=np.int64)
        if kind is None or self.kind is None:
            return codes
        if kind != self.kind and "mixed values" not in (kind, self.kind):
            raise ValueError(
                f"Column {self.name!r} held {self.kind} in fit and holds {kind} now (found {shown(values[0])}). "
                "Give it the type that it had in fit."
            )
        codes[:-1] = self.values.get_indexer(pd.Index(values)) + 1
        return codes


class NumericColumn:
    """A numeric column: a scaled number, and the bin that the number falls into.

    Parameters
    ----------
    name : str, for messages.
    scaling : "standard" (mean 0 and variance 1), "quantile" (the rank among fit's values, uniform with mean 0 and
        variance 1, so that no outlier dominates) or None. Scaled numbers stay within the range of fit's.
    n_bins : about how many bins. A missing number has bin 0, and the scaled value 0. With 0 there are no bins.
    """

    N_KNOTS = 257

    def __init__(self, name: str, scaling: str | None, n_bins: int) -> None:
        self.name = name
        self.scaling = scaling
        self.n_bins = n_bins

    @property
    def n_rows(self) -> int:
        """Rows of the table that the bins need, the one for missing numbers included."""
        return len(self.edges) + 2 if self.n_bins else 0

    def fit_encode(self, column: Any) -> tuple[np.ndarray, np.ndarray]:
        """Learn the scale and the bins, and return numbers and bins."""
        x = self._floats(column)
        known = x[~np.isnan(x)]
        if known.size == 0:
            known = np.zeros(1)
        self.edges = _bin_edges(known, self.n_bins) if self.n_bins else np.empty(0)
        if self.scaling == "quantile":
            self._fit_ranks(known)
        elif self.scaling == "standard":
            self.center, self.scale = float(known.mean()), float(known.std()) or 1.0
            self.range = float(known.min()), float(known.max())
        return self._encode(x)

    def encode(self, column: Any) -> tuple[np.ndarray, np.ndarray]:
        """Scaled numbers ``(n,)`` float32 and bins ``(n,)`` int64."""
        return self._encode(self._floats(column))

    def _fit_ranks(self, known: np.ndarray) -> None:
        """Knots of the empirical distribution; a value that occurs often gets the middle of its ranks."""
        knots = np.quantile(known, np.linspace(0, 1, self.N_KNOTS), method="inverted_cdf")
        self.knots, first, counts = np.unique(knots, return_index=True, return_counts=True)
        middle = (first + (counts - 1) / 2) / (self.N_KNOTS - 1)
        ranks = np.interp(known, self.knots, middle)
        self.ranks = (middle - ranks.mean()) / (ranks.std() or 1.0)

    def _encode(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        missing = np.isnan(x)
        bins = np.searchsorted(self.edges, x, side="right") + 1
        bins[missing] = UNKNOWN
        if self.scaling == "quantile":
            numbers = np.interp(x, self.knots, self.ranks)
        elif self.scaling == "standard":
            numbers = (np.clip(x, *self.range) - self.center) / self.scale
        else:
            numbers = x
        numbers = numbers.astype(np.float32)
        numbers[missing] = 0.0
        return numbers, bins

    def _floats(self, column: Any) -> np.ndarray:
        dtype = getattr(column, "dtype", None)
        refuse_dtype(dtype, self.name)
        try:
            if getattr(dtype, "kind", "") == "O":
                column = pd.Series(column)  # which knows pd.NA
            if isinstance(column, pd.Series):
                x = column.to_numpy(dtype=np.float64, na_value=np.nan)
            else:
                x = np.asarray(column, dtype=np.float64)
        except (TypeError, ValueError) as error:
            kind = ValueError if isinstance(error, ValueError) else TypeError
            raise kind(
                f"Column {self.name!r} is numeric but holds {_first_not_a_number(column)!r}: {error}. "
                "Convert it, or list it among all categories in `categorical_features`."
            ) from error
        with np.errstate(over="ignore"):
            too_large = np.isinf(x.astype(np.float32))
        if too_large.any():
            raise ValueError(
                "Input X contains infinity or a value too large for dtype('float32'). "
                f"Column {self.name!r} has {shown(x[too_large][0])} in row {int(np.argmax(too_large))}."
            )
        return x


def shown(value: Any) -> str:
    """A value as a message shows it: 5, not np.int64(5)."""
    return repr(value.item() if isinstance(value, np.generic) else value)


def _bin_edges(known: np.ndarray, n_bins: int) -> np.ndarray:
    """The lower ends of the bins but the first, for at most about `n_bins` bins.

    A value that fills a bin by itself gets one; the rest is cut into bins of equally many rows. Plain quantiles would
    leave a column of mostly zeros with hardly any bin for what is not zero.
    """
    values, counts = np.unique(known, return_counts=True)
    heavy = np.zeros(len(values), dtype=bool)
    while True:
        share = counts[~heavy].sum() / max(n_bins - heavy.sum(), 1)
        more = ~heavy & (counts >= max(share, 1))
        if not more.any():
            break
        heavy |= more
    counts[heavy] = 0  # in place, here and below: a column of millions of numbers is encoded beside others
    before = np.cumsum(counts)
    before -= counts
    bins = (before / max(share, 1)).astype(np.int32)
    starts = heavy[1:] | heavy[:-1] | (bins[1:] != bins[:-1])
    return values[1:][starts]


def refuse_dtype(dtype: Any, name: str) -> None:
    """Raise for what is neither a category nor a number."""
    kind = getattr(dtype, "kind", "")
    if kind in "mM" or isinstance(dtype, (pd.PeriodDtype, pd.DatetimeTZDtype)):
        raise TypeError(
            f"Column {name!r} has dtype {dtype}, which is neither a number nor a category. "
            "Turn it into what matters of it, e.g. the hour, the day of the week or an age in days."
        )
    if kind == "c":
        raise ValueError(f"Complex data not supported: column {name!r} has dtype {dtype}.")
    if isinstance(dtype, pd.SparseDtype):
        raise TypeError(f"Sparse data was passed: column {name!r} has dtype {dtype}. Use .sparse.to_dense().")


def _factorize(column: Any, name: str) -> tuple[np.ndarray, np.ndarray, Kind | None]:
    """Positions into the distinct values (−1 where missing), these values, and what they are."""
    dtype = getattr(column, "dtype", None)
    refuse_dtype(dtype, name)
    if isinstance(dtype, pd.CategoricalDtype):
        category = column.cat if isinstance(column, pd.Series) else column
        positions, distinct = np.asarray(category.codes, dtype=np.int64), category.categories.to_numpy()
        refuse_dtype(category.categories.dtype, name)
        used = np.zeros(len(distinct) + 1, dtype=bool)
        used[positions] = True  # levels without a row are no values of the column
        renumber = np.where(used[:-1], np.cumsum(used[:-1]) - 1, -1)
        positions, distinct = np.append(renumber, -1)[positions], distinct[used[:-1]]
    else:
        try:
            positions, distinct = pd.factorize(column)
        except TypeError as error:
            bad = next(v for v in column if isinstance(v, (list, dict, set, np.ndarray)))
            raise TypeError(
                f"argument must be a string or a number: column {name!r} holds {bad!r} ({error})."
            ) from error
        positions = positions.astype(np.int64, copy=False)
    values, kind = _canonical(np.asarray(distinct), name)
    missing = np.zeros(len(values), dtype=bool)
    if kind == "numbers":
        missing = np.isin(values, MISSING_CODES)
    elif values.dtype == object:
        missing = pd.isna(values) | np.array([isinstance(v, Integral) and v in MISSING_CODES for v in values], bool)
    if missing.any():
        renumber = np.where(missing, -1, np.cumsum(~missing) - 1)
        positions, values = np.append(renumber, -1)[positions], values[~missing]
    return positions, values, kind if len(values) else None


def _canonical(values: np.ndarray, name: str) -> tuple[np.ndarray, Kind]:
    """One form for equal values: 3, 3.0 and True-as-1 are int64 wherever that loses nothing."""
    if values.dtype == object:
        inferred = pd.api.types.infer_dtype(values, skipna=True)
        if inferred in ("string", "empty"):
            return values, "strings"
        if inferred in ("integer", "boolean", "floating", "mixed-integer-float"):
            numbers = pd.Series(values[~pd.isna(values)]).infer_objects().to_numpy()
            if numbers.dtype != object and len(numbers) == len(values):
                return _canonical(numbers, name)
        if inferred.startswith(("date", "timedelta", "period")):
            refuse_dtype(np.dtype("M8[ns]"), name)
        if inferred == "interval":  # of pd.cut: known by their text
            return np.array([v if pd.isna(v) else str(v) for v in values], dtype=object), "strings"
        return values, "mixed values"
    if values.dtype.kind in "US":
        return values.astype(object), "strings"
    if values.dtype.kind == "b":
        return values.astype(np.int64), "numbers"
    if values.dtype.kind == "u" and len(values) and values.max() > np.iinfo(np.int64).max:
        raise ValueError(f"Column {name!r} holds {values.max()}: ids above 2**63 - 1 are not supported.")
    if values.dtype.kind in "iu":
        return values.astype(np.int64, copy=False), "numbers"
    return _canonical_floats(values, name)


def _canonical_floats(values: np.ndarray, name: str) -> tuple[np.ndarray, Kind]:
    if np.isinf(values).any():
        raise ValueError(f"Input X contains infinity: column {name!r}.")
    exact = 2.0 ** (np.finfo(values.dtype).nmant + 1)
    if len(values) and np.abs(values).max() >= exact:
        raise ValueError(
            f"Column {name!r} holds {values[np.abs(values).argmax()]:.0f} as {values.dtype}, where neighbouring ids "
            "can no longer be told apart. Pass ids as integers or strings."
        )
    whole = values.astype(np.int64)
    if (whole == values).all():
        return whole, "numbers"
    # Through its text, a float32 of 0.1 becomes the float64 of 0.1.
    return (values if values.dtype == np.float64 else values.astype(str).astype(np.float64)), "numbers"


def _sorted(values: np.ndarray) -> pd.Index:
    if values.dtype == object and pd.api.types.infer_dtype(values, skipna=False) != "string":
        order = sorted(range(len(values)), key=lambda i: (type(values[i]).__name__, str(values[i])))
        return pd.Index(values[order], dtype=object)
    return pd.Index(np.sort(values))


def _first_not_a_number(column: Any) -> Any:
    for value in column:
        try:
            float(value)
        except (TypeError, ValueError):
            if value is not pd.NA and value is not None:
                return value
    return None
