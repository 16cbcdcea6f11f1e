"""One column of categories: its values become row numbers of an embedding table.

A column is learned block by block, `update`, until all have been seen, `finalize`; then blocks are encoded, `encode`. A
table in memory is one block: `fit_encode` does the three and reads the values once. What a column has `seen` so far is
kept by an object that can be exchanged before the first block.

Categories are mapped *by value* to 1…n. Row 0 is for everything else: missing, unseen, rare, and the codes −1 and −2
with which the usual encoders mark such values. Integers stay integers: no id passes through a float.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd

from sklearn_fsmd.encoding.canonical import (
    Counted,
    Kind,
    as_array,
    canonical,
    factorize,
    kind_of,
    shown,
)
from sklearn_fsmd.encoding.lookup import look_up
from sklearn_fsmd.encoding.seen import Counts

UNKNOWN = 0
MANY_KNOWN = 100
"""A column of more known values counts as one of ids."""


class CategoryColumn:
    """The known values of a column and their codes.

    Parameters
    ----------
    name : str, for messages.
    min_frequency : values seen less often in fit than this share the row for unknown values. What "auto" means follows
        from the values, and is a number from `finalize` on; see :meth:`~sklearn_fsmd.encoding.seen.Counts.least`.

    Attributes
    ----------
    values : pandas.Index of the known values, those of fit sorted and later ones after them; value `i` has the code
        ``i + 1``.
    kind : what the values were in fit; None if all were missing.
    rare : values that came up after fit, not often enough yet, and how often; None if there are none.
    """

    seen: Counts | None = None
    rare: Counted | None = None

    def __init__(self, name: str, min_frequency: int | Literal["auto"] = 1) -> None:
        self.name = name
        self.min_frequency = min_frequency

    @property
    def n_rows(self) -> int:
        """Rows of the table that the column needs: one per known value, and one for unknown values."""
        return len(self.values) + 1

    @property
    def has_many_values(self) -> bool:
        """Whether there are so many known values that they are ids."""
        return len(self.values) > MANY_KNOWN

    def update(self, block: Any, name: str | None = None) -> None:
        """Learn from some rows.

        Parameters
        ----------
        name : what messages call the column; None for its own name. Others may share the vocabulary.

        Raises
        ------
        AnotherKindError
            If they hold values of another kind than those before.
        ValueError
            If a value is none that a category can have.
        """
        name = name or self.name
        self._count(*factorize(block, name), name)

    def finalize(self) -> None:
        """The values that are known from now on."""
        seen = self.__dict__.pop("seen", None) or Counts()
        self.kind: Kind | None = seen.kind
        self.min_frequency = least = seen.least(self.min_frequency)
        self.values = _sorted(seen.frequent(least), self.kind)

    def knows(self, values: np.ndarray, kind: Kind | None, name: str | None = None) -> np.ndarray:
        """Which of these distinct values have a code, ``(n,)`` bool; `name` as for :meth:`update`.

        Raises
        ------
        AnotherKindError
            If they are of another kind than those of fit.
        """
        return self._codes_of(values, kind, name or self.name)[:-1] > UNKNOWN

    def unknown_of(self, column: CategoryColumn) -> np.ndarray:
        """The values of another column that have no code here.

        Raises
        ------
        AnotherKindError
            If they are of another kind than those of fit.
        """
        values = np.asarray(column.values)
        return values[~self.knows(values, column.kind)]

    def append(self, values: np.ndarray, kind: Kind | None) -> None:
        """Know these values too, which are new; the codes of the others stay."""
        self.kind = self.kind or kind
        known, more = self.values.to_numpy(), _sorted(values, self.kind).to_numpy()
        if known.dtype == more.dtype:
            together = np.concatenate((known, more))
        else:
            together = as_array([*known.tolist(), *more.tolist()], self.kind or "mixed values")
        self.values = _index(together)

    def fit_encode(self, column: Any) -> np.ndarray:
        """Learn the values of a whole column and return their codes, ``(n,)`` int64."""
        positions, values, kind = factorize(column, self.name)
        self._count(positions, values, kind, self.name)
        self.finalize()
        return self._codes_of(values, kind, self.name)[positions]

    def _count(self, positions: np.ndarray, values: np.ndarray, kind: Kind | None, name: str) -> None:
        seen = self.seen = self.seen or Counts()
        _refuse_another_kind(seen.kind, values, kind, name, ("in the rows before", "in later ones"))
        seen.add((values, np.bincount(positions + 1, minlength=len(values) + 1)[1:], kind))

    def encode(self, column: Any, name: str | None = None) -> np.ndarray:
        """The codes of the values, ``(n,)`` integers, 0 where they are unknown; `name` as for :meth:`update`."""
        name = name or self.name
        if self.kind == "numbers" and (codes := look_up(self.values, column)) is not None:
            return codes
        positions, values, kind = factorize(column, name)
        return self._codes_of(values, kind, name)[positions]

    def __getstate__(self) -> dict[str, Any]:
        """The values as a plain array: no object of another library is in a pickle."""
        return {**self.__dict__, "values": self.values.to_numpy()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        values = state["values"]
        # Older versions kept the True and False of mixed values as they were.
        if values.dtype == object and state["kind"] != "strings":
            values = np.fromiter((canonical(v, state["name"]) for v in values), dtype=object, count=len(values))
        self.__dict__.update(state, values=_index(values))

    def _codes_of(self, values: np.ndarray, kind: Kind | None, name: str) -> np.ndarray:
        """Codes of distinct `values`, and last a 0 which the position −1 of a missing value picks."""
        codes = np.zeros(len(values) + 1, dtype=np.int64)
        if kind is None or self.kind is None:
            return codes
        _refuse_another_kind(self.kind, values, kind, name)
        codes[:-1] = self._find(values) + 1
        return codes

    def _find(self, values: np.ndarray) -> np.ndarray:
        """The positions of `values` among the known ones, −1 where they are not known."""
        if self.values.dtype == np.int64 and values.dtype == np.float64:  # no id passes through a float
            positions = np.full(len(values), -1)
            whole = values == np.floor(values)
            positions[whole] = self.values.get_indexer(pd.Index(values[whole].astype(np.int64)))
            return positions
        alike = values.dtype.kind != "O" and self.values.dtype.kind != "O"
        return self.values.get_indexer(pd.Index(values, dtype=None if alike else object))


class AnotherKindError(ValueError):
    """Values are of another kind than those before: strings beside numbers."""


def _refuse_another_kind(
    before: Kind | None, values: np.ndarray, kind: Kind | None, name: str, when: tuple[str, str] = ("in fit", "now")
) -> None:
    if before is None or kind is None or before in (kind, "mixed values"):
        return
    strange = [value for value in values.tolist() if kind_of(value) != before]
    raise AnotherKindError(
        f"Column {name!r} held {before} {when[0]} and holds {kind} {when[1]} (found {shown(strange[0])}). "
        f"Give it {'the type that it had in fit' if when[1] == 'now' else 'one type'}."
    )


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
