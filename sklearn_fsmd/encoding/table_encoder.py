"""A table becomes codes and scaled numbers, and lists become rows of the table of embeddings: here alone.

`encoded.py` makes tensors of codes and numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch

from sklearn_fsmd.encoding.canonical import holds_lists
from sklearn_fsmd.encoding.column_selection import Selector, categorical_mask, column_names, column_of
from sklearn_fsmd.encoding.columns import AnotherKindError, CategoryColumn
from sklearn_fsmd.encoding.encoded import Encoded
from sklearn_fsmd.encoding.lists import ListColumn
from sklearn_fsmd.encoding.numeric import NumericColumn
from sklearn_fsmd.encoding.sequences import SequenceOptions
from sklearn_fsmd.encoding.single_rows import (
    FEW_ROWS,
    SINGLE_ROWS,
    NeedsArraysError,
    code_of,
    keeps_values,
    number_of,
    rows_of,
    values_of,
)
from sklearn_fsmd.encoding.vectors import VectorColumn
from sklearn_fsmd.network import Lists, Ragged
from sklearn_fsmd.parameters import EncodingParameters

INT32 = np.iinfo(np.int32).max
BLOCK = 16_384
"""Rows of an array that are encoded together."""


class FeatureEncoder:
    """Learns how each column is encoded, and encodes: `update` for each block of rows, `finalize`, then `encode`.

    A table in memory is one block: `fit_encode`.

    Parameters
    ----------
    categorical : which columns are categories; see ``categorical_features`` of the estimators.
    numeric_scaling, numeric_bins : see :class:`~sklearn_fsmd.encoding.numeric.NumericColumn`.
    min_frequency : see :class:`~sklearn_fsmd.encoding.columns.CategoryColumn`.
    interpolate_bins : whether vectors of numbers lie between those of bins; by "auto" where no column has many values.

    Attributes
    ----------
    categories, numeric : the encoded columns and their positions in the table.
    cardinalities : rows of the embedding table for each code column: categories first, then the bins of numbers.
    offsets : the first row of each, which stands for unknown and missing values.
    lists : the columns of lists and their positions; their values have the rows after those of the code columns,
        unless they share the rows of a category.
    list_cardinalities, list_offsets : as for code columns; a shared vocabulary has no rows of its own.
    list_partners : for each the number of the code column whose rows it shares, or None.
    vectors : the columns of vectors and their positions; their components stand after the scaled numeric columns.
    interpolate_bins : from the end of fit on a bool. Files of former versions have none.
    """

    lists: Mapping[int, ListColumn] = MappingProxyType({})
    list_cardinalities: Sequence[int] = ()
    list_partners: Sequence[int | None] = ()
    vectors: Mapping[int, VectorColumn] = MappingProxyType({})
    interpolate_bins: bool | Literal["auto"] = False

    def __init__(
        self,
        categorical: Selector,
        *,
        numeric_scaling: str | None,
        numeric_bins: int,
        min_frequency: int | Literal["auto"],
        interpolate_bins: bool | Literal["auto"] = False,
        sequences: SequenceOptions | None = None,
    ) -> None:
        self.categorical = categorical
        self.numeric_scaling = numeric_scaling
        self.numeric_bins = numeric_bins
        self.min_frequency = min_frequency
        self.interpolate_bins = interpolate_bins
        self.sequences = sequences

    @classmethod
    def from_params(
        cls,
        p: EncodingParameters,
        sequences: SequenceOptions | None = None,
        interpolate_bins: bool | Literal["auto"] = False,
    ) -> FeatureEncoder:
        """An encoder with these parameters, which takes lists and vectors if it is told how."""
        return cls(
            p.categorical_features,
            numeric_scaling=p.numeric_scaling,
            numeric_bins=p.numeric_bins,
            min_frequency=p.min_frequency,
            interpolate_bins=interpolate_bins,
            sequences=sequences,
        )

    def update(self, block: Any) -> None:
        """Learn from some rows, a DataFrame or 2-D array; the first ones say what the columns are."""
        if not hasattr(self, "categories"):
            self.take_columns(block)
        for position, column in self.columns.items():
            column.update(column_of(block, position))
        for position, of_lists in self.lists.items():
            self._learn_list(of_lists, of_lists.read(column_of(block, position))[0])
        for of_vectors, x in zip(self.vectors.values(), self._read_vectors(block), strict=True):
            of_vectors.update(x)

    @property
    def columns(self) -> dict[int, CategoryColumn | NumericColumn]:
        """All columns by their positions in the table."""
        return {**self.categories, **self.numeric}

    def finalize(self) -> None:
        """All rows have been seen: the encoding is fixed from now on."""
        for column in self.columns.values():
            column.finalize()
        for of_lists in self.lists.values():
            if of_lists.own is not None:
                of_lists.own.finalize()
        for of_vectors in self.vectors.values():
            of_vectors.finalize()
        self._decide()
        self.number_rows()

    def fit_encode(self, X: Any) -> Encoded:
        """Learn the encoding of a whole table and return it encoded."""
        self.take_columns(X)
        read = self._fit_lists(X)
        vectors = self._read_vectors(X)
        for column, x in zip(self.vectors.values(), vectors, strict=True):
            column.fit(x)
        codes, numbers = self._encode(X, "fit_encode", self._empty(len(X)))
        self._write_vectors(vectors, numbers)
        self._decide()
        self.number_rows()
        return Encoded(self._through_all_columns(codes), numbers, lists=self._encode_lists(read))

    def _fit_lists(self, X: Any) -> list[tuple[pd.Series, np.ndarray]]:
        """Learn the vocabularies of lists, those that they share with categories included; return what was read."""
        read = [column.read(column_of(X, position)) for position, column in self.lists.items()]
        shared = {position: column for position, column in self.categories.items() if self._is_shared(column)}
        for position, category in shared.items():
            category.update(column_of(X, position))
        for column, (values, _) in zip(self.lists.values(), read, strict=True):
            self._learn_list(column, values)
        for vocabulary in {id(v): v for v in map(self.vocabulary_of, self.lists.values())}.values():
            vocabulary.finalize()
        return read

    def _learn_list(self, column: ListColumn, values: pd.Series) -> None:
        try:
            self.vocabulary_of(column).update(values, column.name)
        except AnotherKindError as error:
            if column.shares is None:
                raise
            raise ValueError(
                f"Column {column.name!r} cannot share the embeddings of {column.shares!r}, whose values are of another "
                "kind."
            ) from error

    def vocabulary_of(self, column: ListColumn) -> CategoryColumn:
        return column.own or next(c for c in self.categories.values() if c.name == column.shares)

    def _is_shared(self, category: CategoryColumn) -> bool:
        return any(column.shares == category.name for column in self.lists.values())

    def take_columns(self, X: Any) -> None:
        """Say by some rows, a DataFrame or 2-D array, what the columns are."""
        self.categories: dict[int, CategoryColumn] = {}
        self.numeric: dict[int, NumericColumn] = {}
        options = self.__dict__.pop("sequences")  # from here on `lists` and `vectors` say it; this may be code
        is_list, is_vector = np.zeros((2, X.shape[1]), bool) if options is None else options.masks(X)
        is_category = self.categorical = categorical_mask(self.categorical, X)
        names = column_names(X)
        for position in np.flatnonzero(~(is_list | is_vector)).tolist():
            name = names[position]
            if is_category[position]:
                self.categories[position] = CategoryColumn(name, self.min_frequency)
            else:
                self.numeric[position] = NumericColumn(name, self.numeric_scaling, self.numeric_bins)
        if options is not None:
            of_lists = {int(position): names[position] for position in np.flatnonzero(is_list)}
            self.lists = options.list_columns(of_lists, [column.name for column in self.categories.values()])
        self.vectors = {int(position): VectorColumn(names[position]) for position in np.flatnonzero(is_vector)}

    def number_rows(self) -> None:
        """Give each column its rows of the embedding table."""
        coded = (*self.categories.values(), *(self.numeric.values() if self.numeric_bins else ()))
        self.cardinalities = [column.n_rows for column in coded]
        self.offsets = np.cumsum([0, *self.cardinalities[:-1]])
        self.list_cardinalities = [column.n_rows for column in self.lists.values()]
        names = [column.name for column in coded]
        self.list_partners = [names.index(column.shares) if column.shares else None for column in self.lists.values()]
        own = sum(self.cardinalities) + np.cumsum([0, *self.list_cardinalities])
        self.list_offsets = [
            int(own[j] if partner is None else self.offsets[partner]) for j, partner in enumerate(self.list_partners)
        ]

    def _decide(self) -> None:
        """All columns have been learned: say what follows from them."""
        if self.interpolate_bins == "auto":
            self.interpolate_bins = not self.has_ids

    @property
    def has_ids(self) -> bool:
        """Whether a column of categories or lists has so many known values that they are ids."""
        vocabularies = [*self.categories.values(), *map(self.vocabulary_of, self.lists.values())]
        return any(column.has_many_values for column in vocabularies)

    @property
    def bin_means(self) -> list[np.ndarray]:
        """The means of each numeric column's bins, scaled, if vectors of numbers lie between those of bins."""
        return [column.means for column in self.numeric.values()] if self.interpolate_bins and self.numeric_bins else []

    @property
    def n_rows(self) -> int:
        """Rows of the embedding table."""
        return sum(self.cardinalities) + sum(self.list_cardinalities)

    def encode(self, X: Any) -> Encoded:
        """Encode `X`, which has the columns of fit in their order."""
        if 0 < len(X) <= FEW_ROWS and not self.lists:
            try:
                return self._encode_few(self._plain_rows(X), self._read_vectors(X))
            except NeedsArraysError:
                pass
        if not isinstance(X, np.ndarray):
            codes, numbers = self._encode(X, "encode", self._empty(len(X)))
        else:  # the values of a column lie far apart: block by block they are brought together in the cache
            codes, numbers = self._empty(len(X))
            for start in range(0, len(X), BLOCK):
                s = slice(start, start + BLOCK)
                block = np.asfortranarray(X[s])
                try:
                    codes[s], numbers[s] = self._encode(block, "encode", self._empty(len(block), order="F"))
                except ValueError:
                    self._encode(X, "encode", self._empty(len(X)))  # which counts the rows from the first one
                    raise
        self._write_vectors(self._read_vectors(X), numbers)
        read = [column.read(column_of(X, position)) for position, column in self.lists.items()]
        return Encoded(self._through_all_columns(codes), numbers, lists=self._encode_lists(read))

    def _encode_lists(self, read: Sequence[tuple[pd.Series, np.ndarray]]) -> Lists | None:
        """What has been read of the columns of lists, as rows of the table."""
        if not self.lists:
            return None
        columns = []
        for column, offset, (values, starts) in zip(self.lists.values(), self.list_offsets, read, strict=True):
            codes = self.vocabulary_of(column).encode(values, column.name).astype(np.int64) + offset
            columns.append(Ragged(torch.from_numpy(codes), torch.from_numpy(starts)))
        return Lists(tuple(columns))

    def _read_vectors(self, X: Any) -> list[np.ndarray]:
        """The vectors of each column as they are."""
        return [column.read(column_of(X, position)) for position, column in self.vectors.items()]

    def _write_vectors(self, read: Sequence[np.ndarray], numbers: np.ndarray) -> None:
        """What has been read of the columns of vectors, scaled, to its place in `numbers`."""
        start = len(self.numeric)
        for column, width, x in zip(self.vectors.values(), self.vector_widths, read, strict=True):
            column.write_scaled(x, numbers[:, start : start + width])
            start += width

    @property
    def vector_widths(self) -> list[int]:
        """How many components the vectors of each column have."""
        return [column.width or 0 for column in self.vectors.values()]

    def _empty(self, n: int, order: Literal["C", "F"] = "C") -> tuple[np.ndarray, np.ndarray]:
        """Room for the codes and numbers of `n` rows."""
        width = len(self.categories) + (len(self.numeric) if self.numeric_bins else 0)
        n_numbers = len(self.numeric) + sum(self.vector_widths)
        return np.empty((n, width), np.int32, order), np.empty((n, n_numbers), np.float32, order)

    def _encode(self, X: Any, method: str, into: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Codes, counted in each column by itself, and numbers: what `method` of each column makes of it.

        A column is written to its position in the result as soon as it is there, which takes least memory.
        """
        (codes, numbers), n_categories = into, len(self.categories)
        for f, (position, category) in enumerate(self.categories.items()):
            how = "encode" if self._is_shared(category) else method  # it has been learned with the lists
            codes[:, f] = getattr(category, how)(column_of(X, position))

        def encode_numeric(first: int) -> None:
            for j, (position, column) in list(enumerate(self.numeric.items()))[first::2]:
                numbers[:, j], bins = getattr(column, method)(column_of(X, position))
                if self.numeric_bins:
                    codes[:, n_categories + j] = bins

        if len(self.numeric) < 2:
            encode_numeric(0)
            return codes, numbers
        # Numpy sorts and searches without the interpreter's lock. More threads would keep more memory to themselves.
        with ThreadPoolExecutor(1) as pool:
            other_half = pool.submit(encode_numeric, 1)
            encode_numeric(0)
            other_half.result()
        return codes, numbers

    def _through_all_columns(self, codes: np.ndarray) -> np.ndarray:
        """Codes counted through all columns, in place unless these have more rows than an int32 can count."""
        if self.n_rows > INT32:
            codes = codes.astype(np.int64)
        return np.add(codes, self.offsets, out=codes, casting="same_kind")

    def _plain_rows(self, X: Any) -> Sequence[Sequence[Any]]:
        """The values of a table as Python has them, where this loses nothing that the columns would look at."""
        if isinstance(X, np.ndarray):
            if X.dtype.kind in "mMc" or (self.categories and not keeps_values(X.dtype)):
                raise NeedsArraysError
            return X.tolist()
        dtypes = X.dtypes.tolist()
        for position, dtype in enumerate(dtypes):
            if dtype.kind in "mMc" or isinstance(dtype, pd.SparseDtype) or holds_lists(dtype):
                raise NeedsArraysError
            if position in self.categories and not keeps_values(dtype):
                raise NeedsArraysError
        if all(isinstance(dtype, np.dtype) for dtype in dtypes):
            return X.to_numpy(dtype=object).tolist()  # all columns at once take a seventh of the time
        try:
            if len(X) <= SINGLE_ROWS and (rows := rows_of(X, dtypes)) is not None:
                return rows
            return list(zip(*(values_of(column) for _, column in X.items()), strict=True))
        except OverflowError:  # Arrow's times after 24 o'clock
            raise NeedsArraysError from None

    def _encode_few(self, rows: Sequence[Sequence[Any]], vectors: Sequence[np.ndarray]) -> Encoded:
        codes, numbers = [], []
        for row in rows:
            categories = [code_of(column, row[position]) for position, column in self.categories.items()]
            pairs = [number_of(column, row[position]) for position, column in self.numeric.items()]
            codes.append(categories + [bin_ for _, bin_ in pairs] if self.numeric_bins else categories)
            numbers.append([number for number, _ in pairs])
        table, scaled = self._empty(len(rows))
        table[:], scaled[:, : len(self.numeric)] = codes, numbers
        self._write_vectors(vectors, scaled)
        return Encoded(self._through_all_columns(table), scaled)
