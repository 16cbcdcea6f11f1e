"""The columns of a regression, and the first-order terms of a network that follow from their weights.

Categories and lists have a column per value. The bins of a number are neighbours. With a column each, their weights
would fit noise where there are few events. So their weights are a smooth function of the bin: a sum of cosines, whose
amplitudes the penalty keeps the smaller, the faster they oscillate. Numbers without bins, such as the components of
vectors, are standardised. Those with bins are not columns too: a number that is far beyond those of the training rows
would get far too large a part of the log-odds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from sklearn_fsmd.encoding.table import Encoded
from sklearn_fsmd.network import MultiTaskNetwork

N_COSINES, DECAY = 4, 1.5
"""Number of cosines per column of bins, and the power of their frequency that their amplitude is divided by."""


class Design(NamedTuple):
    """The columns of a regression, first those of the table, then numbers without bins, then bias features.

    Attributes
    ----------
    x : ``(n, C)`` float32, the rows, without the columns that are 0 in all of them.
    columns : ``(C,)``, the number of each of these columns if all are counted.
    sources : ``(C,)``, the number of the source of each column: a category, the bins of a number, a number without
        bins, a vector, all lists together, or all bias features together.
    of_table : sparse, ``(R, ·)``, which multiplies weights of the columns of the table by what its rows have in them.
    n_with_bins : how many of the numbers have bins; they are the first ones.
    means, scales : of the other numbers, with which these are standardised.
    """

    x: sparse.csr_matrix
    columns: np.ndarray
    sources: np.ndarray
    of_table: sparse.csr_matrix
    n_with_bins: int
    means: np.ndarray
    scales: np.ndarray

    def first_order(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        """The first-order terms that are equal to a regression with these weights ``(C,)``, without bias features.

        Returns
        -------
        of_rows : ``(R,)``, the weights of the rows of the table.
        of_numbers : ``(N,)``, those of the numbers, 0 for those with bins.
        constant : float, to be added to the intercept.
        """
        n_table = self.of_table.shape[1]
        all_weights = np.zeros(n_table + len(self.scales))
        counts = self.columns < len(all_weights)
        all_weights[self.columns[counts]] = weights[counts]
        of_numbers = all_weights[n_table:] / self.scales
        constant = -float(of_numbers @ self.means)
        return self.of_table @ all_weights[:n_table], np.append(np.zeros(self.n_with_bins), of_numbers), constant


def design_of(network: MultiTaskNetwork, rows: Encoded, n_categories: int, n_rows: int) -> Design:
    """The columns of some rows.

    Parameters
    ----------
    n_categories : how many of the code columns are categories; the others are bins.
    n_rows : number of rows of the table, `R`.
    """
    cardinalities = network.embedding.cardinalities
    fields, n_with_bins = _fields(cardinalities, n_categories, n_rows), len(cardinalities) - n_categories
    of_table = sparse.block_diag(fields, format="csr", dtype=np.float32)
    numbers = rows.numbers[:, n_with_bins:]
    means, scales = _means_and_scales(numbers)
    blocks = [_rows_of_table(network, rows, n_rows) @ of_table, _standardised(numbers, means, scales)]
    if rows.bias is not None:
        codes, numbers = rows.bias.codes, rows.bias.numbers
        blocks += [_counts(codes, int(codes.max(initial=0)) + 1), _standardised(numbers, *_means_and_scales(numbers))]
    x = sparse.hstack(blocks, format="csr", dtype=np.float32)
    is_used = np.zeros(x.shape[1], dtype=bool)
    is_used[x.indices] = True
    columns, position = np.flatnonzero(is_used), np.cumsum(is_used, dtype=np.int32) - np.int32(1)
    x = sparse.csr_matrix((x.data, position[x.indices], x.indptr), shape=(len(rows), len(columns)))
    of_fields = np.repeat(np.arange(len(fields)), [field.shape[1] for field in fields])
    sources = np.append(of_fields, _sources_of_numbers(network, n_with_bins, len(scales)))
    sources = np.append(sources, np.full(len(is_used) - len(sources), sources.max(initial=-1) + 1))
    return Design(x, columns, sources[columns], of_table, n_with_bins, means, scales)


def _fields(cardinalities: Sequence[int], n_categories: int, n_rows: int) -> list[Any]:
    """For each code column, and then for all lists, what each of its rows of the table has in each of its columns."""
    of_categories = [sparse.identity(n) for n in cardinalities[:n_categories]]
    of_bins = [smooth_columns(n) for n in cardinalities[n_categories:]]
    return [*of_categories, *of_bins, sparse.identity(n_rows - sum(cardinalities))]


def _sources_of_numbers(network: MultiTaskNetwork, n_with_bins: int, n_numbers: int) -> np.ndarray:
    """The source of each number without bins: one of its own, which the components of a vector share."""
    vectors = network.embedding.vectors
    sources = len(network.embedding.cardinalities) + 1 + np.arange(n_numbers)
    start = 0 if vectors is None else vectors.first - n_with_bins
    for width in [] if vectors is None else vectors.widths:
        sources[start : start + width] = sources[start]
        start += width
    return sources


def smooth_columns(n: int) -> np.ndarray:
    """The columns of `n` rows of the table, of which the first is for missing numbers and the others are bins.

    Returns
    -------
    columns : ``(n, 1 + N_COSINES)``, or fewer with fewer bins. The first column is that of missing numbers. The others
        are cosines, with a whole number of half waves over the bins. In the mean over the bins, their squares have the
        sum 1, as has the square of a standardised number.
    """
    n_bins = n - 1
    frequencies = np.arange(1, min(N_COSINES, n_bins - 1) + 1)
    waves = np.cos(np.pi * np.outer((np.arange(n_bins) + 0.5) / max(n_bins, 1), frequencies)) / frequencies**DECAY
    columns = np.zeros((n, 1 + len(frequencies)))
    columns[0, 0] = 1
    columns[1:, 1:] = waves / np.sqrt((waves**2).sum() / max(n_bins, 1) or 1)
    return columns


def _rows_of_table(network: MultiTaskNetwork, rows: Encoded, n_rows: int) -> sparse.csr_matrix:
    """How often each row of the table occurs in each row, lists as they are pooled, ``(n, R)``."""
    codes, _, *lists = replace(rows, bias=None).tensors(network.slopes.device)
    located = network.embedding.locate(codes, *lists)
    counts = _counts(located.codes.cpu().numpy(), n_rows)
    for column in located.lists or ():
        values, offsets = column.flat.cpu().numpy(), column.offsets.cpu().numpy()
        shares = np.ones(len(values), np.float32)
        if network.embedding.pooling == "mean":
            shares /= np.repeat(np.diff(offsets), np.diff(offsets))
        counts = counts + sparse.csr_matrix((shares, values, offsets), shape=(len(rows), n_rows))
    return counts


def _means_and_scales(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each column; 1 instead of a deviation whose inverse float32 cannot hold."""
    scales = numbers.std(axis=0, dtype=np.float64)
    return numbers.mean(axis=0, dtype=np.float64), np.where(scales > np.finfo(np.float32).tiny, scales, 1.0)


def _standardised(numbers: np.ndarray, means: np.ndarray, scales: np.ndarray) -> sparse.csr_matrix:
    """The numbers with mean 0 and standard deviation 1, whatever `numeric_scaling` is, since the penalty needs that."""
    standardised = np.empty(numbers.shape, np.float32)
    for j, (mean, scale) in enumerate(zip(means, scales, strict=True)):  # one column at a time has 64 bits
        standardised[:, j] = (numbers[:, j] - mean) / scale
    return sparse.csr_matrix(standardised)


def _counts(codes: np.ndarray, n_columns: int) -> sparse.csr_matrix:
    """How often each code occurs in each row."""
    n, n_fields = codes.shape
    starts = np.arange(0, n * n_fields + 1, n_fields) if n_fields else np.zeros(n + 1, dtype=int)
    return sparse.csr_matrix((np.ones(codes.size, np.float32), codes.ravel(), starts), shape=(n, n_columns))
