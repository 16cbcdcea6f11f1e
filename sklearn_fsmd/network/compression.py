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
    first_row, n_rows : range of rows in the table; the first row is for unknown values only.
    modulus : the code ``first_code + 1 + i`` is in row ``i % modulus`` after the first row.
    first_quotient, n_quotients : range of rows in the table of quotients, for ``i // modulus`` = 1, 2, …
    """

    first_code: int
    n_codes: int
    first_row: int
    n_rows: int
    modulus: int
    first_quotient: int
    n_quotients: int


class Layout(nn.Module):
    """Maps codes to rows of a table in which no column has more than `limit` rows.

    Values whose codes are equal modulo ``limit − 1`` share a row: the hashing trick on codes, which distributes them
    evenly. Unknown values share their row with no value. With `quotients` the quotient of a value gives a row in a
    second table, which distinguishes values in the same row of the first table [QR]_. The quotient 0 is row 0 there,
    whose numbers stay 0.

    If a column grows, its values keep their rows, and the new values share them.

    Parameters
    ----------
    cardinalities : number of codes of each code column, including the code of unknown values.
    n_categories : number of code columns that are categories; the others are bins, which share no rows.
    list_cardinalities, list_partners : as in :class:`~sklearn_fsmd.network.embedding.Columns`.
    limit : maximum number of rows of a column, at least 2.
    quotients : whether there is a second table.

    **Shape**: codes ``(B, F)`` → rows ``(B, F)``, and their quotients or None.
    """

    first_code: Tensor
    first_row: Tensor
    modulus: Tensor
    first_quotient: Tensor

    def __init__(
        self,
        cardinalities: Sequence[int],
        n_categories: int,
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
            is_bin = n_categories <= f < len(cardinalities)
            modulus = max(n, 1) if is_bin else limit - 1
            n_rows = min(n, modulus + 1)
            n_quotients = max(-(-(n - 1) // modulus) - 1, 0) if quotients else 0
            ranges.append(Range(code, n, row, n_rows, modulus, quotient, n_quotients))
            code, row, quotient = code + n, row + n_rows, quotient + n_quotients
        self.columns, self.own_of_lists = ranges[: len(cardinalities)], ranges[len(cardinalities) :]
        self.of_lists = [
            list_range if partner is None else self.columns[partner]
            for list_range, partner in zip(self.own_of_lists, list_partners, strict=True)
        ]
        for name in ("first_code", "first_row", "modulus", "first_quotient"):
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
        return self._split(codes, self.first_code, self.first_row, self.modulus, self.first_quotient)

    def split_lists(self, lists: Lists) -> tuple[Lists, list[Tensor | None]]:
        """The rows and quotients of the values of lists."""
        rows, quotients = [], []
        for column, r in zip(lists, self.of_lists, strict=True):
            flat_rows, flat_quotients = self._split(column.flat, r.first_code, r.first_row, r.modulus, r.first_quotient)
            rows.append(Ragged(flat_rows, column.offsets))
            quotients.append(flat_quotients)
        return Lists(tuple(rows)), quotients

    def _split(
        self, codes: Tensor, code: Tensor | int, row: Tensor | int, modulus: Tensor | int, quotient: Tensor | int
    ) -> tuple[Tensor, Tensor | None]:
        """The rows and quotients of codes; the other arguments are the fields of :class:`Range` of their columns."""
        i = codes - code - 1  # −1 for unknown values
        rows = torch.where(i >= 0, i % modulus + 1, 0) + row
        if not self.has_quotients:
            return rows.to(codes.dtype), None
        quotients = torch.div(i, modulus, rounding_mode="floor")
        return rows.to(codes.dtype), torch.where(quotients > 0, quotients - 1 + quotient, 0).to(codes.dtype)
