"""A numeric column: scaled numbers, and the bins that they fall into. It has the methods of a column of categories."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sklearn_fsmd.encoding.columns.canonical import NUMPY_TIMES, refuse_dtype, shown
from sklearn_fsmd.encoding.columns.category import UNKNOWN
from sklearn_fsmd.encoding.columns.seen import Numbers

ALL_NUMBERS = ("floating", "integer", "mixed-integer-float", "boolean", "decimal", "empty")
"""Types that pandas infers for objects each of which is a number or missing."""


class NumericColumn:
    """A numeric column: a scaled number, and the bin that the number falls into.

    Parameters
    ----------
    name : str, for messages.
    scaling : "standard" (mean 0 and variance 1), "quantile" (the rank among fit's values, uniform with mean 0 and
        variance 1, so that no outlier dominates) or None. Scaled numbers stay within the range of fit's.
    n_bins : approximate number of bins; 0 for none. A missing number has bin 0, and is replaced by the mean.

    Attributes
    ----------
    edges : the lower ends of all bins except the first.
    means : the scaled mean of the numbers of each bin, from bin 1 on. Files of earlier versions lack it.
    filling : the scaled number that replaces a missing one: 0, or the mean if numbers are not scaled.
    """

    N_KNOTS = 257
    filling: float = 0.0
    seen: Numbers | None = None

    def __init__(self, name: str, scaling: str | None, n_bins: int) -> None:
        self.name = name
        self.scaling = scaling
        self.n_bins = n_bins

    @property
    def n_rows(self) -> int:
        """Number of rows of the embedding table for the bins, including the row for missing numbers."""
        return len(self.edges) + 2 if self.n_bins else 0

    @property
    def ends(self) -> tuple[float, float]:
        """Range to which numbers are clipped: that of the numbers in fit, or of their sample; NaN without scaling."""
        if self.scaling == "standard":
            return self.range
        return (float(self.knots[0]), float(self.knots[-1])) if self.scaling == "quantile" else (np.nan, np.nan)

    def update(self, block: Any) -> None:
        """Learn from some rows."""
        self._add(self.floats(block))

    def finalize(self) -> None:
        """Fix the scale and the bins, after all rows have been seen."""
        seen = self.__dict__.pop("seen", None) or Numbers()
        known = seen.sample()
        self.edges, means = _bins(known, self.n_bins)
        self._fit_scale(seen, known)
        self.means = self._scaled(means)

    def _fit_scale(self, seen: Numbers, known: np.ndarray) -> None:
        if self.scaling == "quantile":
            self._fit_ranks(known)
            return
        mean, std, low, high = seen.moments(known)
        if self.scaling == "standard":
            # Of equal numbers, the mean is off by rounding, and the deviation may be as small as that.
            self.center, self.scale = (low, 1.0) if low == high else (mean, std or 1.0)
            self.range = low, high
        else:
            self.filling = float(np.float32(mean))

    def fit_encode(self, column: Any) -> tuple[np.ndarray, np.ndarray]:
        """Learn the scale and the bins of a whole column, and return its scaled numbers and bins."""
        x = self.floats(column)
        self._add(x)
        self.finalize()
        return self._encode(x)

    def _add(self, x: np.ndarray) -> None:
        self.seen = self.seen or Numbers()
        self.seen.add(x[~np.isnan(x)])

    def encode(self, column: Any) -> tuple[np.ndarray, np.ndarray]:
        """Encode a column as scaled numbers ``(n,)`` float32 and bins ``(n,)`` int64."""
        return self._encode(self.floats(column))

    def _fit_ranks(self, known: np.ndarray) -> None:
        """Compute the knots of the empirical distribution; a frequent value gets the middle of its ranks."""
        knots = np.quantile(known, np.linspace(0, 1, self.N_KNOTS), method="inverted_cdf")
        self.knots, first, counts = np.unique(knots, return_index=True, return_counts=True)
        middle = (first + (counts - 1) / 2) / (self.N_KNOTS - 1)
        ranks = np.interp(known, self.knots, middle)
        self.ranks = (middle - ranks.mean()) / (ranks.std() or 1.0)

    def _encode(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        missing = np.isnan(x)
        bins = np.searchsorted(self.edges, x, side="right") + 1
        bins[missing] = UNKNOWN
        numbers = self._scaled(x).astype(np.float32)
        numbers[missing] = self.filling
        return numbers, bins

    def _scaled(self, x: np.ndarray) -> np.ndarray:
        if self.scaling == "quantile":
            return np.interp(x, self.knots, self.ranks)
        return (np.clip(x, *self.range) - self.center) / self.scale if self.scaling == "standard" else x

    def floats(self, column: Any) -> np.ndarray:
        """Convert a column to floats, NaN where missing; raise an error for values that are not numbers."""
        dtype = getattr(column, "dtype", None)
        refuse_dtype(dtype, self.name)
        try:
            self._refuse_non_numbers(column)
            if getattr(dtype, "kind", "") == "O":
                column = pd.Series(column, dtype=object)  # which can convert pd.NA
            if isinstance(column, pd.Series):
                x = column.to_numpy(dtype=np.float64, na_value=np.nan)
            else:
                x = np.asarray(column, dtype=np.float64)
        except OverflowError as error:  # an integer of hundreds of digits
            raise ValueError(f"Input X contains a value too large: column {self.name!r}.") from error
        with np.errstate(over="ignore"):
            too_large = np.isinf(x.astype(np.float32))
        if too_large.any():
            raise ValueError(
                "Input X contains infinity or a value too large for dtype('float32'). "
                f"Column {self.name!r} has {shown(x[too_large][0])} in row {int(np.argmax(too_large))}."
            )
        return x

    def _refuse_non_numbers(self, column: Any) -> None:
        if pd.api.types.is_numeric_dtype(getattr(column, "dtype", None)):
            return
        if pd.api.types.infer_dtype(column, skipna=True) in ALL_NUMBERS:
            return
        value = _first_non_number(column)
        if value is not None:
            in_fit = ", or list it in `categorical_features`, with all other categories"
            remedy = ", as by pandas.to_numeric: it was numeric in fit" if hasattr(self, "edges") else in_fit
            raise (ValueError if isinstance(value, (str, bytes)) else TypeError)(
                f"Column {self.name!r} is read as numbers but holds {shown(value)}. Convert it{remedy}."
            )


def _bins(known: np.ndarray, n_bins: int) -> tuple[np.ndarray, np.ndarray]:
    """Compute the lower ends of about `n_bins` bins, except the first, and the mean of each bin.

    Each end lies between two values, so that a training number has the same bin as float32 and as float64. A value that
    fills a bin gets its own; the other rows are divided into bins of equal size. With plain quantiles a column of
    mostly zeros would have hardly any bin for the other numbers. With 0 bins, both arrays are empty.
    """
    if not n_bins:
        return np.empty(0), np.empty(0)
    values, counts = np.unique(known, return_counts=True)
    heavy = np.zeros(len(values), dtype=bool)
    while True:
        rows_per_bin = counts[~heavy].sum() / max(n_bins - heavy.sum(), 1)
        new = ~heavy & (counts >= max(rows_per_bin, 1))
        if not new.any():
            break
        heavy |= new
    counts[heavy] = 0  # in place, here and below, to save memory: several large columns may be encoded at the same time
    before = np.cumsum(counts)
    before -= counts
    bins = (before / max(rows_per_bin, 1)).astype(np.int32)
    starts = heavy[1:] | heavy[:-1] | (bins[1:] != bins[:-1])
    below, above = values[:-1][starts], values[1:][starts]
    middle = below + (above - below) / 2
    edges = np.where(middle > below, middle, above)  # neighbouring float64 have nothing between them
    first = np.flatnonzero(np.concatenate(([True], starts)))
    n_rows = np.add.reduceat(counts, first)  # 0 for a value with its own bin
    totals = np.add.reduceat(values * counts, first)
    return edges, np.where(n_rows > 0, totals / np.maximum(n_rows, 1), values[first])


def _first_non_number(column: Any) -> Any:
    """Return the first value that is not a number, or None; the string "3.5" is not a number."""
    for value in column:
        if isinstance(value, (str, bytes, *NUMPY_TIMES)):
            return value
        try:
            float(value)
        except (TypeError, ValueError):
            if value is not pd.NA and value is not pd.NaT and value is not None:
                return value
        except OverflowError:
            pass  # an integer too large for a float is a number
    return None
