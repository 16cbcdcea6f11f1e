"""The network of the paper: four parts, assembled. Read this file against sections III-A to III-D.

::

    codes, numbers ── embedding ──┬── low order (FM) ────────────┐
                                  └── extractor (PLE) ── towers ── + ── logits ── link ── P(click), P(conversion)
    position, … (training only) ── bias tower ───────────────────┘
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from sklearn_fsmd.network.bias_tower import BiasTower
from sklearn_fsmd.network.denoising_autoencoder import Learned
from sklearn_fsmd.network.embedding import Embedding
from sklearn_fsmd.network.links import TreeLink
from sklearn_fsmd.network.members import deep_logits
from sklearn_fsmd.network.stacked_mlp import HiddenLayer, StackedLinear, StackedMLP


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
    """A further extractor and its towers: y_deep of Eqs. (3), (6) and (9) once more."""

    def __init__(self, extractor: nn.Module, towers: Towers) -> None:
        super().__init__()
        self.extractor, self.towers = extractor, towers


class MultiTaskNetwork(nn.Module):
    """Embedding, low-order part, extractor, towers, link and, where there are bias features, their tower.

    **Shape**: codes ``(B, F)`` and numbers ``(B, N)`` → logits ``(B, K)``; see :class:`TreeLink` for what they mean.
    In training with members, each that reads a row has logits of its own, ``(R, B, K)``. The codes and numbers of the
    bias features follow in training; without them their tower is neutral.

    An extractor of the user's own, `own_extractor`, is taken as it is. `shares_nothing` says that each task has a
    network of its own.
    """

    def __init__(
        self,
        embedding: Embedding,
        low_order: nn.Module | None,
        extractor: nn.Module,
        towers: Towers,
        link: TreeLink,
        bias_tower: BiasTower | None = None,
        more_members: Sequence[Member] = (),
        *,
        own_extractor: bool = False,
        shares_nothing: bool = False,
    ) -> None:
        super().__init__()
        self.own_extractor = own_extractor
        self.shares_nothing = shares_nothing
        self.embedding = embedding
        self.low_order = low_order
        self.extractor = extractor
        self.towers = towers
        self.link = link
        self.bias_tower = bias_tower
        self.more_members = nn.ModuleList(more_members)

    def forward(self, codes: Tensor, numbers: Tensor, *bias: Tensor) -> Tensor:
        x = self.embedding(codes, numbers)
        if self.more_members:
            logits = deep_logits([partial(y_deep, member) for member in self.members], x.flat(), training=self.training)
        else:
            logits = y_deep(self, x.flat())
        if self.low_order is not None:
            logits = logits + self.low_order(x)  # y_FM + y_deep, Eq. (1)
        if self.bias_tower is not None:
            level = self.bias_tower(*bias) if bias else self.bias_tower.neutral.expand(len(codes))
            logits = torch.cat((logits[..., :1] + level.unsqueeze(1), logits[..., 1:]), dim=-1)
        return self.link.mean(logits) if self.more_members and not self.training else logits

    def gate_weights(self, codes: Tensor, numbers: Tensor) -> Tensor:
        """The experts' weights, ``(B, levels, K, E)``, of an extractor that has gates; the mean over the members."""
        x = self.embedding(codes, numbers).flat()
        of_members = [torch.stack(list(member.extractor.gate_weights(x)), dim=1) for member in self.members]
        return of_members[0] if len(of_members) == 1 else torch.stack(of_members).mean(dim=0)

    @property
    def members(self) -> list[Any]:
        """The extractors and towers: this network's own, and those of further members of an ensemble."""
        return [self, *self.more_members]

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Parameters for an optimizer: weights decay; biases and the scales of batch norm do not.

        Tied weights are one parameter, and what the first of their names says is done.
        """
        groups: list[dict[str, Any]] = [{"params": []}, {"params": [], "weight_decay": 0.0}]
        seen: set[int] = set()
        for module in self.modules():
            for name, parameter in module.named_parameters(recurse=False):
                kept = name == "bias" or (name == "scale" and isinstance(module, HiddenLayer))
                if id(parameter) not in seen:
                    groups[kept]["params"].append(parameter)
                seen.add(id(parameter))
        return [group for group in groups if group["params"]]

    def use_sparse_gradients(self, on: bool) -> None:
        """Whether the gradients of tables name only the rows that a batch has read."""
        for module in self.modules():
            if isinstance(module, nn.Embedding):
                module.sparse = on

    def part_of_task(self, name: str, tensor: Tensor, k: int) -> Tensor | None:
        """What belongs to task `k` of a tensor of the state, where tasks share nothing; None if it is another task's.

        The bias tower is the first task's.
        """
        top = name.partition(".")[0]
        if top == "bias_tower":
            return tensor if k == 0 else None
        axis = 0 if top in ("extractor", "towers", "more_members") or name == "low_order.weights" else 1
        return tensor.chunk(len(self.link.parents), dim=axis)[k]

    @torch.no_grad()
    def start_at(self, rates: Tensor) -> None:
        """Let the towers' biases say the base rates `rates` ``(K,)`` of the targets."""
        for member in self.members:
            member.towers.output.bias.copy_(self.link.prior_logits(rates).unsqueeze(1))

    @property
    def first_layers(self) -> list[HiddenLayer]:
        """The layers of all experts, or bottoms, that read the embedded row; none if these have none or are a user's.

        There is one for each member of an ensemble.
        """
        if self.own_extractor:
            return []  # though it be one of these classes, its weights may mean something
        readers = [cast("StackedMLP", member.extractor.readers) for member in self.members]
        return [stack.first for stack in readers if stack.layers]

    def start_from(self, learned: Learned) -> None:
        """Begin with what an autoencoder has learned: the embeddings, and the layer that reads them in each expert.

        What the layer makes of a row stays the same, in whatever size the embeddings are taken.
        """
        factor = self.embedding.start_from(learned.vectors)
        factors = torch.ones(len(learned.positions))
        factors[: learned.n_embedded] /= factor
        for layer in self.first_layers:
            layer.start_from(learned.layer, learned.positions, factors)


def y_deep(member: Any, x: Tensor) -> Tensor:
    """The logits of a member's towers, ``(B, K)``: Eqs. (3), (6), (9)."""
    return member.towers(representations(member.extractor, x))


def representations(extractor: nn.Module, x: Tensor) -> Tensor:
    """One representation per task, ``(B, K, H)``; an extractor may also return them as a sequence of ``(B, H)``."""
    out = extractor(x)
    return out if isinstance(out, Tensor) else torch.stack(tuple(out), dim=1)
