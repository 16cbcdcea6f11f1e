"""The seam between what a network says and how it is computed.

The modules beside this file say it, as formulas in plain torch. An :class:`Execution` may compute parts of it in a
faster way. It is given descriptions of these parts, tensors and numbers, and never the modules. Which one is used is
chosen in one place, once per fit or model; this file knows none of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn


class LayerSpec(NamedTuple):
    """Hidden layers, one per member: linear, batch norm (where there is a scale), ReLU and dropout."""

    weight: Tensor
    """``(n, I, O)``"""
    bias: Tensor
    """``(n, O)``, as all that follows."""
    scale: Tensor | None
    running_mean: Tensor | None
    running_var: Tensor | None
    eps: float
    momentum: float
    threshold: int
    """Of 256 outputs so many are dropped."""
    stretch: float
    """What the others are multiplied by."""
    draw_keys: Callable[[int], Tensor]
    """Two fresh random int32 for each of so many members, to draw what is dropped."""

    def parameters(self) -> tuple[Tensor, ...]:
        """What is trained."""
        return (self.weight, self.bias) if self.scale is None else (self.weight, self.bias, self.scale)


class StackSpec(NamedTuple):
    """A stack of MLPs: its hidden layers, and which input each member reads where there are several.

    In prediction no layer has a scale: batch norm is in its weight and bias.
    """

    layers: tuple[LayerSpec, ...]
    reads: tuple[int, ...]
    training: bool


class GateSpec(NamedTuple):
    """Gates without hidden layers: weight ``(G, I, E)``, bias and `excluded` ``(G, E)``, which is −∞ or 0."""

    weight: Tensor
    bias: Tensor
    excluded: Tensor


class RowSpec(NamedTuple):
    """What embedded rows were made of, which begin with a vector of each code column."""

    codes: Tensor
    """``(B, F)``, rows of a table, counted through all columns."""
    cardinalities: tuple[int, ...]
    """The rows of the table that each column has."""
    columns: tuple[int, ...]
    """The columns whose vectors are those of the table; of the others these were changed."""
    dim: int
    vectors: Callable[[Tensor], Tensor]
    """The vectors ``(U, dim)`` in so many rows of the table."""


def with_origin(x: Tensor, row: RowSpec | None) -> Tensor:
    """Embedded rows that say what they were made of.

    They are a tensor as any other. What is made of it says nothing, so only who reads the rows as they are will know.
    """
    x.origin = row  # type: ignore[attr-defined]
    return x


def origin_of(x: Tensor) -> RowSpec | None:
    """What embedded rows were made of, if they say it."""
    return getattr(x, "origin", None)


class Execution:
    """Computes parts of a network that it takes; of others it says no, or None, and the module goes by its formula.

    This one takes none.
    """

    precision: torch.dtype | None = None
    """The number format in which hidden layers multiply matrices in training; None for that of the parameters."""

    def takes(self, x: Tensor, *, training: bool) -> bool:
        """Whether it computes hidden layers for such an input; only then is it given their description."""
        return False

    def hidden(self, stack: StackSpec, x: Tensor, weights: Tensor | None) -> Tensor:
        """What a :class:`~sklearn_fsmd.network.stacked_mlp.StackedMLP` that has layers says of `x` and `weights`."""
        raise NotImplementedError

    def gates(self, gates: GateSpec, x: Tensor) -> Tensor | None:
        """What :class:`~sklearn_fsmd.network.extractors.Gates` say in training of `x`."""
        return None

    def lookup(self, table: Tensor, codes: Tensor) -> Tensor | None:
        """The rows of a table in training, whose gradient is dense."""
        return None


FORMULA = Execution()
"""By the formulas alone."""


def set_execution(module: nn.Module, execution: Execution = FORMULA) -> None:
    """Let every part of `module` that can be computed in several ways be computed by `execution`."""
    for part in module.modules():
        if isinstance(getattr(type(part), "execution", None), Execution):
            part.execution = execution  # type: ignore[assignment]
