"""A first layer by values: what it makes of a row is the sum of what it makes of the row's values.

The first layer multiplies the embedded row, F vectors side by side, by its weights. Where a column has few values, a
batch repeats them: the vector of each, times the weights of its column, is computed once, and a row adds up what its
values gave. Per row and column that is one sum of O numbers in place of D of them, and backward likewise. On tables of
categories and bins the first layer is most of a network's products.

Source: ⟨w, x⟩ over one-hot columns is a sum over what is 1, as in the first-order terms of Eq. (2).
"""

from __future__ import annotations

from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple

import torch
from torch import Tensor

from sklearn_fsmd.execution import core
from sklearn_fsmd.execution.crew import Crew
from sklearn_fsmd.network import RowSpec, origin_of

REPEATED = 4
"""A column is read by values where a batch has so many rows, or more, for each value of the column."""


class Plan(NamedTuple):
    """Which columns are read by values, how their values are counted here, and what else a row has."""

    columns: Tensor
    """``(F,)``, the columns that are read by values."""
    shift: Tensor
    """``(F,)``, what is taken from their codes, the rows of the table, for the values of these columns to be 0, 1, …"""
    stops: Tensor
    """``(F,)``, the end of the values of each column."""
    rows: Tensor
    """``(U,)``, the row of the table of each value."""
    at: Tensor
    """``(U,)``, where a row has the vector of the value's column."""
    others: Tensor
    """What a row has beside these columns: the places of these numbers."""


@lru_cache(maxsize=64)
def plan_of(cardinalities: tuple[int, ...], columns: tuple[int, ...], dim: int, width: int) -> Plan:
    """For rows of so many numbers, which begin with a vector of `dim` numbers for each column."""
    starts = list(accumulate(cardinalities, initial=0))
    sizes = [cardinalities[f] for f in columns]
    stops = list(accumulate(sizes))
    with torch.inference_mode(mode=False):  # a tensor of a prediction could not be used in training
        is_other = torch.ones(width, dtype=torch.bool, device="cpu")
        for f in columns:
            is_other[f * dim : (f + 1) * dim] = False
        return Plan(
            _numbers(list(columns)),
            _numbers([starts[f] - (stop - n) for f, n, stop in zip(columns, sizes, stops, strict=True)]),
            _numbers(stops),
            _numbers([row for f in columns for row in range(starts[f], starts[f + 1])]),
            _numbers([f * dim for f, n in zip(columns, sizes, strict=True) for _ in range(n)]),
            is_other.nonzero().flatten(),
        )


def few_values_of(x: Tensor) -> FewValues | None:
    """The columns of embedded rows that are read by values; None if there are none, or the rows do not say."""
    row = origin_of(x)
    if row is None:
        return None
    columns = tuple(f for f in row.columns if REPEATED * row.cardinalities[f] <= len(x))
    return FewValues(row, columns, x.shape[1]) if columns else None


def _numbers(x: list[int]) -> Tensor:
    return torch.tensor(x, dtype=torch.int64, device="cpu")


