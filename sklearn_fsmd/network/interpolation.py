"""Interpolation of the vector of a number between its bin and the adjacent bin.

References
----------
.. [PLE] Y. Gorishniy, I. Rubachev, A. Babenko, "On Embeddings for Numerical Features in Tabular Deep Learning",
   NeurIPS 2022, section 3.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numpy as np
import torch
from torch import Tensor, nn


class Interpolation(nn.Module):
    """Finds the adjacent bin of each number, and how far the number is from the mean of its bin to that of the other.

    The vector of a bin belongs to the mean of its numbers. Between two means the vector of a number is interpolated
    linearly, as in a piecewise linear encoding [PLE]_. Before the first mean and after the last one it is the vector of
    the first or last bin. Missing numbers have a separate vector.

    Parameters
    ----------
    means : for each numeric column the scaled means of its bins, in rising order; the row of missing numbers has none.

    **Shape**: rows of the bins ``(B, N)`` and numbers ``(B, N)`` → rows of the adjacent bins ``(B, N)`` and their
    shares in the vectors ``(B, N)``.

    Examples
    --------
    >>> import torch
    >>> between = Interpolation([[0.0, 1.0, 3.0]])
    >>> between.set_cardinalities([4])
    >>> between(torch.tensor([[2], [3]]), torch.tensor([[1.5], [9.0]]))
    (tensor([[3],
            [3]]), tensor([[0.2500],
            [0.0000]]))
    """

    means: Tensor
    over_distance: Tensor
    steps: Tensor
    to_bins: Tensor
    first_column: int

    def __init__(self, means: Sequence[Sequence[float] | np.ndarray]) -> None:
        super().__init__()
        self.sizes = [1 + len(column_means) for column_means in means]
        tables = [interpolation_table(np.asarray(column_means, dtype=np.float32)) for column_means in means]
        # Not persistent: they follow from the encoder, which is in the file of a model.
        for name, parts in zip(("means", "over_distance", "steps"), zip(*tables, strict=True), strict=True):
            self.register_buffer(name, torch.from_numpy(np.concatenate(parts).ravel()), persistent=False)
        self.register_buffer("to_bins", torch.zeros(len(means), dtype=torch.int64), persistent=False)

    @property
    def n_columns(self) -> int:
        """Number of numeric columns, `N`."""
        return len(self.sizes)

    def set_cardinalities(self, cardinalities: Sequence[int]) -> None:
        """Set the number of table rows of each code column; the columns of bins are the last ones.

        Raises
        ------
        ValueError
            If the numbers of bins do not match the means.
        """
        self.first_column = len(cardinalities) - self.n_columns
        if list(cardinalities[self.first_column :]) != self.sizes:
            raise ValueError(f"there are means for bins of {self.sizes} rows in columns of {list(cardinalities)} rows")
        starts, first_rows = [0, *accumulate(self.sizes)][:-1], [0, *accumulate(cardinalities)][self.first_column : -1]
        self.to_bins = self.to_bins.new_tensor(starts) - self.to_bins.new_tensor(first_rows)

    def forward(self, rows: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
        bins = rows + self.to_bins
        distance = numbers - self.means[bins]
        side = torch.add(distance > 0, bins, alpha=2)
        return rows + self.steps[side], distance * self.over_distance[side]


def interpolation_table(means: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The buffers of :class:`Interpolation` for one column; the first bin is that of missing numbers.

    Returns
    -------
    means : ``(1 + n,)``
    over_distance : ``(1 + n, 2)``, 1 over the distance from the mean to that of the previous bin, which is negative,
        and to that of the next bin. It is 0 if there is no such bin, or if float32 cannot tell the means apart; the
        share of that bin is 0 then.
    steps : ``(1 + n, 2)`` int32, the offset from the row of the bin to the row of that bin: −1, 1 or 0.
    """
    means = np.maximum.accumulate(means)  # rounding can make a mean smaller than the one before it
    with np.errstate(divide="ignore", over="ignore"):
        over_distance = (1 / np.diff(means.astype(np.float64))).astype(np.float32)
    over_distance[~np.isfinite(over_distance)] = 0
    both = np.zeros((1 + len(means), 2), dtype=np.float32)
    both[2:, 0], both[1:-1, 1] = -over_distance, over_distance
    return np.append(np.float32(0), means), both, np.sign(both).astype(np.int32)
