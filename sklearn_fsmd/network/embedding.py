"""Columns become vectors: one embedding table for all columns, with a range of rows for each."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from sklearn_fsmd.network.compression import Layout
from sklearn_fsmd.network.interpolation import Interpolation
from sklearn_fsmd.network.list_attention import ListAttention
from sklearn_fsmd.network.ragged import Lists, Ragged
from sklearn_fsmd.network.seam import FORMULA, Execution, RowSpec, with_origin
from sklearn_fsmd.network.vector_fields import VectorFields

STARTING_RMS = 0.03
"""Root mean square of embeddings that were learned beforehand."""


class Columns(NamedTuple):
    """The rows of the embedding table that each code column has, the number of numeric columns, lists and vectors.

    `list_cardinalities` are the rows of each column of lists; 0 if it shares those of a code column, which is named by
    its number in `list_partners`, else None. `vector_widths` are the lengths of the vectors of each such column, whose
    components stand among the numbers from `first_vector` on; `n_numeric` are the other numbers. Where values share
    rows, `layout` says which, the cardinalities are those of the table, and there are `n_quotients`. Where vectors of
    numbers lie between those of bins, `bin_means` are the means of each numeric column's, whose bins are the last code
    columns. Without `with_tables` a table has a single row, until one that was read is put in its place.
    """

    cardinalities: Sequence[int]
    n_numeric: int
    list_cardinalities: Sequence[int] = ()
    list_partners: Sequence[int | None] = ()
    vector_widths: Sequence[int] = ()
    first_vector: int = 0
    layout: Layout | None = None
    n_quotients: int = 0
    bin_means: Sequence[np.ndarray] = ()
    with_tables: bool = True

    @property
    def n_rows(self) -> int:
        """Rows of the table."""
        if not self.with_tables:
            return 1
        return sum(self.cardinalities) + sum(self.list_cardinalities)

    @property
    def n_fields(self) -> int:
        """How many vectors there are for a row."""
        return len(self.cardinalities) + len(self.list_cardinalities) + len(self.vector_widths)

    @property
    def n_numbers(self) -> int:
        """How many numbers there are for a row, the components of vectors included."""
        return self.n_numeric + sum(self.vector_widths)


class Embedded(NamedTuple):
    """What the low-order part and the extractor read of a batch.

    `codes` ``(B, F)`` are the rows of the table; `numbers` ``(B, N)`` the scaled numeric columns and the components of
    vectors; `scalars` those numbers that are of no vector; `fields` ``(B, F + L + V, S, D)`` the looked-up vectors, in
    `S` sets (1, or one per task where nothing is shared), those of the `L` `lists` pooled, and the `V` vectors mapped.
    `first_order` ``(B, F + L, O)`` are the first-order terms of codes and lists, where they are not to be looked up.
    `origin` says of what the flat rows were made, where they begin with vectors as the table has them.
    """

    codes: Tensor
    numbers: Tensor
    scalars: Tensor
    fields: Tensor
    lists: Lists | None = None
    first_order: Tensor | None = None
    origin: RowSpec | None = None

    def flat(self) -> Tensor:
        """The input of the deep part: all fields and scalars side by side, ``(B, I)`` or, in sets, ``(B, S, I)``."""
        n_sets = self.fields.shape[2]
        if n_sets == 1:
            return with_origin(torch.cat((self.fields.flatten(1), self.scalars), dim=1), self.origin)
        vectors = self.fields.transpose(1, 2).flatten(2)  # (B, S, F * D)
        return torch.cat((vectors, self.scalars.unsqueeze(1).expand(-1, n_sets, -1)), dim=2)


class Located(NamedTuple):
    """Rows of the table, ``(B, F)``, and of that of quotients, if there is one; the same of the values of lists."""

    codes: Tensor
    quotients: Tensor | None
    lists: Lists | None
    of_lists: Sequence[Tensor | None]


class Table(nn.Embedding):
    """An embedding table.

    **Shape**: ``(B, F)`` codes → ``(B, F, D)``.
    """

    execution: Execution = FORMULA

    def pooled(self, column: Ragged, pooling: str) -> Tensor:
        """The pooled vectors of a column of lists, ``(B, D)``; zeros for an empty list."""
        offsets = column.offsets[:-1].to(column.flat.dtype)
        return functional.embedding_bag(
            column.flat, self.weight, offsets, mode=pooling, sparse=self.sparse and pooling != "max"
        )

    def forward(self, codes: Tensor) -> Tensor:
        computed = self.execution.lookup(self.weight, codes) if self.training and not self.sparse else None
        return super().forward(codes) if computed is None else computed

    def vectors(self, codes: Tensor) -> Tensor:
        """The rows of any number of codes, ``(m, D)``."""
        return functional.embedding(codes, self.weight, sparse=self.sparse)


class Quotients(Table):
    """What tells values apart that share a row of a table: factors for its numbers, as what they differ from 1 by.

    Row 0 is for values whose factor is 1, and stays 0. The others are drawn far apart: values with like factors are
    hardly told apart before training ends.
    """

    def __init__(self, n_rows: int, dim: int) -> None:
        factors = torch.cat((torch.zeros(1, dim), torch.randn(n_rows - 1, dim)))
        super().__init__(n_rows, dim, padding_idx=0, _weight=factors)

    def forward(self, rows: Tensor) -> Tensor:
        return 1 + self.vectors(rows)

    def vectors(self, codes: Tensor) -> Tensor:
        return functional.embedding(codes, self.weight, padding_idx=0, sparse=self.sparse)


def pool(vectors: Tensor, column: Ragged, pooling: str) -> Tensor:
    """The vectors ``(m, D)`` of all values of a column of lists, pooled, ``(B, D)``; zeros for an empty list."""
    index = torch.arange(len(vectors), device=vectors.device)
    return functional.embedding_bag(index, vectors, column.offsets[:-1], mode=pooling)


def plain(pooling: str) -> str:
    """The pooling where there is no candidate to attend to: the mean."""
    return "mean" if pooling == "attention" else pooling


class Embedding(nn.Module):
    """One table for all columns; column `f` owns the rows ``offsets[f] … offsets[f] + cardinalities[f] - 1``.

    Parameters
    ----------
    columns : whose values have rows: first those of the code columns, then those of the lists.
    dim : length of a vector, `D`.
    n_sets : how many separate vectors a value has, `S`.
    std : standard deviation of the initial values. Small, so that a rarely seen id starts out as no information.
    pooling : what is made of the vectors of a list: their "mean", "sum" or "max", or, where there is a candidate, by
        "attention" a mean that is weighted by it, see :class:`ListAttention`.

    **Shape**: ``(B, F)`` codes, counted through all columns, ``(B, N)`` numbers and lists → :class:`Embedded`.

    Examples
    --------
    >>> import torch
    >>> embedding = Embedding(Columns([3, 10], n_numeric=1), dim=4)
    >>> embedding(torch.tensor([[0, 3], [2, 12]]), torch.zeros(2, 1)).flat().shape
    torch.Size([2, 9])
    """

    def __init__(
        self, columns: Columns, dim: int, *, n_sets: int = 1, std: float = 1e-4, pooling: str = "mean"
    ) -> None:
        super().__init__()
        self.layout = copy.deepcopy(columns.layout)  # a module of its own for each embedding
        self.between = Interpolation(columns.bin_means) if len(columns.bin_means) else None
        self.number_rows(columns.cardinalities)
        self.n_sets = n_sets
        self.n_lists = len(columns.list_cardinalities)
        self.list_partners = columns.list_partners if pooling == "attention" else [None] * self.n_lists
        self.pooling = plain(pooling)
        self.table = Table(columns.n_rows, n_sets * dim)
        nn.init.normal_(self.table.weight, std=std)
        self.quotients = Quotients(columns.n_quotients, n_sets * dim) if columns.n_quotients else None
        units = [ListAttention(n_sets, dim) for partner in self.list_partners if partner is not None]
        self.attention = nn.ModuleList(units)
        widths = columns.vector_widths
        self.vectors = VectorFields(widths, columns.first_vector, n_sets, dim) if widths else None

    def forward(self, codes: Tensor, numbers: Tensor, lists: Lists | None = None) -> Embedded:
        found = self.located(codes, lists)
        embedded = self.with_vectors(found.codes, numbers, self.looked_up(found, numbers), found.lists)
        if self.n_sets > 1:
            return embedded
        columns = tuple(range(len(self.cardinalities))) if self.layout is None else self.layout.without_quotients
        if self.between is not None:
            columns = tuple(f for f in columns if f < self.between.first_column)
        table = self.table
        origin = RowSpec(found.codes, self.cardinalities, columns, table.embedding_dim, table.vectors)
        return embedded._replace(origin=origin)

    def number_rows(self, cardinalities: Sequence[int]) -> None:
        """Say how many rows of the table each code column has."""
        self.cardinalities = tuple(cardinalities)
        if self.between is not None:
            self.between.number_rows(self.cardinalities)

    def located(self, codes: Tensor, lists: Lists | None = None) -> Located:
        """Where the values of codes and lists are in the tables."""
        of_values: list[Tensor | None] = [None] * self.n_lists
        if self.layout is None:
            return Located(codes, None, lists, of_values)
        rows, quotients = self.layout(codes)
        if lists is not None:
            lists, of_values = self.layout.split_lists(lists)
        return Located(rows, quotients, lists, of_values)

    def looked_up(self, found: Located, numbers: Tensor) -> Tensor:
        """The fields of codes and of lists, ``(B, F + L, S, D)``."""
        if self.between is None:
            vectors = self.table(found.codes)
        else:
            vectors = self._between_bins(found.codes, numbers[:, : self.between.n_columns], self.between)
        if self.quotients is not None:
            vectors = vectors * self.quotients(found.quotients)
        fields = vectors.unflatten(2, (self.n_sets, -1))  # (B, F, S, D)
        if found.lists is None:
            return fields
        return torch.cat((fields, self._pooled(found.lists, found.of_lists, fields)), dim=1)

    def _between_bins(self, codes: Tensor, numbers: Tensor, between: Interpolation) -> Tensor:
        """The vectors of all code columns, of which the last are bins, ``(B, F, S * D)``."""
        beside, share = between(codes[:, between.first_column :], numbers)
        found = self.table(torch.cat((codes, beside), dim=1))
        n = between.n_columns
        others, of_bins, of_those_beside = found.split((between.first_column, n, n), dim=1)
        return torch.cat((others, torch.lerp(of_bins, of_those_beside, share.unsqueeze(2))), dim=1)

    def with_vectors(self, codes: Tensor, numbers: Tensor, fields: Tensor, lists: Lists | None = None) -> Embedded:
        """The embedded rows whose codes and lists have these fields."""
        scalars = numbers
        if self.vectors is not None:
            scalars, of_vectors = self.vectors(numbers)
            fields = torch.cat((fields, of_vectors), dim=1)
        return Embedded(codes, numbers, scalars, fields, lists)

    def _pooled(self, lists: Lists, quotients: Sequence[Tensor | None], fields: Tensor) -> Tensor:
        """A vector for each column of lists, ``(B, L, S, D)``."""
        pooled, units = [], iter(self.attention)
        for column, of_values, partner in zip(lists, quotients, self.list_partners, strict=True):
            if partner is None and self.quotients is None:
                pooled.append(self.table.pooled(column, self.pooling).unflatten(1, (self.n_sets, -1)))
                continue
            flat = self.table.vectors(column.flat)
            if self.quotients is not None:
                flat = flat * self.quotients(of_values)
            if partner is None:
                pooled.append(pool(flat, column, self.pooling).unflatten(1, (self.n_sets, -1)))
            else:
                vectors = flat.unflatten(1, (self.n_sets, -1))
                pooled.append(next(units)(vectors, column.offsets.diff(), fields[:, partner]))
        return torch.stack(pooled, dim=1)

    @torch.no_grad()
    def start_from(self, vectors: Tensor) -> float:
        """Take `vectors` ``(rows, D)`` for the initial values, in every set, and leave the rows out that are NaN.

        They are scaled to a common size, by the factor that is returned: the FM adds products of all pairs of them to
        every logit.
        """
        factor = STARTING_RMS / vectors[~vectors.isnan()].square().mean().sqrt().clamp(min=1e-9).item()
        vectors = (vectors * factor).to(self.table.weight.device).repeat(1, self.n_sets)
        self.table.weight.copy_(torch.where(vectors.isnan(), self.table.weight, vectors))
        return factor
