"""The first layer by values: its linear map of a row is the sum of the products of the values of the row.

The first layer multiplies the embedded row, F concatenated vectors, by its weights. A column with few values repeats
them within a batch. So the product of each value, its vector times the weights of its column, is computed once, and a
row is the sum of the products of its values. Per row and column this is one sum of O numbers instead of D sums, and the
same holds for the backward pass. On tables of categories and bins the first layer has most of the multiplications of a
network.

Source: ⟨w, x⟩ over one-hot columns is a sum over the columns that are 1, as in the first-order terms of Eq. (2).
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
"""A column is computed by values if the batch has at least this many rows per value of the column."""


class Plan(NamedTuple):
    """The columns that are computed by values, the numbering of their values, and the other inputs of a row."""

    columns: Tensor
    """``(F,)``, the columns that are computed by values."""
    shift: Tensor
    """``(F,)``, subtracted from the codes, rows of the table, to number the values of these columns by 0, 1, …"""
    stops: Tensor
    """``(F,)``, the end of the range of values of each column."""
    rows: Tensor
    """``(U,)``, the row of the table of each value."""
    offsets: Tensor
    """``(U,)``, the position of the vector of each value's column in a row."""
    others: Tensor
    """Positions of all other inputs in a row."""


@lru_cache(maxsize=64)
def plan_of(cardinalities: tuple[int, ...], columns: tuple[int, ...], dim: int, width: int) -> Plan:
    """The plan for rows of `width` numbers, which begin with a vector of `dim` numbers per column."""
    starts = list(accumulate(cardinalities, initial=0))
    sizes = [cardinalities[f] for f in columns]
    stops = list(accumulate(sizes))
    with torch.inference_mode(mode=False):  # inference tensors could not be used in training
        is_other = torch.ones(width, dtype=torch.bool, device="cpu")
        for f in columns:
            is_other[f * dim : (f + 1) * dim] = False
        return Plan(
            _int64(list(columns)),
            _int64([starts[f] - (stop - n) for f, n, stop in zip(columns, sizes, stops, strict=True)]),
            _int64(stops),
            _int64([row for f in columns for row in range(starts[f], starts[f + 1])]),
            _int64([f * dim for f, n in zip(columns, sizes, strict=True) for _ in range(n)]),
            is_other.nonzero().flatten(),
        )


def few_values_of(x: Tensor) -> FewValues | None:
    """The columns of embedded rows that are computed by values; None without such columns or without an origin."""
    row = origin_of(x)
    if row is None:
        return None
    columns = tuple(f for f in row.columns if REPEATED * row.cardinalities[f] <= len(x))
    return FewValues(row, columns, x.shape[1]) if columns else None


def _int64(x: list[int]) -> Tensor:
    return torch.tensor(x, dtype=torch.int64, device="cpu")


