"""Large vocabularies in small tables: which rows the values of a column share.

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
    """The codes of a column, and the rows that they share.

    Attributes
    ----------
    first_code : the code of unknown values.
    n_codes : how many codes there are.
    first_row, n_rows : the rows of the table; the first one is that of unknown values alone.
    modulus : the known values `i` = 0, 1, … have the row ``i % modulus``, counted without the first.
    first_quotient, n_quotients : the rows of the table of quotients for ``i // modulus`` = 1, 2, …
    """

    first_code: int
    n_codes: int
    first_row: int
    n_rows: int
    modulus: int
    first_quotient: int
    n_quotients: int


class Layout(nn.Module):
    """Turns codes into rows of a table in which no column has more than `limit` of them.

    Values that are equal modulo ``limit − 1`` share a row, as evenly as can be: the hashing trick on codes. The row of
    unknown values is shared with none. With `quotients` a value also has a row of a second table by its quotient,
    which tells it from the others of its row [QR]_; where the quotient is 0 that is row 0, which stays 0.

    A column that grows keeps its rows: only new values come to share them.

    Parameters
    ----------
    cardinalities : the codes of each code column, that of unknown values included.
    n_categories : how many of these are categories; the others are bins, and share no rows.
    list_cardinalities, list_partners : as in :class:`~sklearn_fsmd.network.embedding.Columns`.
    limit : at least 2.
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
        made: list[Range] = []
        code, row, quotient = 0, 0, 1
        for f, n in enumerate([*cardinalities, *list_cardinalities]):
            is_bin = n_categories <= f < len(cardinalities)
            modulus = max(n, 1) if is_bin else limit - 1
            n_rows = min(n, modulus + 1)
            n_quotients = max(-(-(n - 1) // modulus) - 1, 0) if quotients else 0
            made.append(Range(code, n, row, n_rows, modulus, quotient, n_quotients))
            code, row, quotient = code + n, row + n_rows, quotient + n_quotients
        self.columns, own = made[: len(cardinalities)], made[len(cardinalities) :]
        self.own_of_lists = own
        self.of_lists = [
            of_list if partner is None else self.columns[partner]
            for of_list, partner in zip(own, list_partners, strict=True)
        ]
        for name in ("first_code", "first_row", "modulus", "first_quotient"):
            values = torch.tensor([getattr(column, name) for column in self.columns], dtype=torch.int64)
            self.register_buffer(name, values, persistent=False)

    @property
    def rows(self) -> list[int]:
        """How many rows of the table each column has, those of lists last."""
        return [column.n_rows for column in (*self.columns, *self.own_of_lists)]

    @property
    def quotients(self) -> list[int]:
        """Row 0 of the table of quotients, and how many rows each column has there."""
        return [1, *(column.n_quotients for column in (*self.columns, *self.own_of_lists))]

    @property
    def without_quotients(self) -> tuple[int, ...]:
        """The code columns whose values are told by their rows alone."""
        return tuple(f for f, column in enumerate(self.columns) if not column.n_quotients)

    def forward(self, codes: Tensor) -> tuple[Tensor, Tensor | None]:
        return self._split(codes, self.first_code, self.first_row, self.modulus, self.first_quotient)

    def split_lists(self, lists: Lists) -> tuple[Lists, list[Tensor | None]]:
        """The same of lists: rows, and the quotients of all values."""
        rows, quotients = [], []
        for column, r in zip(lists, self.of_lists, strict=True):
            own, of_values = self._split(column.flat, r.first_code, r.first_row, r.modulus, r.first_quotient)
            rows.append(Ragged(own, column.offsets))
            quotients.append(of_values)
        return Lists(tuple(rows)), quotients

    def _split(
        self, codes: Tensor, code: Tensor | int, row: Tensor | int, modulus: Tensor | int, quotient: Tensor | int
    ) -> tuple[Tensor, Tensor | None]:
        """Rows and quotients of codes, by what :class:`Range` says of their columns."""
        i = codes - code - 1  # −1 for unknown values
        rows = torch.where(i >= 0, i % modulus + 1, 0) + row
        if not self.has_quotients:
            return rows.to(codes.dtype), None
        by = torch.div(i, modulus, rounding_mode="floor")
        return rows.to(codes.dtype), torch.where(by > 0, by - 1 + quotient, 0).to(codes.dtype)
