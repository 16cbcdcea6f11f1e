"""Embedding of columns: one embedding table for all columns, with a range of rows for each column."""

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
from sklearn_fsmd.parameters import NetworkParameters

STARTING_RMS = 0.03
"""Root mean square to which pretrained embeddings are scaled."""


def embedding_dim_of(p: NetworkParameters) -> int:
    """The length of the embeddings, where a fit has replaced "auto" by a number."""
    assert p.embedding_dim != "auto"
    return p.embedding_dim


class Columns(NamedTuple):
    """The encoded columns of a network: code columns, numeric columns, lists and vectors.

    Attributes
    ----------
    cardinalities : number of table rows of each code column.
    n_numeric : number of numeric columns and statistics of the targets.
    list_cardinalities : number of table rows of each column of lists; 0 if it shares the rows of a code column.
    list_partners : for each column of lists the index of the code column whose rows it shares, or None.
    vector_widths : length of the vectors of each column of vectors.
    first_vector : index of the first component of a vector among the numbers.
    layout : the rows that values share, or None. With a layout the cardinalities are those after sharing.
    n_quotients : number of rows in the table of quotients; 0 if there is none.
    bin_means : the means of the bins of each numeric column, whose bins are the last code columns, if the vectors of
        numbers are interpolated between bins; else empty.
    with_tables : if False, each table has a single row, until a table that was read from a file replaces it.
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
        """Number of rows of the table."""
        if not self.with_tables:
            return 1
        return sum(self.cardinalities) + sum(self.list_cardinalities)

    @property
    def n_fields(self) -> int:
        """Number of embedding vectors of a row."""
        return len(self.cardinalities) + len(self.list_cardinalities) + len(self.vector_widths)

    @property
    def n_numbers(self) -> int:
        """Number of numbers of a row, including the components of vectors."""
        return self.n_numeric + sum(self.vector_widths)


class Embedded(NamedTuple):
    """An embedded batch: the input of the low-order part and of the extractor.

    Attributes
    ----------
    codes : ``(B, F)``, rows of the table.
    numbers : ``(B, N)``, the scaled numeric columns, the statistics, and the components of vectors.
    scalars : the numbers that belong to no vector.
    fields : ``(B, F + L + V, S, D)``, the vectors of the codes, the pooled vectors of the `L` columns of lists, and the
        mapped vectors of the `V` columns of vectors, in `S` sets: 1, or one per task if nothing is shared.
    lists : rows of the table for the values of lists.
    first_order : ``(B, F + L, O)``, the first-order terms of codes and lists; None if they must be looked up.
    origin : the origin of the flat rows, if they begin with rows of the table; else None.
    """

    codes: Tensor
    numbers: Tensor
    scalars: Tensor
    fields: Tensor
    lists: Lists | None = None
    first_order: Tensor | None = None
    origin: RowSpec | None = None

    def flat(self) -> Tensor:
        """The input of the deep part: concatenated fields and scalars, ``(B, I)``; ``(B, S, I)`` for several sets."""
        n_sets = self.fields.shape[2]
        if n_sets == 1:
            return with_origin(torch.cat((self.fields.flatten(1), self.scalars), dim=1), self.origin)
        vectors = self.fields.transpose(1, 2).flatten(2)  # (B, S, F * D)
        return torch.cat((vectors, self.scalars.unsqueeze(1).expand(-1, n_sets, -1)), dim=2)


class Located(NamedTuple):
    """Rows ``(B, F)`` of the table and of the table of quotients, if there is one, and both for the values of lists."""

    codes: Tensor
    quotients: Tensor | None
    lists: Lists | None
    list_quotients: Sequence[Tensor | None]


class Table(nn.Embedding):
    """An embedding table.

    **Shape**: ``(B, F)`` codes → ``(B, F, D)``.
    """

    execution: Execution = FORMULA

    def pooled(self, column: Ragged, pooling: str) -> Tensor:
        """The pooled vectors of a column of lists, ``(B, D)``; zeros for an empty list."""
        if self.sparse and pooling == "max":  # which torch computes with dense gradients only
            return pool(self.vectors(column.flat), column, pooling)
        offsets = column.offsets[:-1].to(column.flat.dtype)
        return functional.embedding_bag(column.flat, self.weight, offsets, mode=pooling, sparse=self.sparse)

    def forward(self, codes: Tensor) -> Tensor:
        computed = self.execution.lookup(self.weight, codes) if self.training and not self.sparse else None
        return super().forward(codes) if computed is None else computed

    def vectors(self, codes: Tensor) -> Tensor:
        """The vectors ``(m, D)`` of codes ``(m,)``."""
        return functional.embedding(codes, self.weight, sparse=self.sparse)


class Quotients(Table):
    """Factors that distinguish values in the same row of a table; the weights are their differences from 1.

    Row 0 is for values with a factor of 1, and stays 0. The initial values of the other rows differ widely: training
    would end before it could separate values with similar factors.
    """

    def __init__(self, n_rows: int, dim: int) -> None:
        factors = torch.cat((torch.zeros(1, dim), torch.randn(n_rows - 1, dim)))
        super().__init__(n_rows, dim, padding_idx=0, _weight=factors)

    def forward(self, rows: Tensor) -> Tensor:
        return 1 + self.vectors(rows)

    def vectors(self, codes: Tensor) -> Tensor:
        return functional.embedding(codes, self.weight, padding_idx=0, sparse=self.sparse)


def pool(vectors: Tensor, column: Ragged, pooling: str) -> Tensor:
    """Pool the vectors ``(m, D)`` of the values of a column of lists to ``(B, D)``; zeros for an empty list."""
    index = torch.arange(len(vectors), device=vectors.device)
    return functional.embedding_bag(index, vectors, column.offsets[:-1], mode=pooling)


def pooling_without_candidate(pooling: str) -> str:
    """The pooling of lists without a candidate for "attention": the mean."""
    return "mean" if pooling == "attention" else pooling


class Embedding(nn.Module):
    """One table for all columns; the rows of a column are adjacent.

    Parameters
    ----------
    columns : the encoded columns; the table has first the rows of the code columns, then those of the lists.
    dim : length of a vector, `D`.
    n_sets : number of separate vectors of a value, `S`.
    std : standard deviation of the initial values. It is small, so that a rare id starts out without information.
    pooling : how the vectors of a list are combined: "mean", "sum", "max", or "attention". The latter is a mean whose
        weights depend on the candidate, see :class:`ListAttention`, or the plain mean if there is no candidate.

    **Shape**: codes ``(B, F)``, numbered through all columns, numbers ``(B, N)`` and lists → :class:`Embedded`.

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
        self.layout = copy.deepcopy(columns.layout)  # each embedding needs a separate module
        self.between = Interpolation(columns.bin_means) if len(columns.bin_means) else None
        self.set_cardinalities(columns.cardinalities)
        self.n_sets = n_sets
        self.n_lists = len(columns.list_cardinalities)
        self.list_partners = columns.list_partners if pooling == "attention" else [None] * self.n_lists
        self.pooling = pooling_without_candidate(pooling)
        self.table = Table(columns.n_rows, n_sets * dim)
        nn.init.normal_(self.table.weight, std=std)
        self.quotients = Quotients(columns.n_quotients, n_sets * dim) if columns.n_quotients else None
        units = [ListAttention(n_sets, dim) for partner in self.list_partners if partner is not None]
        self.attention = nn.ModuleList(units)
        widths = columns.vector_widths
        self.vectors = VectorFields(widths, columns.first_vector, n_sets, dim) if widths else None

    def forward(self, codes: Tensor, numbers: Tensor, lists: Lists | None = None) -> Embedded:
        rows = self.locate(codes, lists)
        embedded = self.with_vectors(rows.codes, numbers, self.look_up(rows, numbers), rows.lists)
        if self.n_sets > 1:
            return embedded
        columns = tuple(range(len(self.cardinalities))) if self.layout is None else self.layout.without_quotients
        if self.between is not None:
            columns = tuple(f for f in columns if f < self.between.first_column)
        table = self.table
        origin = RowSpec(rows.codes, self.cardinalities, columns, table.embedding_dim, table.vectors)
        return embedded._replace(origin=origin)

    def set_cardinalities(self, cardinalities: Sequence[int]) -> None:
        """Set the number of table rows of each code column."""
        self.cardinalities = tuple(cardinalities)
        if self.between is not None:
            self.between.set_cardinalities(self.cardinalities)

    def locate(self, codes: Tensor, lists: Lists | None = None) -> Located:
        """The rows of codes and lists in the tables."""
        list_quotients: list[Tensor | None] = [None] * self.n_lists
        if self.layout is None:
            return Located(codes, None, lists, list_quotients)
        rows, quotients = self.layout(codes)
        if lists is not None:
            lists, list_quotients = self.layout.split_lists(lists)
        return Located(rows, quotients, lists, list_quotients)

    def look_up(self, rows: Located, numbers: Tensor) -> Tensor:
        """The fields of codes and of lists, ``(B, F + L, S, D)``."""
        if self.between is None:
            vectors = self.table(rows.codes)
        else:
            vectors = self._between_bins(rows.codes, numbers[:, : self.between.n_columns], self.between)
        if self.quotients is not None:
            vectors = vectors * self.quotients(rows.quotients)
        fields = vectors.unflatten(2, (self.n_sets, -1))  # (B, F, S, D)
        if rows.lists is None:
            return fields
        return torch.cat((fields, self._pooled(rows.lists, rows.list_quotients, fields)), dim=1)

    def _between_bins(self, codes: Tensor, numbers: Tensor, between: Interpolation) -> Tensor:
        """The vectors of all code columns, of which the last are interpolated bins, ``(B, F, S * D)``."""
        adjacent, share = between(codes[:, between.first_column :], numbers)
        vectors = self.table(torch.cat((codes, adjacent), dim=1))  # one look-up for both
        n = between.n_columns
        others, bins, adjacent_bins = vectors.split((between.first_column, n, n), dim=1)
        return torch.cat((others, torch.lerp(bins, adjacent_bins, share.unsqueeze(2))), dim=1)

    def with_vectors(self, codes: Tensor, numbers: Tensor, fields: Tensor, lists: Lists | None = None) -> Embedded:
        """The embedded rows from the fields of their codes and lists; the fields of vectors are added."""
        scalars = numbers
        if self.vectors is not None:
            scalars, vector_fields = self.vectors(numbers)
            fields = torch.cat((fields, vector_fields), dim=1)
        return Embedded(codes, numbers, scalars, fields, lists)

    def _pooled(self, lists: Lists, quotients: Sequence[Tensor | None], fields: Tensor) -> Tensor:
        """The pooled vector of each column of lists, ``(B, L, S, D)``."""
        pooled, units = [], iter(self.attention)
        for column, column_quotients, partner in zip(lists, quotients, self.list_partners, strict=True):
            if partner is None and self.quotients is None:
                pooled.append(self.table.pooled(column, self.pooling).unflatten(1, (self.n_sets, -1)))
                continue
            flat = self.table.vectors(column.flat)
            if self.quotients is not None:
                flat = flat * self.quotients(column_quotients)
            if partner is None:
                pooled.append(pool(flat, column, self.pooling).unflatten(1, (self.n_sets, -1)))
            else:
                vectors = flat.unflatten(1, (self.n_sets, -1))
                pooled.append(next(units)(vectors, column.offsets.diff(), fields[:, partner]))
        return torch.stack(pooled, dim=1)

    @torch.no_grad()
    def start_from(self, vectors: Tensor) -> float:
        """Set the initial vectors of every set to `vectors` ``(rows, D)``, except in rows that are NaN.

        They are scaled to a common size, since the FM adds the products of all pairs to every logit. The factor is
        returned.
        """
        factor = STARTING_RMS / vectors[~vectors.isnan()].square().mean().sqrt().clamp(min=1e-9).item()
        vectors = (vectors * factor).to(self.table.weight.device).repeat(1, self.n_sets)
        self.table.weight.copy_(torch.where(vectors.isnan(), self.table.weight, vectors))
        return factor
