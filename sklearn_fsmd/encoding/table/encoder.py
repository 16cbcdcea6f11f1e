"""Encoder of a table: columns become codes and scaled numbers, and lists become rows of the embedding table.

`encoded.py` makes tensors of the codes and numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch

from sklearn_fsmd.encoding.columns import (
    AnotherKindError,
    CategoryColumn,
    ListColumn,
    NumericColumn,
    Selector,
    SequenceOptions,
    VectorColumn,
    categorical_mask,
    column_names,
    column_of,
    holds_lists,
)
from sklearn_fsmd.encoding.table.encoded import Encoded
from sklearn_fsmd.encoding.table.single_rows import (
    FEW_ROWS,
    SINGLE_ROWS,
    NeedsArraysError,
    code_of,
    keeps_values,
    number_of,
    rows_of,
    values_of,
)
from sklearn_fsmd.network import Lists, Ragged
from sklearn_fsmd.parameters import EncodingParameters

INT32 = np.iinfo(np.int32).max
BLOCK = 16_384
"""Number of rows of an array that are encoded together."""
ROWS_OF_TWO_THREADS = 1024
"""Fewer rows are encoded in less time than a thread needs to start."""


class FeatureEncoder:
    """Learns the encoding of each column: call `update` for each block of rows, then `finalize`, then `encode`.

    For a table in memory, `fit_encode` does all of it.

    Parameters
    ----------
    categorical : which columns are categories; see ``categorical_features`` of the estimators.
    numeric_scaling, numeric_bins : see :class:`~sklearn_fsmd.encoding.columns.numeric.NumericColumn`.
    min_frequency : see :class:`~sklearn_fsmd.encoding.columns.category.CategoryColumn`.
    interpolate_bins : whether the embedding of a number is interpolated between those of bins; "auto" does so if no
        column has many values.

    Attributes
    ----------
    categories, numeric : the encoded columns, by their positions in the table.
    cardinalities : number of rows of the embedding table for each code column: categories first, then the bins of
        numbers.
    offsets : the first row of each code column, which stands for unknown categories and missing numbers.
    lists : the columns of lists, by their positions. Their values have the rows after those of the code columns,
        unless they share the rows of a category.
    list_cardinalities, list_offsets : as for code columns; a list with a shared vocabulary has no rows of its own.
    list_partners : for each column of lists, the index of the code column whose rows it shares, or None.
    vectors : the columns of vectors, by their positions; their components follow the scaled numeric columns.
    interpolate_bins : a bool after fit. Files of earlier versions lack it.
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
        """Create an encoder with these parameters; it handles lists and vectors if `sequences` is given."""
        return cls(
            p.categorical_features,
            numeric_scaling=p.numeric_scaling,
            numeric_bins=p.numeric_bins,
            min_frequency=p.min_frequency,
            interpolate_bins=interpolate_bins,
            sequences=sequences,
        )

    def update(self, block: Any) -> None:
        """Learn from a block of rows, a DataFrame or 2-D array; the first block determines the kinds of the columns."""
        if not hasattr(self, "categories"):
            self.take_columns(block)
        for position, column in self.columns.items():
            column.update(column_of(block, position))
        for position, list_column in self.lists.items():
            self._learn_list(list_column, list_column.read(column_of(block, position))[0])
        for vector_column, x in zip(self.vectors.values(), self._read_vectors(block), strict=True):
            vector_column.update(x)

    @property
    def columns(self) -> dict[int, CategoryColumn | NumericColumn]:
        """The categories and numeric columns, by their positions in the table."""
        return {**self.categories, **self.numeric}

    def finalize(self) -> None:
        """Fix the encoding, after all rows have been seen."""
        for column in self.columns.values():
            column.finalize()
        for list_column in self.lists.values():
            if list_column.own is not None:
                list_column.own.finalize()
        for vector_column in self.vectors.values():
            vector_column.finalize()
        self._resolve_auto()
        self.number_rows()

    def fit_encode(self, X: Any) -> Encoded:
        """Learn the encoding of a whole table and return it encoded."""
        self.take_columns(X)
        lists = self._fit_lists(X)
        vectors = self._read_vectors(X)
        for column, x in zip(self.vectors.values(), vectors, strict=True):
            column.fit(x)
        codes, numbers = self._encode(X, self._empty(len(X)), learn=True)
        self._write_vectors(vectors, numbers)
        self._resolve_auto()
        self.number_rows()
        return Encoded(self._add_offsets(codes), numbers, lists=self._encode_lists(lists))

    def _fit_lists(self, X: Any) -> list[tuple[pd.Series, np.ndarray]]:
        """Learn the vocabularies of lists, including those shared with categories; return the values and starts."""
        lists = [column.read(column_of(X, position)) for position, column in self.lists.items()]
        shared = {position: column for position, column in self.categories.items() if self._is_shared(column)}
        for position, category in shared.items():
            category.update(column_of(X, position))
        for column, (values, _) in zip(self.lists.values(), lists, strict=True):
            self._learn_list(column, values)
        for vocabulary in {id(v): v for v in map(self.vocabulary_of, self.lists.values())}.values():
            vocabulary.finalize()
        return lists

    def _learn_list(self, column: ListColumn, values: pd.Series) -> None:
        try:
            self.vocabulary_of(column).update(values, column.name)
        except AnotherKindError as error:
            if column.shares is None:
                raise
            raise ValueError(
                f"Column {column.name!r} cannot share the embeddings of {column.shares!r}, whose values are of another "
                "kind. Both must be numbers, or both text, as a `list_separator` gives: "
                f"X[{column.shares!r}].astype('string')."
            ) from error

    def vocabulary_of(self, column: ListColumn) -> CategoryColumn:
        """Return the vocabulary of a column of lists: its own, or that of the category that it shares."""
        return column.own or next(c for c in self.categories.values() if c.name == column.shares)

    def _is_shared(self, category: CategoryColumn) -> bool:
        return any(column.shares == category.name for column in self.lists.values())

    def take_columns(self, X: Any) -> None:
        """Determine the kind of each column from some rows, a DataFrame or 2-D array."""
        self.categories: dict[int, CategoryColumn] = {}
        self.numeric: dict[int, NumericColumn] = {}
        options = self.__dict__.pop("sequences")  # replaced by `lists` and `vectors`; callables may not be picklable
        is_list, is_vector = np.zeros((2, X.shape[1]), bool) if options is None else options.masks(X)
        is_category = self.categorical = categorical_mask(self.categorical, X)
        names = column_names(X)
        for position in np.flatnonzero(~(is_list | is_vector)).tolist():
            name = names[position]
            if is_category[position]:
                self.categories[position] = CategoryColumn(name, self.min_frequency, knows_missing=True)
            else:
                self.numeric[position] = NumericColumn(name, self.numeric_scaling, self.numeric_bins)
        if options is not None:
            list_names = {int(position): names[position] for position in np.flatnonzero(is_list)}
            self.lists = options.list_columns(list_names, [column.name for column in self.categories.values()])
        self.vectors = {int(position): VectorColumn(names[position]) for position in np.flatnonzero(is_vector)}

    def number_rows(self) -> None:
        """Assign rows of the embedding table to each column."""
        coded = (*self.categories.values(), *(self.numeric.values() if self.numeric_bins else ()))
        self.cardinalities = [column.n_rows for column in coded]
        self.offsets = np.cumsum([0, *self.cardinalities])[:-1]
        self.list_cardinalities = [column.n_rows for column in self.lists.values()]
        names = [column.name for column in coded]
        self.list_partners = [names.index(column.shares) if column.shares else None for column in self.lists.values()]
        starts = sum(self.cardinalities) + np.cumsum([0, *self.list_cardinalities])
        self.list_offsets = [
            int(starts[j] if partner is None else self.offsets[partner]) for j, partner in enumerate(self.list_partners)
        ]

    def _resolve_auto(self) -> None:
        """Resolve parameters that are "auto", after all columns have been learned."""
        if self.interpolate_bins == "auto":
            self.interpolate_bins = not self.has_ids

    @property
    def has_ids(self) -> bool:
        """Whether a column of categories or lists has so many known values that they are ids."""
        vocabularies = [*self.categories.values(), *map(self.vocabulary_of, self.lists.values())]
        return any(column.has_many_values for column in vocabularies)

    @property
    def bin_means(self) -> list[np.ndarray]:
        """Scaled means of the bins of each numeric column; empty unless embeddings are interpolated between bins."""
        return [column.means for column in self.numeric.values()] if self.interpolate_bins and self.numeric_bins else []

    @property
    def n_rows(self) -> int:
        """Number of rows of the embedding table."""
        return sum(self.cardinalities) + sum(self.list_cardinalities)

    def encode(self, X: Any) -> Encoded:
        """Encode `X`, which has the columns of fit in their order."""
        if 0 < len(X) <= FEW_ROWS and not self.lists:
            try:
                return self._encode_few(self._plain_rows(X), self._read_vectors(X))
            except NeedsArraysError:
                pass
        if not isinstance(X, np.ndarray):
            codes, numbers = self._encode(X, self._empty(len(X)))
        else:  # in a C-ordered array the values of a column lie far apart; a block in column order fits into the cache
            codes, numbers = self._empty(len(X))
            for start in range(0, len(X), BLOCK):
                s = slice(start, start + BLOCK)
                block = np.asfortranarray(X[s])
                try:
                    codes[s], numbers[s] = self._encode(block, self._empty(len(block), order="F"))
                except ValueError:
                    self._encode(X, self._empty(len(X)))  # so that the error counts the rows of X
                    raise
        self._write_vectors(self._read_vectors(X), numbers)
        lists = [column.read(column_of(X, position)) for position, column in self.lists.items()]
        return Encoded(self._add_offsets(codes), numbers, lists=self._encode_lists(lists))

    def _encode_lists(self, lists: Sequence[tuple[pd.Series, np.ndarray]]) -> Lists | None:
        """Convert the values of each column of lists to rows of the embedding table."""
        if not self.lists:
            return None
        columns = []
        for column, offset, (values, starts) in zip(self.lists.values(), self.list_offsets, lists, strict=True):
            codes = self.vocabulary_of(column).encode(values, column.name).astype(np.int64) + offset
            columns.append(Ragged(torch.from_numpy(codes), torch.from_numpy(starts)))
        return Lists(tuple(columns))

    def _read_vectors(self, X: Any) -> list[np.ndarray]:
        """Read the vectors of each column, unscaled."""
        return [column.read(column_of(X, position)) for position, column in self.vectors.items()]

    def _write_vectors(self, vectors: Sequence[np.ndarray], numbers: np.ndarray) -> None:
        """Scale the vectors of each column, and write them to their columns of `numbers`."""
        start = len(self.numeric)
        for column, width, x in zip(self.vectors.values(), self.vector_widths, vectors, strict=True):
            column.write_scaled(x, numbers[:, start : start + width])
            start += width

    @property
    def vector_widths(self) -> list[int]:
        """Length of the vectors of each column."""
        return [column.width or 0 for column in self.vectors.values()]

    def _empty(self, n: int, order: Literal["C", "F"] = "C") -> tuple[np.ndarray, np.ndarray]:
        """Allocate the codes and numbers of `n` rows."""
        width = len(self.categories) + (len(self.numeric) if self.numeric_bins else 0)
        n_numbers = len(self.numeric) + sum(self.vector_widths)
        return np.empty((n, width), np.int32, order), np.empty((n, n_numbers), np.float32, order)

    def _encode(
        self, X: Any, out: tuple[np.ndarray, np.ndarray], *, learn: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Encode each column, after learning it if requested, and write codes, without offsets, and numbers to `out`.

        Each column is written to `out` as soon as it is encoded, which saves memory.
        """
        (codes, numbers), n_categories = out, len(self.categories)
        for f, (position, category) in enumerate(self.categories.items()):
            learns = learn and not self._is_shared(category)  # a shared one was learned with the lists
            encode = category.fit_encode if learns else category.encode
            codes[:, f] = encode(column_of(X, position))

        def encode_numeric(first: int) -> None:
            for j, (position, column) in list(enumerate(self.numeric.items()))[first::2]:
                encode = column.fit_encode if learn else column.encode
                numbers[:, j], bins = encode(column_of(X, position))
                if self.numeric_bins:
                    codes[:, n_categories + j] = bins

        if len(self.numeric) < 2 or len(codes) < ROWS_OF_TWO_THREADS:
            encode_numeric(0)
            encode_numeric(1)
            return codes, numbers
        # numpy releases the GIL in sorts and searches. More threads would need more memory.
        with ThreadPoolExecutor(1) as pool:
            other_half = pool.submit(encode_numeric, 1)
            encode_numeric(0)
            other_half.result()
        return codes, numbers

    def _add_offsets(self, codes: np.ndarray) -> np.ndarray:
        """Add the offsets of the columns to the codes, in place unless the table is too large for int32."""
        if self.n_rows > INT32:
            codes = codes.astype(np.int64)
        return np.add(codes, self.offsets, out=codes, casting="same_kind")

    def _plain_rows(self, X: Any) -> Sequence[Sequence[Any]]:
        """Convert a table to rows of Python values.

        Raises
        ------
        NeedsArraysError
            If the conversion would lose something that matters for a column.
        """
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
            return X.to_numpy(dtype=object).tolist()  # seven times as fast as column by column
        try:
            if len(X) <= SINGLE_ROWS and (rows := rows_of(X, dtypes)) is not None:
                return rows
            return list(zip(*(values_of(column) for _, column in X.items()), strict=True))
        except OverflowError:  # Arrow may hold times after 24 o'clock
            raise NeedsArraysError from None

    def _encode_few(self, rows: Sequence[Sequence[Any]], vectors: Sequence[np.ndarray]) -> Encoded:
        codes, numbers = [], []
        for row in rows:
            categories = [code_of(column, row[position]) for position, column in self.categories.items()]
            pairs = [number_of(column, row[position]) for position, column in self.numeric.items()]
            codes.append(categories + [bin_ for _, bin_ in pairs] if self.numeric_bins else categories)
            numbers.append([number for number, _ in pairs])
        code_array, number_array = self._empty(len(rows))
        code_array[:], number_array[:, : len(self.numeric)] = codes, numbers
        self._write_vectors(vectors, number_array)
        return Encoded(self._add_offsets(code_array), number_array)