class FewValues:
    """The columns of a batch with few values: the values that occur, and the values of each row."""

    def __init__(self, row: RowSpec, columns: tuple[int, ...], width: int) -> None:
        plan = plan_of(row.cardinalities, columns, row.dim, width)
        self.others, self.width = plan.others, width
        codes = row.codes.index_select(1, plan.columns) - plan.shift
        first, stop = codes.amin(dim=0), codes.amax(dim=0) + 1
        if (stop > plan.stops).any() or first[0] < 0 or (first[1:] < plan.stops[:-1]).any():
            raise ValueError(f"there are codes outside the rows of their columns, of {row.cardinalities} rows")
        occurs = torch.zeros(len(plan.rows), dtype=torch.bool, device="cpu")
        occurs[codes.flatten()] = True
        self.offsets = plan.offsets[occurs]
        """``(U,)``, the position of the vector of each value in a row; values are sorted by column."""
        self.codes = (occurs.cumsum(0, dtype=torch.int32) - 1)[codes]
        """``(B, F)``, the values of each row."""
        self.vectors = row.vectors(plan.rows[occurs])
        """``(U, D)``; a value that does not occur gets no gradient, not even zeros."""

    def products(self, weight: Tensor) -> Tensor:
        """The products ``(U, O)`` of the values with the weights ``(I, O)`` of a member."""
        products = core.room(len(self.offsets), weight.shape[1])
        core.load()[0].value_products(
            *self._values_and(weight), core.address(products, products.shape), weight.shape[1]
        )
        return products

    def add(self, products: Tensor, c: slice, z: Tensor) -> None:
        """Add the products of the values of each row to columns `c` of the linear map of the other inputs, `z`."""
        core.load()[0].add_values(*self._codes(), *self._columns(products, c), *self._matrix(z, c))

    def add_to_values(self, d: Tensor, c: slice, grads: Tensor) -> None:
        """Add columns `c` of the gradient `d` of a member's linear map to the gradients ``(U, O)`` of the products."""
        core.load()[0].add_to_values(*self._codes(), *self._columns(grads, c), *self._matrix(d, c))

    def gradients(self, weight: Tensor, grads: Tensor, grad_weight: Tensor) -> Tensor:
        """The gradient of the vectors, ``(U, D)``; the gradient of the weights is added to `grad_weight`."""
        grad_vectors = core.room(*self.vectors.shape)
        width = grads.shape[1]
        matrices = core.address(grads, (len(self.offsets), width)), core.address(grad_weight, (self.width, width))
        core.load()[0].value_gradients(*self._values_and(weight), *matrices, grad_vectors.data_ptr(), width)
        return grad_vectors

    def _values_and(self, weight: Tensor) -> tuple[int, ...]:
        n, dim = self.vectors.shape
        values = core.address(self.vectors.detach(), (n, dim)), core.address(self.offsets, (n,), torch.int64), n, dim
        return *values, core.address(weight, (self.width, weight.shape[1]))

    def _codes(self) -> tuple[int, int, int]:
        return core.address(self.codes, self.codes.shape, torch.int32), *self.codes.shape

    def _columns(self, x: Tensor, c: slice) -> tuple[int, int]:
        width = x.shape[1]
        if not 0 <= c.start < c.stop <= width:
            raise ValueError(f"there are no columns {c} of {width}")
        return core.address(x, (len(self.offsets), width)) + 4 * c.start, width

    def _matrix(self, x: Tensor, c: slice) -> tuple[int, int, int, int]:
        shape = len(self.codes), c.stop - c.start
        return *core.matrix(x, shape, x.dtype), shape[1], core.BF16[x.dtype]


class FirstLayers:
    """The part of the first layers of all members that is computed by values, in one step of training."""

    def __init__(self, values: FewValues, weight: Tensor) -> None:
        self.values, self.weight = values, weight
        self.products: dict[int, Tensor] = {}
        """The products of the values with the weights of each member, until backward begins."""

    def begin(self, members: slice) -> None:
        for e in _each(members):
            self.products[e] = self.values.products(self.weight[e])

    def forward(self, members: slice, c: slice, z: Tensor) -> None:
        """Add the products of the values to columns `c` of the linear maps `z` of some members."""
        for e, member_z in zip(_each(members), z.unbind(0) if z.dim() == 3 else (z,), strict=True):
            self.values.add(self.products[e], c, member_z)

    def begin_backward(self) -> None:
        self.products = {}
        self.grads = core.room(len(self.weight), len(self.values.offsets), self.weight.shape[2]).zero_()

    def backward(self, members: slice, c: slice, d: Tensor) -> None:
        """Add columns `c` of the gradient `d` of the linear maps of some members."""
        for e, member_d in zip(_each(members), d.unbind(0) if d.dim() == 3 else (d,), strict=True):
            self.values.add_to_values(member_d, c, self.grads[e])

    def gradients(self, crew: Crew, grad_others: Tensor) -> tuple[Tensor, Tensor]:
        """The gradients of the weights and of the vectors, given those of the weights of the other inputs."""
        grad_weight = core.room(*self.weight.shape).zero_()
        grad_weight[:, self.values.others] = grad_others
        grad_vectors: dict[int, Tensor] = {}

        def compute(e: int) -> None:
            grad_vectors[e] = self.values.gradients(self.weight[e], self.grads[e], grad_weight[e])

        crew.each(compute, range(len(grad_weight)), grad_weight.numel())
        total = grad_vectors[0]
        for e in range(1, len(grad_weight)):
            total += grad_vectors[e]
        return grad_weight, total


def _each(members: slice) -> range:
    return range(members.start, members.stop)
