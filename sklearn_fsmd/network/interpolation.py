"""Numbers between bins: what a number's vector has of that of the bin beside its own.

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
    """Finds, for numbers and their bins, the bins beside these and how far the numbers are on the way there.

    A bin's vector belongs to the mean of its numbers. Between two means a number's vector goes in a straight line from
    one to the other, as in a piecewise linear encoding [PLE]_; before the first mean and after the last it is that of
    the first or last bin. A missing number has a vector of its own.

    Parameters
    ----------
    means : for each numeric column the scaled means of its bins, in rising order; the row of missing numbers has none.

    **Shape**: rows of the bins ``(B, N)`` and numbers ``(B, N)`` → rows beside them ``(B, N)``, shares ``(B, N)``.

    Examples
    --------
    >>> import torch
    >>> between = Interpolation([[0.0, 1.0, 3.0]])
    >>> between.number_rows([4])
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
        self.sizes = [1 + len(own) for own in means]
        of_columns = [of_bins(np.asarray(own, dtype=np.float32)) for own in means]
        # Not in the file of a model: the encoder is, and they are made of what it knows.
        for name, of_each in zip(("means", "over_distance", "steps"), zip(*of_columns, strict=True), strict=True):
            self.register_buffer(name, torch.from_numpy(np.concatenate(of_each).ravel()), persistent=False)
        self.register_buffer("to_bins", torch.zeros(len(means), dtype=torch.int64), persistent=False)

    @property
    def n_columns(self) -> int:
        """How many numeric columns there are, `N`."""
        return len(self.sizes)

    def number_rows(self, cardinalities: Sequence[int]) -> None:
        """Say how many rows of the table each code column has: those of the bins are the last ones.

        Raises
        ------
        ValueError
            If these have other numbers of bins than there are means.
        """
        self.first_column = len(cardinalities) - self.n_columns
        if list(cardinalities[self.first_column :]) != self.sizes:
            raise ValueError(f"there are means for bins of {self.sizes} rows in columns of {list(cardinalities)} rows")
        starts, first_rows = [0, *accumulate(self.sizes)][:-1], [0, *accumulate(cardinalities)][self.first_column : -1]
        self.to_bins = self.to_bins.new_tensor(starts) - self.to_bins.new_tensor(first_rows)

    def forward(self, rows: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
        bins = rows + self.to_bins
        way = numbers - self.means[bins]
        side = torch.add(way > 0, bins, alpha=2)
        return rows + self.steps[side], way * self.over_distance[side]


def of_bins(means: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What there is to know of a column's bins, of which the first is that of missing numbers.

    Returns
    -------
    means : ``(1 + n,)``
    over_distance : ``(1 + n, 2)``, 1 over the way from the mean to that of the bin before, which is negative, and to
        that of the bin after it. It is 0, so that the share is, where there is no such bin, or none that a float32
        tells apart.
    steps : ``(1 + n, 2)`` int32, how many rows further that bin is: −1, 1 or 0.
    """
    means = np.maximum.accumulate(means)  # of numbers at the end of their precision a mean may be off by one rounding
    with np.errstate(divide="ignore", over="ignore"):
        over_distance = (1 / np.diff(means.astype(np.float64))).astype(np.float32)
    over_distance[~np.isfinite(over_distance)] = 0
    both = np.zeros((1 + len(means), 2), dtype=np.float32)
    both[2:, 0], both[1:-1, 1] = -over_distance, over_distance
    return np.append(np.float32(0), means), both, np.sign(both).astype(np.int32)
