"""One numeric column: scaled numbers, and the bins that they fall into. It is learned as a column of categories is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sklearn_fsmd.encoding.canonical import refuse_dtype, shown
from sklearn_fsmd.encoding.columns import UNKNOWN
from sklearn_fsmd.encoding.seen import Numbers

ALL_NUMBERS = ("floating", "integer", "mixed-integer-float", "boolean", "decimal", "empty")
"""What pandas calls objects of which each is a number or missing."""


class NumericColumn:
    """A numeric column: a scaled number, and the bin that the number falls into.

    Parameters
    ----------
    name : str, for messages.
    scaling : "standard" (mean 0 and variance 1), "quantile" (the rank among fit's values, uniform with mean 0 and
        variance 1, so that no outlier dominates) or None. Scaled numbers stay within the range of fit's.
    n_bins : about how many bins. A missing number has bin 0 and is the mean. With 0 there are no bins.

    Attributes
    ----------
    edges : the lower ends of the bins but the first.
    means : the scaled mean of each bin's numbers, from bin 1 on. Files of former versions have none.
    filling : what a missing number is, as scaled ones are: 0, or the mean of numbers that are left as they are.
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
        """Rows of the table that the bins need, the one for missing numbers included."""
        return len(self.edges) + 2 if self.n_bins else 0

    @property
    def ends(self) -> tuple[float, float]:
        """Where numbers are cut off: at the lowest and the highest of fit, or of its sample. NaN where none are."""
        if self.scaling == "standard":
            return self.range
        return (float(self.knots[0]), float(self.knots[-1])) if self.scaling == "quantile" else (np.nan, np.nan)

    def update(self, block: Any) -> None:
        """Learn from some rows."""
        self._see(self.floats(block))

    def finalize(self) -> None:
        """Scale and bins, from all numbers that were seen."""
        seen = self.__dict__.pop("seen", None) or Numbers()
        known = seen.sample()
        self.edges, means = _bins(known, self.n_bins)
        self._fit_scale(seen, known)
        self.means = self._scaled(means)

    def _fit_scale(self, seen: Numbers, known: np.ndarray) -> None:
        if self.scaling == "quantile":
            self._fit_ranks(known)
            return
        mean, spread, *ends = seen.moments(known)
        if self.scaling == "standard":
            self.center, self.scale, self.range = mean, spread or 1.0, (ends[0], ends[1])
        else:
            self.filling = float(np.float32(mean))

    def fit_encode(self, column: Any) -> tuple[np.ndarray, np.ndarray]:
        """Learn the scale and the bins of a whole column, and return numbers and bins."""
        x = self.floats(column)
        self._see(x)
        self.finalize()
        return self._encode(x)

    def _see(self, x: np.ndarray) -> None:
        self.seen = self.seen or Numbers()
        self.seen.add(x[~np.isnan(x)])

    def encode(self, column: Any) -> tuple[np.ndarray, np.ndarray]:
        """Scaled numbers ``(n,)`` float32 and bins ``(n,)`` int64."""
        return self._encode(self.floats(column))

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
        numbers = self._scaled(x).astype(np.float32)
        numbers[missing] = self.filling
        return numbers, bins

    def _scaled(self, x: np.ndarray) -> np.ndarray:
        if self.scaling == "quantile":
            return np.interp(x, self.knots, self.ranks)
        return (np.clip(x, *self.range) - self.center) / self.scale if self.scaling == "standard" else x

    def floats(self, column: Any) -> np.ndarray:
        """The numbers of a column, NaN where missing; raises where one is no number."""
        dtype = getattr(column, "dtype", None)
        refuse_dtype(dtype, self.name)
        try:
            self._refuse_what_is_no_number(column)
            if getattr(dtype, "kind", "") == "O":
                column = pd.Series(column, dtype=object)  # which knows pd.NA
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

    def _refuse_what_is_no_number(self, column: Any) -> None:
        if pd.api.types.is_numeric_dtype(getattr(column, "dtype", None)):
            return
        if pd.api.types.infer_dtype(column, skipna=True) in ALL_NUMBERS:
            return
        strange = _first_not_a_number(column)
        if strange is not None:
            at_fit = ", or list it in `categorical_features`, with all other categories"
            remedy = ", as by pandas.to_numeric: it was numeric in fit" if hasattr(self, "edges") else at_fit
            raise (ValueError if isinstance(strange, (str, bytes)) else TypeError)(
                f"Column {self.name!r} is read as numbers but holds {shown(strange)}. Convert it{remedy}."
            )


def _bins(known: np.ndarray, n_bins: int) -> tuple[np.ndarray, np.ndarray]:
    """The lower ends of the bins but the first, for at most about `n_bins` bins, and the mean of each.

    They stand between two values, so that a number of training is in the same bin as float32 and as float64. A value
    that fills a bin by itself gets one; the rest is cut into bins of equally many rows. Plain quantiles would leave a
    column of mostly zeros with hardly any bin for what is not zero. With 0 bins there are neither.
    """
    if not n_bins:
        return np.empty(0), np.empty(0)
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
    below, above = values[:-1][starts], values[1:][starts]
    middle = below + (above - below) / 2
    edges = np.where(middle > below, middle, above)  # which neighbouring float64 do not have
    first = np.flatnonzero(np.concatenate(([True], starts)))
    n_rows = np.add.reduceat(counts, first)  # 0 of a value that fills a bin by itself
    totals = np.add.reduceat(values * counts, first)
    return edges, np.where(n_rows > 0, totals / np.maximum(n_rows, 1), values[first])


def _first_not_a_number(column: Any) -> Any:
    """The first value that is no number, None if all are; "3.5" is a text."""
    for value in column:
        if isinstance(value, (str, bytes, np.datetime64, np.timedelta64)):
            return value
        try:
            float(value)
        except (TypeError, ValueError):
            if value is not pd.NA and value is not pd.NaT and value is not None:
                return value
        except OverflowError:
            pass  # a number nevertheless
    return None
