"""A predictor of logits: embedding, low-order part, extractor and towers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sklearn_fsmd.network.embedding import Embedded, Embedding
from sklearn_fsmd.network.extractors import PLE, MMoE, Separate, SharedBottom
from sklearn_fsmd.network.ragged import Lists
from sklearn_fsmd.network.stacked_mlp import HiddenLayer, StackedLinear, StackedMLP

EXTRACTORS_HERE = SharedBottom, Separate, MMoE, PLE


class Towers(nn.Module):
    """The towers h^k of Eqs. (3), (6) and (9): an MLP and a linear output per task.

    Parameters
    ----------
    n_tasks : the binary targets, and after them the values.
    n_values : how many are values; each has `n_outputs` outputs, a binary target has the first of them.

    **Shape**: ``(B, T, H)`` → ``(B, K + V·P)`` with `T` tasks, `V` of them values of `P` outputs, and ``K = T − V``.
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
        """What the towers say; `low_order` ``(B, T)`` or ``(B, 1)`` adds to the first output of each."""
        y = self.output(self.hidden(x.transpose(0, 1)))  # (T, B, P)
        if y.shape[2] == 1:
            logits = y.squeeze(2).t()
            return logits if low_order is None else logits + low_order
        if low_order is not None:
            y = torch.cat((y[..., :1] + low_order.expand(-1, len(y)).t().unsqueeze(2), y[..., 1:]), dim=2)
        of_values = y[self.n_binary :].transpose(0, 1).flatten(1)
        return torch.cat((y[: self.n_binary, :, 0].t(), of_values), dim=1)


class Member(nn.Module):
    """What a network predicts with; an ensemble has several.

    An extractor of the user's own, `own_extractor`, is taken as it is.

    **Shape**: codes ``(B, F)``, numbers ``(B, N)`` and, where there are such columns, lists → logits ``(B, K)``, after
    which there are the outputs of values, if the network has some.
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
        return self.logits_of(self.embedding(codes, numbers, lists))

    def logits_of(self, x: Embedded) -> Tensor:
        """The logits of embedded rows."""
        y_fm = None if self.low_order is None else self.low_order(x)
        said: Tensor = self.towers(representations(self.extractor, self._flat(x)), y_fm)
        return said

    def gate_weights(self, codes: Tensor, numbers: Tensor, lists: Lists | None = None) -> Tensor:
        """The experts' weights, ``(B, levels, K, E)``, of an extractor that has gates."""
        x = self._flat(self.embedding(codes, numbers, lists))
        return torch.stack(list(self.extractor.gate_weights(x)), dim=1)  # type: ignore[operator]

    def _flat(self, x: Embedded) -> Tensor:
        """The rows for the extractor. One that may change them in place is not told what they were made of."""
        return (x if type(self.extractor) in EXTRACTORS_HERE else x._replace(origin=None)).flat()

    @property
    def first_layers(self) -> list[HiddenLayer]:
        """The layer of all experts, or bottoms, that reads the embedded row; none if these have none or are a user's.

        It is a list of one layer at the most.
        """
        if self.own_extractor:
            return []  # though it be one of these classes, its weights may mean something
        readers = getattr(self.extractor, "readers", None)  # one that others have registered may have none
        return readers.hidden_layers[:1] if isinstance(readers, StackedMLP) else []


def representations(extractor: nn.Module, x: Tensor) -> Tensor:
    """One representation per task, ``(B, K, H)``; an extractor may also return them as a sequence of ``(B, H)``."""
    out = extractor(x)
    return out if isinstance(out, Tensor) else torch.stack(tuple(out), dim=1)