class FewValues:
    """The columns of few values of a batch: those that there are, and which of them each row has."""

    def __init__(self, row: RowSpec, columns: tuple[int, ...], width: int) -> None:
        plan = plan_of(row.cardinalities, columns, row.dim, width)
        self.others, self.width = plan.others, width
        codes = row.codes.index_select(1, plan.columns) - plan.shift
        first, stop = codes.amin(dim=0), codes.amax(dim=0) + 1
        if (stop > plan.stops).any() or first[0] < 0 or (first[1:] < plan.stops[:-1]).any():
            raise ValueError(f"there are codes outside the rows of their columns, of {row.cardinalities} rows")
        is_there = torch.zeros(len(plan.rows), dtype=torch.bool, device="cpu")
        is_there[codes.flatten()] = True
        self.at = plan.at[is_there]
        """``(U,)``, where a row has the vector of each value, column by column."""
        self.codes = (is_there.cumsum(0, dtype=torch.int32) - 1)[codes]
        """``(B, F)``, the values of each row."""
        self.vectors = row.vectors(plan.rows[is_there])
        """``(U, D)``; a value that no row has gets no gradient, not even one of zeros."""

    def products(self, weight: Tensor) -> Tensor:
        """What the values give, ``(U, O)``, by the weights ``(I, O)`` of a member."""
        of_values = core.room(len(self.at), weight.shape[1])
        core.load()[0].value_products(*self._with(weight), core.address(of_values, of_values.shape), weight.shape[1])
        return of_values

    def add(self, of_values: Tensor, c: slice, z: Tensor) -> None:
        """Add to some columns of what a member's other inputs give, ``(B, c)``, what the values of each row do."""
        core.load()[0].add_values(*self._codes(), *self._columns(of_values, c), *self._matrix(z, c))

    def add_to_values(self, d: Tensor, c: slice, grads: Tensor) -> None:
        """Add some columns of the gradient of a member's linear map to the gradients ``(U, O)`` of what values give."""
        core.load()[0].add_to_values(*self._codes(), *self._columns(grads, c), *self._matrix(d, c))

    def gradients(self, weight: Tensor, grads: Tensor, grad_weight: Tensor) -> Tensor:
        """The gradient of the vectors, ``(U, D)``; that of the weights is added to `grad_weight`."""
        made = core.room(*self.vectors.shape)
        width = grads.shape[1]
        matrices = core.address(grads, (len(self.at), width)), core.address(grad_weight, (self.width, width))
        core.load()[0].value_gradients(*self._with(weight), *matrices, made.data_ptr(), width)
        return made

    def _with(self, weight: Tensor) -> tuple[int, ...]:
        n, dim = self.vectors.shape
        values = core.address(self.vectors.detach(), (n, dim)), core.address(self.at, (n,), torch.int64), n, dim
        return *values, core.address(weight, (self.width, weight.shape[1]))

    def _codes(self) -> tuple[int, int, int]:
        return core.address(self.codes, self.codes.shape, torch.int32), *self.codes.shape

    def _columns(self, x: Tensor, c: slice) -> tuple[int, int]:
        width = x.shape[1]
        if not 0 <= c.start < c.stop <= width:
            raise ValueError(f"there are no columns {c} of {width}")
        return core.address(x, (len(self.at), width)) + 4 * c.start, width

    def _matrix(self, x: Tensor, c: slice) -> tuple[int, int, int, int]:
        shape = len(self.codes), c.stop - c.start
        return *core.matrix(x, shape, x.dtype), shape[1], core.BF16[x.dtype]


class FirstLayers:
    """One step of training of the first layers of all members, as far as they read by values."""

    def __init__(self, values: FewValues, weight: Tensor) -> None:
        self.values, self.weight = values, weight
        self.of_values: dict[int, Tensor] = {}
        """What the values give to each member, while it is added up."""

    def begin(self, members: slice) -> None:
        for e in _each(members):
            self.of_values[e] = self.values.products(self.weight[e])

    def forward(self, members: slice, c: slice, z: Tensor) -> None:
        """Add to some columns of the linear maps of some members what the values give."""
        for e, of_member in zip(_each(members), z.unbind(0) if z.dim() == 3 else (z,), strict=True):
            self.values.add(self.of_values[e], c, of_member)

    def begin_backward(self) -> None:
        self.of_values = {}
        self.grads = core.room(len(self.weight), len(self.values.at), self.weight.shape[2]).zero_()

    def backward(self, members: slice, c: slice, d: Tensor) -> None:
        """Take some columns of the gradient `d` of the linear maps of some members."""
        for e, of_member in zip(_each(members), d.unbind(0) if d.dim() == 3 else (d,), strict=True):
            self.values.add_to_values(of_member, c, self.grads[e])

    def gradients(self, crew: Crew, of_others: Tensor) -> tuple[Tensor, Tensor]:
        """Those of all weights, of which there are those of the other inputs, and that of the vectors."""
        made = core.room(*self.weight.shape).zero_()
        made[:, self.values.others] = of_others
        of_vectors: dict[int, Tensor] = {}

        def of_member(e: int) -> None:
            of_vectors[e] = self.values.gradients(self.weight[e], self.grads[e], made[e])

        crew.each(of_member, range(len(made)), made.numel())
        total = of_vectors[0]
        for e in range(1, len(made)):
            total += of_vectors[e]
        return made, total


def _each(members: slice) -> range:
    return range(members.start, members.stop)
