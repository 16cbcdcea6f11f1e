"""A column of categories: its values become row numbers of an embedding table.

A column learns from each block of rows by `update`, fixes its vocabulary by `finalize`, and encodes blocks by `encode`.
For a table in memory, `fit_encode` does all three and reads the values once. The counts so far are kept in `seen`, an
object that can be replaced before the first block.

Categories are mapped *by value*. Row 0 is for unseen and rare values. Missing values, and the codes −1 and −2 with
which the usual encoders mark them, have row 1 if fit has seen some, since that a value is missing tells something: a
visitor without an id is a guest. Else they are unknown. Integers stay integers: no id is converted to a float.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd

from sklearn_fsmd.encoding.columns.canonical import Counted, Kind, as_array, canonical, factorize, kind_of, shown
from sklearn_fsmd.encoding.columns.lookup import look_up
from sklearn_fsmd.encoding.columns.seen import Counts
from sklearn_fsmd.encoding.columns.spelling import warn_of_spelling

UNKNOWN = 0
MANY_KNOWN = 100
"""A column with more known values is treated as a column of ids."""


class CategoryColumn:
    """The known values of a column and their codes.

    Parameters
    ----------
    name : str, for messages.
    min_frequency : values seen less often in fit than this share the row for unknown values. `finalize` replaces "auto"
        by a number that depends on the values; see :meth:`~sklearn_fsmd.encoding.columns.seen.Counts.least`.
    knows_missing : whether missing values have a row of their own if fit has seen `min_frequency` of them.

    Attributes
    ----------
    values : pandas.Index of the known values: those of fit, sorted, then later ones.
    first : the code of the first known value; value `i` has the code ``first + i``. It is 2 if missing values have a
        row of their own, else 1.
    kind : the kind of the values in fit; None if all were missing.
    rare : values that were first seen after fit, but not often enough yet, with their counts; None if there are none.
    """

    seen: Counts | None = None
    rare: Counted | None = None
    # Files of earlier versions lack these.
    knows_missing: bool = False
    first: int = UNKNOWN + 1

    def __init__(self, name: str, min_frequency: int | Literal["auto"] = 1, *, knows_missing: bool = False) -> None:
        self.name = name
        self.min_frequency = min_frequency
        self.knows_missing = knows_missing

    @property
    def n_rows(self) -> int:
        """Number of rows of the embedding table: for unknown values, perhaps missing ones, and each known one."""
        return self.first + len(self.values)

    @property
    def missing(self) -> int:
        """The code of missing values: their own, or that of unknown values."""
        return self.first - 1

    @property
    def has_many_values(self) -> bool:
        """Whether there are so many known values that they are treated as ids."""
        return len(self.values) > MANY_KNOWN

    def update(self, block: Any, name: str | None = None) -> None:
        """Learn from some rows.

        Parameters
        ----------
        name : the name of the column for messages, if another column shares this vocabulary; None for `self.name`.

        Raises
        ------
        AnotherKindError
            If the values are of another kind than those before.
        ValueError
            If a value cannot be a category.
        """
        name = name or self.name
        self._count(*factorize(block, name), name)

    def finalize(self) -> None:
        """Fix the known values, after all rows have been seen."""
        seen = self.__dict__.pop("seen", None) or Counts()
        self.kind: Kind | None = seen.kind
        self.min_frequency = least = seen.least(self.min_frequency)
        self.values = _sorted(seen.frequent(least), self.kind)
        has_row = self.knows_missing and self.kind is not None and seen.n_missing >= least
        self.first = UNKNOWN + 1 + has_row

    def knows(self, values: np.ndarray, kind: Kind | None, name: str | None = None) -> np.ndarray:
        """Whether each of these distinct values has a code, ``(n,)`` bool; `name` as for :meth:`update`.

        Raises
        ------
        AnotherKindError
            If the values are of another kind than those of fit.
        """
        return self._codes_of(values, kind, name or self.name)[:-1] > UNKNOWN

    def unknown_of(self, column: CategoryColumn) -> np.ndarray:
        """Return the values of another column that have no code here.

        Raises
        ------
        AnotherKindError
            If they are of another kind than those of fit.
        """
        values = np.asarray(column.values)
        return values[~self.knows(values, column.kind)]

    def append(self, values: np.ndarray, kind: Kind | None) -> None:
        """Add new values after the known ones, whose codes stay."""
        self.kind = self.kind or kind
        known, new = self.values.to_numpy(), _sorted(values, self.kind).to_numpy()
        if known.dtype == new.dtype:
            union = np.concatenate((known, new))
        else:
            union = as_array([*known.tolist(), *new.tolist()], self.kind or "mixed values")
        self.values = _index(union)

    def fit_encode(self, column: Any) -> np.ndarray:
        """Learn the values of a whole column and return their codes, ``(n,)`` int64."""
        positions, values, kind = factorize(column, self.name)
        self._count(positions, values, kind, self.name)
        self.finalize()
        return self._codes_of(values, kind, self.name)[positions]

    def _count(self, positions: np.ndarray, values: np.ndarray, kind: Kind | None, name: str) -> None:
        seen = self.seen = self.seen or Counts()
        _refuse_another_kind(seen.kind, values, kind, name, ("in the rows before", "in later ones"))
        n_missing, *_ = counts = np.bincount(positions + 1, minlength=len(values) + 1)
        seen.add((values, counts[1:], kind))
        seen.n_missing += int(n_missing)

    def encode(self, column: Any, name: str | None = None) -> np.ndarray:
        """Encode the values, ``(n,)`` integers, 0 where they are unknown; `name` as for :meth:`update`."""
        name = name or self.name
        if self.kind == "numbers" and (codes := look_up(self.values, column, self.first)) is not None:
            return codes
        positions, values, kind = factorize(column, name)
        return self._codes_of(values, kind, name)[positions]

    def __getstate__(self) -> dict[str, Any]:
        """Return the state with the values as a plain array, so that pickles contain no object of pandas."""
        return {**self.__dict__, "values": self.values.to_numpy()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        values = state["values"]
        # Earlier versions kept True and False in mixed values, instead of 1 and 0.
        if values.dtype == object and state["kind"] != "strings":
            values = np.fromiter((canonical(v, state["name"]) for v in values), dtype=object, count=len(values))
        self.__dict__.update(state, values=_index(values))

    def _codes_of(self, values: np.ndarray, kind: Kind | None, name: str) -> np.ndarray:
        """Codes of distinct `values`, then that of missing ones, so that position −1 of a missing value selects it."""
        codes = np.full(len(values) + 1, UNKNOWN, dtype=np.int64)
        codes[-1] = self.missing
        if kind is None or self.kind is None:
            return codes
        _refuse_another_kind(self.kind, values, kind, name)
        positions = self._find(values)
        is_known = positions >= 0
        codes[:-1][is_known] = self.first + positions[is_known]
        if kind == self.kind == "strings" and not is_known.any():
            warn_of_spelling(name, values, self.values)
        return codes

    def _find(self, values: np.ndarray) -> np.ndarray:
        """Positions of `values` among the known ones, −1 where they are not known."""
        if self.values.dtype == np.int64 and values.dtype == np.float64:  # without converting ids to floats
            positions = np.full(len(values), -1)
            whole = values == np.floor(values)
            positions[whole] = self.values.get_indexer(pd.Index(values[whole].astype(np.int64)))
            return positions
        are_numeric = values.dtype.kind != "O" and self.values.dtype.kind != "O"
        return self.values.get_indexer(pd.Index(values, dtype=None if are_numeric else object))


class AnotherKindError(ValueError):
    """Values are of another kind than those before, such as strings after numbers."""


def _refuse_another_kind(
    before: Kind | None, values: np.ndarray, kind: Kind | None, name: str, when: tuple[str, str] = ("in fit", "now")
) -> None:
    if before is None or kind is None or before in (kind, "mixed values"):
        return
    other = next(value for value in values.tolist() if kind_of(value) != before)
    is_bool = before == "numbers" and other in ("True", "False", "true", "false")
    raise AnotherKindError(
        f"Column {name!r} held {before} {when[0]} and holds {kind} {when[1]} "
        f"(found {shown(other)}{'; booleans are numbers' if is_bool else ''}). "
        f"Give it {'the type that it had in fit' if when[1] == 'now' else 'one type'}."
    )


def _sorted(values: np.ndarray, kind: Kind | None) -> pd.Index:
    if kind not in ("numbers", "strings"):
        order = sorted(range(len(values)), key=lambda i: (type(values[i]).__name__, str(values[i])))
        return _index(values[order])
    return _index(np.sort(values))


def _index(values: np.ndarray) -> pd.Index:
    """Create an index with its hash table: pandas would build it at the first lookup, which is not thread-safe."""
    index = pd.Index(values, dtype=object if values.dtype.kind in "OU" else values.dtype)
    index.get_indexer(index[:1])
    return index
