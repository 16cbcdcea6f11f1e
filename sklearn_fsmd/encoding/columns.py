"""One column: its values become row numbers of an embedding table, or scaled numbers and bins.

A column is learned block by block, `update`, until all have been seen, `finalize`; then blocks are encoded, `encode`. A
table in memory is one block: `fit_encode` does the three and reads the values once. What a column has `seen` so far is
kept by an object that can be exchanged before the first block.

Categories are mapped *by value* to 1…n. Row 0 is for everything else: missing, unseen, rare, and the codes −1 and −2
with which the usual encoders mark such values. Integers stay integers: no id passes through a float.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sklearn_fsmd.encoding.canonical import Kind, canonical, factorize, kind_of, refuse_dtype, shown
from sklearn_fsmd.encoding.lookup import look_up
from sklearn_fsmd.encoding.seen import Counts, Numbers

UNKNOWN = 0
ALL_NUMBERS = ("floating", "integer", "mixed-integer-float", "boolean", "decimal", "empty")
"""What pandas calls objects of which each is a number or missing."""


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

    seen: Counts | None = None

    def __init__(self, name: str, min_frequency: int = 1) -> None:
        self.name = name
        self.min_frequency = min_frequency

    @property
    def n_rows(self) -> int:
        """Rows of the table that the column needs: one a known value, and one for unknown values."""
        return len(self.values) + 1

    def update(self, block: Any) -> None:
        """Learn from some rows.

        Raises
        ------
        ValueError
            If they hold values of another kind than those before.
        """
        self._count(*factorize(block, self.name))

    def finalize(self) -> None:
        """The values that are known from now on."""
        seen = self.__dict__.pop("seen", None) or Counts()
        self.kind: Kind | None = seen.kind
        self.values = _sorted(seen.frequent(self.min_frequency), self.kind)

    def fit_encode(self, column: Any) -> np.ndarray:
        """Learn the values of a whole column and return their codes, ``(n,)`` int64."""
        positions, values, kind = factorize(column, self.name)
        self._count(positions, values, kind)
        self.finalize()
        return self._codes_of(values, kind)[positions]

    def _count(self, positions: np.ndarray, values: np.ndarray, kind: Kind | None) -> None:
        seen = self.seen = self.seen or Counts()
        self._refuse_another_kind(seen.kind, values, kind)
        seen.add((values, np.bincount(positions + 1, minlength=len(values) + 1)[1:], kind))

    def encode(self, column: Any) -> np.ndarray:
        """The codes of the values, ``(n,)`` integers, 0 where they are unknown."""
        if self.kind == "numbers" and (codes := look_up(self.values, column)) is not None:
            return codes
        positions, values, kind = factorize(column, self.name)
        return self._codes_of(values, kind)[positions]

    def __getstate__(self) -> dict[str, Any]:
        """The values as a plain array: no object of another library is in a pickle."""
        return {**self.__dict__, "values": self.values.to_numpy()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        values = state["values"]
        if values.dtype == object:  # older versions kept the True and False of mixed values as they were
            values = np.fromiter((canonical(v, state["name"]) for v in values), dtype=object, count=len(values))
        self.__dict__.update(state, values=_index(values))

    def _codes_of(self, values: np.ndarray, kind: Kind | None) -> np.ndarray:
        """Codes of distinct `values`, and last a 0 which the position −1 of a missing value picks."""
        codes = np.zeros(len(values) + 1, dtype=np.int64)
        if kind is None or self.kind is None:
            return codes
        self._refuse_another_kind(self.kind, values, kind)
        codes[:-1] = self._find(values) + 1
        return codes

    def _refuse_another_kind(self, before: Kind | None, values: np.ndarray, kind: Kind | None) -> None:
        if before is None or kind is None or before in (kind, "mixed values"):
            return
        strange = [value for value in values.tolist() if kind_of(value) != before]
        raise ValueError(
            f"Column {self.name!r} held {before} in fit and holds {kind} now (found {shown(strange[0])}). "
            "Give it the type that it had in fit."
        )

    def _find(self, values: np.ndarray) -> np.ndarray:
        """The positions of `values` among the known ones, −1 where they are not known."""
        if self.values.dtype == np.int64 and values.dtype == np.float64:  # no id passes through a float
            positions = np.full(len(values), -1)
            whole = values == np.floor(values)
            positions[whole] = self.values.get_indexer(pd.Index(values[whole].astype(np.int64)))
            return positions
        alike = values.dtype.kind != "O" and self.values.dtype.kind != "O"
        return self.values.get_indexer(pd.Index(values, dtype=None if alike else object))


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
    seen: Numbers | None = None

    def __init__(self, name: str, scaling: str | None, n_bins: int) -> None:
        self.name = name
        self.scaling = scaling
        self.n_bins = n_bins

    @property
    def n_rows(self) -> int:
        """Rows of the table that the bins need, the one for missing numbers included."""
        return len(self.edges) + 2 if self.n_bins else 0

    def update(self, block: Any) -> None:
        """Learn from some rows."""
        self._see(self._floats(block))

    def finalize(self) -> None:
        """Scale and bins, from all numbers that were seen."""
        seen = self.__dict__.pop("seen", None) or Numbers()
        known = seen.sample()
        self.edges = _bin_edges(known, self.n_bins) if self.n_bins else np.empty(0)
        if self.scaling == "quantile":
            self._fit_ranks(known)
        elif self.scaling == "standard":
            mean, spread, *ends = seen.moments(known)
            self.center, self.scale, self.range = mean, spread or 1.0, (ends[0], ends[1])

    def fit_encode(self, column: Any) -> tuple[np.ndarray, np.ndarray]:
        """Learn the scale and the bins of a whole column, and return numbers and bins."""
        x = self._floats(column)
        self._see(x)
        self.finalize()
        return self._encode(x)

    def _see(self, x: np.ndarray) -> None:
        self.seen = self.seen or Numbers()
        self.seen.add(x[~np.isnan(x)])

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
            raise (ValueError if isinstance(strange, (str, bytes)) else TypeError)(
                f"Column {self.name!r} is numeric but holds {shown(strange)}. "
                "Convert it, or list it among all categories in `categorical_features`."
            )


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


def _sorted(values: np.ndarray, kind: Kind | None) -> pd.Index:
    if kind not in ("numbers", "strings"):
        order = sorted(range(len(values)), key=lambda i: (type(values[i]).__name__, str(values[i])))
        return _index(values[order])
    return _index(np.sort(values))


def _index(values: np.ndarray) -> pd.Index:
    """An index whose table is built: pandas builds it at the first look, of which several threads make a mess."""
    index = pd.Index(values, dtype=object if values.dtype.kind in "OU" else values.dtype)
    index.get_indexer(index[:1])
    return index


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
