"""A predictor of logits: embedding, low-order part, extractor and towers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from sklearn_fsmd.network.embedding import Embedding
from sklearn_fsmd.network.stacked_mlp import HiddenLayer, StackedLinear, StackedMLP
from sklearn_fsmd.ragged import Lists


class Towers(nn.Module):
    """The towers h^k of Eqs. (3), (6) and (9): an MLP and a linear output per task.

    **Shape**: ``(B, K, H)`` → ``(B, K)``.
    """

    def __init__(
        self, n_tasks: int, in_features: int, dims: Sequence[int], *, dropout: float, batch_norm: bool
    ) -> None:
        super().__init__()
        self.hidden = StackedMLP(n_tasks, in_features, dims, dropout=dropout, batch_norm=batch_norm)
        self.output = StackedLinear(n_tasks, self.hidden.out_features, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.output(self.hidden(x.transpose(0, 1))).squeeze(2).t()


class Member(nn.Module):
    """What a network predicts with; an ensemble has several.

    An extractor of the user's own, `own_extractor`, is taken as it is.

    **Shape**: codes ``(B, F)``, numbers ``(B, N)`` and, where there are such columns, lists → logits ``(B, K)``.
    """

    def __init__(
        self,
        embedding: Embedding,
        low_order: nn.Module | None,
        extractor: nn.Module,
        towers: Towers,
        *,
        own_extractor: bool = False,
    ) -> None:
        super().__init__()
        self.own_extractor = own_extractor
        self.embedding = embedding
        self.low_order = low_order
        self.extractor = extractor
        self.towers = towers

    def logits(self, codes: Tensor, numbers: Tensor, lists: Lists | None = None) -> Tensor:
        """The sum y_FM + y_deep of Eq. (1), and the sigmoid's argument in Eqs. (3), (6) and (9)."""
        x = self.embedding(codes, numbers, lists)
        y_deep: Tensor = self.towers(representations(self.extractor, x.flat()))
        return y_deep if self.low_order is None else y_deep + self.low_order(x)

    def gate_weights(self, codes: Tensor, numbers: Tensor, lists: Lists | None = None) -> Tensor:
        """The experts' weights, ``(B, levels, K, E)``, of an extractor that has gates."""
        x = self.embedding(codes, numbers, lists).flat()
        return torch.stack(list(self.extractor.gate_weights(x)), dim=1)  # type: ignore[operator]

    @property
    def first_layers(self) -> list[HiddenLayer]:
        """The layer of all experts, or bottoms, that reads the embedded row; none if these have none or are a user's.

        It is a list of one layer at the most.
        """
        if self.own_extractor:
            return []  # though it be one of these classes, its weights may mean something
        readers = cast("StackedMLP", self.extractor.readers)
        return [readers.first] if readers.layers else []


def representations(extractor: nn.Module, x: Tensor) -> Tensor:
    """One representation per task, ``(B, K, H)``; an extractor may also return them as a sequence of ``(B, H)``."""
    out = extractor(x)
    return out if isinstance(out, Tensor) else torch.stack(tuple(out), dim=1)
