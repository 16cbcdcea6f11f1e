"""The interface between what a network computes and how it is computed.

The other modules of this folder define the network by formulas in plain torch. An :class:`Execution` may compute parts
of it faster. It gets descriptions of these parts, made of tensors and numbers, and never the modules. The execution is
chosen in one place, once per fit or model. This file knows only the interface.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn


class LayerSpec(NamedTuple):
    """Hidden layers, one per MLP of a stack: linear, batch norm (if there is a scale), ReLU and dropout."""

    weight: Tensor
    """``(n, I, O)``"""
    bias: Tensor
    """``(n, O)``, like `scale` and the running statistics."""
    scale: Tensor | None
    running_mean: Tensor | None
    running_var: Tensor | None
    eps: float
    momentum: float
    threshold: int
    """Number of dropped outputs per 256."""
    stretch: float
    """Factor of the outputs that are not dropped."""
    draw_keys: Callable[[int], Tensor]
    """Draws two random int32 for each of `n` members, as keys of the dropout mask, ``(n, 2)``."""

    def parameters(self) -> tuple[Tensor, ...]:
        """The trained tensors."""
        return (self.weight, self.bias) if self.scale is None else (self.weight, self.bias, self.scale)


class StackSpec(NamedTuple):
    """A stack of MLPs: its hidden layers, and, if there are several inputs, the index of the input of each MLP.

    In prediction no layer has a scale: batch norm is folded into weight and bias.
    """

    layers: tuple[LayerSpec, ...]
    reads: tuple[int, ...]
    training: bool


class GateSpec(NamedTuple):
    """Gates without hidden layers: weight ``(G, I, E)``, bias ``(G, E)``, and `excluded` ``(G, E)``, −∞ or 0."""

    weight: Tensor
    bias: Tensor
    excluded: Tensor


class RowSpec(NamedTuple):
    """The origin of embedded rows, which begin with one vector per code column."""

    codes: Tensor
    """``(B, F)``, rows of the table, numbered through all columns."""
    cardinalities: tuple[int, ...]
    """Number of rows of the table per column."""
    columns: tuple[int, ...]
    """Columns whose vectors are rows of the table without changes."""
    dim: int
    vectors: Callable[[Tensor], Tensor]
    """Returns the vectors ``(U, dim)`` in `U` rows of the table."""


def with_origin(x: Tensor, row: RowSpec | None) -> Tensor:
    """Attach the origin of embedded rows to their tensor.

    Operations on the tensor do not copy the attribute, so only a module that gets the unchanged rows sees it.
    """
    x.origin = row  # type: ignore[attr-defined]
    return x


def origin_of(x: Tensor) -> RowSpec | None:
    """The origin of embedded rows, or None if it is not attached."""
    return getattr(x, "origin", None)


class Execution:
    """Computes parts of a network that it supports; all other parts are computed by the formulas of their modules.

    This class supports none.
    """

    precision: torch.dtype | None = None
    """Number format of the matrix products of hidden layers in training; None for the format of the parameters."""

    def supports(self, x: Tensor, *, training: bool) -> bool:
        """Whether it computes hidden layers for such an input; :meth:`hidden` is called only then."""
        return False

    def hidden(self, stack: StackSpec, x: Tensor, weights: Tensor | None) -> Tensor:
        """The output of a :class:`~sklearn_fsmd.network.stacked_mlp.StackedMLP` with layers for `x` and `weights`."""
        raise NotImplementedError

    def gates(self, gates: GateSpec, x: Tensor) -> Tensor | None:
        """The output of :class:`~sklearn_fsmd.network.extractors.Gates` for `x` in training; None if not supported."""
        return None

    def lookup(self, table: Tensor, codes: Tensor) -> Tensor | None:
        """Rows of a table with a dense gradient, in training; None if not supported."""
        return None


FORMULA = Execution()
"""Computes everything by the formulas."""


def set_execution(module: nn.Module, execution: Execution = FORMULA) -> None:
    """Let `execution` compute the parts of `module` that have an `execution` attribute."""
    for part in module.modules():
        if isinstance(getattr(type(part), "execution", None), Execution):
            part.execution = execution  # type: ignore[assignment]
