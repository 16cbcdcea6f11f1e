"""A member of an ensemble: embedding, low-order part, extractor and towers, which compute logits."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sklearn_fsmd.network.embedding import Embedded, Embedding
from sklearn_fsmd.network.extractors import PLE, MMoE, Separate, SharedBottom
from sklearn_fsmd.network.factorization_machine import FM, Linear
from sklearn_fsmd.network.ragged import Lists
from sklearn_fsmd.network.stacked_mlp import HiddenLayer, StackedLinear, StackedMLP

EXTRACTORS_HERE = SharedBottom, Separate, MMoE, PLE


class Towers(nn.Module):
    """The towers h^k of Eqs. (3), (6) and (9): an MLP and a linear output per task.

    Parameters
    ----------
    n_tasks : number of targets: first the binary targets, then the value targets.
    n_values : number of value targets. Each has `n_outputs` outputs; a binary target has only the first of them.

    **Shape**: ``(B, T, H)`` → ``(B, K + V·P)`` for `T` tasks: `K` binary targets, and `V` values with `P` outputs each.
    """

    def __init__(
        self,
        n_tasks: int,
        in_features: int,
        dims: Sequence[int],
        *,
        dropout: float,
        batch_norm: bool,
        n_values: int = 0,
        n_outputs: int = 1,
    ) -> None:
        super().__init__()
        self.hidden = StackedMLP(n_tasks, in_features, dims, dropout=dropout, batch_norm=batch_norm)
        self.output = StackedLinear(n_tasks, self.hidden.out_features, n_outputs)
        self.n_binary = n_tasks - n_values

    def forward(self, x: Tensor, low_order: Tensor | None = None) -> Tensor:
        """The outputs of the towers; `low_order` ``(B, T)`` or ``(B, 1)`` is added to the first output of each."""
        y = self.output(self.hidden(x.transpose(0, 1)))  # (T, B, P)
        if y.shape[2] == 1:
            logits = y.squeeze(2).t()
            return logits if low_order is None else logits + low_order
        if low_order is not None:
            y = torch.cat((y[..., :1] + low_order.expand(-1, len(y)).t().unsqueeze(2), y[..., 1:]), dim=2)
        value_outputs = y[self.n_binary :].transpose(0, 1).flatten(1)
        return torch.cat((y[: self.n_binary, :, 0].t(), value_outputs), dim=1)


class Member(nn.Module):
    """A network from rows to logits; an ensemble has several members.

    With `own_extractor` the extractor is the user's, and nothing is assumed about its weights.

    **Shape**: codes ``(B, F)``, numbers ``(B, N)`` and, if there are such columns, lists → logits ``(B, K)``, followed
    by the outputs of the value targets, if there are any.
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
        """The sum y_FM + y_deep of Eq. (1), the argument of the sigmoid in Eqs. (3), (6) and (9)."""
        return self.logits_of(self.embedding(codes, numbers, lists))

    def logits_of(self, x: Embedded) -> Tensor:
        """The logits of embedded rows."""
        y_fm = None if self.low_order is None else self.low_order(x)
        logits: Tensor = self.towers(representations(self.extractor, self._flat(x)), y_fm)
        return logits

    def gate_weights(self, codes: Tensor, numbers: Tensor, lists: Lists | None = None) -> Tensor:
        """The weights of the experts, ``(B, levels, K, E)``; the extractor must have gates."""
        x = self._flat(self.embedding(codes, numbers, lists))
        return torch.stack(list(self.extractor.gate_weights(x)), dim=1)  # type: ignore[operator]

    def _flat(self, x: Embedded) -> Tensor:
        """The input of the extractor; without its origin for an extractor that might change the rows in place."""
        return (x if type(self.extractor) in EXTRACTORS_HERE else x._replace(origin=None)).flat()

    @property
    def first_order(self) -> Linear | None:
        """The first-order terms; None without a low-order part, or if that was registered by the user."""
        part = self.low_order.linear if isinstance(self.low_order, FM) else self.low_order
        return part if isinstance(part, Linear) else None

    @property
    def first_layers(self) -> list[HiddenLayer]:
        """The first hidden layer of the experts or bottoms, as a list of at most one layer.

        The list is empty if they have no hidden layers, or if the extractor is the user's.
        """
        if self.own_extractor:
            return []  # even if it is one of our classes: the user may have trained its weights
        readers = getattr(self.extractor, "readers", None)  # an extractor that a user registers may have none
        return readers.hidden_layers[:1] if isinstance(readers, StackedMLP) else []


def representations(extractor: nn.Module, x: Tensor) -> Tensor:
    """The output of `extractor` as one tensor ``(B, K, H)``; it may return a sequence of `K` tensors ``(B, H)``."""
    out = extractor(x)
    return out if isinstance(out, Tensor) else torch.stack(tuple(out), dim=1)
