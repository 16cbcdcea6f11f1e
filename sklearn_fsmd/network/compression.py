"""Large vocabularies in small tables: the values of a column share rows.

References
----------
.. [QR] H.-J. M. Shi et al., "Compositional Embeddings Using Complementary Partitions for Memory-Efficient
   Recommendation Systems", KDD 2020.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from sklearn_fsmd.network.ragged import Lists, Ragged


class Range(NamedTuple):
    """The codes of a column, and their rows in the tables.

    Attributes
    ----------
    first_code : the code of unknown values.
    n_codes : number of codes.
    first_row, n_rows : range of rows in the table.
    n_own : number of codes with a row that they share with no value: that of unknown values, and that of missing ones.
    modulus : the code ``first_code + n_own + i`` is in row ``i % modulus`` after these rows.
    first_quotient, n_quotients : range of rows in the table of quotients, for ``i // modulus`` = 1, 2, …
    """

    first_code: int
    n_codes: int
    first_row: int
    n_rows: int
    n_own: int
    modulus: int
    first_quotient: int
    n_quotients: int


class Layout(nn.Module):
    """Maps codes to rows of a table in which no column has more than `limit` rows.

    Values whose codes are equal modulo the number of their rows share a row: the hashing trick on codes, which
    distributes them evenly. Unknown values share their row with no value, and missing values neither, since they can be
    a large part of the rows. With `quotients` the quotient of a value gives a row in a second table, which
    distinguishes values in the same row of the first table [QR]_. The quotient 0 is row 0 there, whose numbers stay 0.

    If a column grows, its values keep their rows, and the new values share them.

    Parameters
    ----------
    cardinalities : number of codes of each code column, including those of unknown and of missing values.
    first_values : for each column of categories the code of its first value, after those of unknown and of missing
        values. The code columns after them are bins, which share no rows.
    list_cardinalities, list_partners : as in :class:`~sklearn_fsmd.network.embedding.Columns`.
    limit : maximum number of rows of a column, at least 2.
    quotients : whether there is a second table.

    **Shape**: codes ``(B, F)`` → rows ``(B, F)``, and their quotients or None.
    """

    first_code: Tensor
    first_row: Tensor
    n_own: Tensor
    modulus: Tensor
    first_quotient: Tensor

    def __init__(
        self,
        cardinalities: Sequence[int],
        first_values: Sequence[int],
        list_cardinalities: Sequence[int],
        list_partners: Sequence[int | None],
        limit: int,
        *,
        quotients: bool,
    ) -> None:
        super().__init__()
        self.has_quotients = quotients
        ranges: list[Range] = []
        code, row, quotient = 0, 0, 1
        for f, n in enumerate([*cardinalities, *list_cardinalities]):
            is_bin = len(first_values) <= f < len(cardinalities)
            n_own = min(first_values[f], limit - 1) if f < len(first_values) else 1
            modulus = max(n, 1) if is_bin else limit - n_own
            n_rows = min(n, n_own + modulus)
            n_quotients = max(-(-(n - n_own) // modulus) - 1, 0) if quotients else 0
            ranges.append(Range(code, n, row, n_rows, n_own, modulus, quotient, n_quotients))
            code, row, quotient = code + n, row + n_rows, quotient + n_quotients
        self.columns, self.own_of_lists = ranges[: len(cardinalities)], ranges[len(cardinalities) :]
        self.of_lists = [
            list_range if partner is None else self.columns[partner]
            for list_range, partner in zip(self.own_of_lists, list_partners, strict=True)
        ]
        for name in ("first_code", "first_row", "n_own", "modulus", "first_quotient"):
            values = torch.tensor([getattr(column, name) for column in self.columns], dtype=torch.int64)
            self.register_buffer(name, values, persistent=False)

    @property
    def rows(self) -> list[int]:
        """Number of rows in the table per column, with the columns of lists last."""
        return [column.n_rows for column in (*self.columns, *self.own_of_lists)]

    @property
    def quotients(self) -> list[int]:
        """Number of rows in the table of quotients: 1 for row 0, then those of each column."""
        return [1, *(column.n_quotients for column in (*self.columns, *self.own_of_lists))]

    @property
    def without_quotients(self) -> tuple[int, ...]:
        """Indices of the code columns that have no rows in the table of quotients."""
        return tuple(f for f, column in enumerate(self.columns) if not column.n_quotients)

    def forward(self, codes: Tensor) -> tuple[Tensor, Tensor | None]:
        return self._split(codes, self)

    def split_lists(self, lists: Lists) -> tuple[Lists, list[Tensor | None]]:
        """The rows and quotients of the values of lists."""
        rows, quotients = [], []
        for column, r in zip(lists, self.of_lists, strict=True):
            flat_rows, flat_quotients = self._split(column.flat, r)
            rows.append(Ragged(flat_rows, column.offsets))
            quotients.append(flat_quotients)
        return Lists(tuple(rows)), quotients

    def _split(self, codes: Tensor, r: Range | Layout) -> tuple[Tensor, Tensor | None]:
        """The rows and quotients of codes of the column `r`; of all code columns if `r` is the layout."""
        i = codes - r.first_code - r.n_own  # negative for unknown and missing values
        rows = torch.where(i >= 0, i % r.modulus, i) + r.n_own + r.first_row
        if not self.has_quotients:
            return rows.to(codes.dtype), None
        quotients = torch.div(i, r.modulus, rounding_mode="floor")
        return rows.to(codes.dtype), torch.where(quotients > 0, quotients - 1 + r.first_quotient, 0).to(codes.dtype)
