"""The network of the paper: four parts, assembled. Read this file against sections III-A to III-D.

::

    codes, numbers ── embedding ──┬── low order (FM) ────────────┐
                                  └── extractor (PLE) ── towers ── + ── logits ── link ── P(click), P(conversion)
    position, … (training only) ── bias tower ───────────────────┘
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sklearn_fsmd.network.bias_tower import BiasTower
from sklearn_fsmd.network.denoising_autoencoder import Learned
from sklearn_fsmd.network.embedding import Embedded
from sklearn_fsmd.network.ensemble import logits_of_readers
from sklearn_fsmd.network.links import TreeLink
from sklearn_fsmd.network.member import Member
from sklearn_fsmd.network.ragged import Lists
from sklearn_fsmd.network.stacked_mlp import HiddenLayer
from sklearn_fsmd.network.values import ValueModel

NORMS = (nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, nn.modules.batchnorm._NormBase)
"""Normalisations of torch, which an extractor of one's own may have: their weights are scales."""

PER_TASK = ("low_order.weights", "low_order.pair_weights", "embedding.attention.", "embedding.vectors.")
"""Weights of embeddings and low-order part whose first axis is the tasks; that of the others is rows or columns."""


class MultiTaskNetwork(Member):
    """Embedding, low-order part, extractor, towers, link and, where there are bias features, their tower.

    **Shape**: codes ``(B, F)`` and numbers ``(B, N)`` → logits ``(B, K)``; see :class:`TreeLink` for what they mean.
    With `values` the outputs that say these follow in further columns; :meth:`split` tells them apart.
    Lists follow where there are columns of them, and the codes and numbers of the bias features in training; without
    these their tower is neutral.

    The network is a :class:`Member`, of the parts `own`. In an ensemble it is the first, and there are `more_members`.
    Their probabilities are averaged; in training each that reads a row has logits of its own, ``(R, B, K)``.

    `shares_nothing` says that each task has a network of its own.

    `slopes` ``(K,)`` multiply the log-odds of each step that the members say. They are 1 until training has ended, see
    :mod:`sklearn_fsmd.training.slope`.
    """

    slopes: Tensor

    def __init__(
        self,
        *,
        link: TreeLink,
        values: ValueModel | None = None,
        bias_tower: BiasTower | None = None,
        more_members: Sequence[Member] = (),
        shares_nothing: bool = False,
        **own: Any,
    ) -> None:
        super().__init__(**own)
        self.shares_nothing = shares_nothing
        self.link = link
        self.values = values
        self.bias_tower = bias_tower
        self.more_members = nn.ModuleList(more_members)
        self.register_buffer("slopes", torch.ones(len(link.parents)))

    def forward(self, codes: Tensor, numbers: Tensor, *more: Any) -> Tensor:
        n_lists = int(self.embedding.n_lists > 0)
        lists, bias = more[:n_lists], more[n_lists:]
        places = self.bias_tower(*bias) if self.bias_tower is not None and bias else None
        return self.finished(self.of_members(codes, numbers, *lists), places)

    def of_members(self, codes: Tensor, numbers: Tensor, *lists: Lists) -> Tensor:
        """The logits of the members that read a row, ``(R, B, K)``; of one alone ``(B, K)``."""
        if not self.more_members:
            return self.logits(codes, numbers, *lists)
        of_members = [member.logits for member in self.members]
        return logits_of_readers(of_members, codes, numbers, *lists, training=self.training)

    def outputs_of(self, embedded: Sequence[Embedded]) -> Tensor:
        """What :meth:`forward` predicts of rows that each member has embedded already."""
        said = [member.logits_of(x) for member, x in zip(self.members, embedded, strict=True)]
        return self.finished(torch.stack(said) if self.more_members else said[0])

    def finished(self, logits: Tensor, places: Tensor | None = None) -> Tensor:
        """The outputs, of the logits of :meth:`of_members` and what the bias tower says, ``(B,)``.

        None stands for the tower's neutral level.
        """
        n_tasks = len(self.link.parents)
        of_steps = logits[..., :n_tasks] * self.slopes
        logits = of_steps if self.values is None else torch.cat((of_steps, logits[..., n_tasks:]), dim=-1)
        if self.bias_tower is not None:
            level = self.bias_tower.neutral.expand(logits.shape[-2]) if places is None else places
            logits = torch.cat((logits[..., :1] + level.unsqueeze(1), logits[..., 1:]), dim=-1)
        return self._mean(logits) if self.more_members and not self.training else logits

    def split(self, outputs: Tensor) -> tuple[Tensor, Tensor | None]:
        """The logits of the binary targets, ``(…, B, K)``, and the outputs of the values, ``(…, B, V, P)``, or None."""
        if self.values is None:
            return outputs, None
        n_tasks = len(self.link.parents)
        return outputs[..., :n_tasks], outputs[..., n_tasks:].unflatten(-1, (-1, self.values.n_outputs))

    def _mean(self, outputs: Tensor) -> Tensor:
        """The outputs of an ensemble, whose probabilities and expected values are the means of the members'."""
        logits, of_values = self.split(outputs)
        if self.values is None or of_values is None:
            return self.link.mean(logits)
        return torch.cat((self.link.mean(logits), self.values.mean(of_values).flatten(1)), dim=1)

    def gate_weights(self, codes: Tensor, numbers: Tensor, lists: Lists | None = None) -> Tensor:
        """The experts' weights of an extractor that has gates, the mean over the members; see :class:`Member`."""
        own = super().gate_weights(codes, numbers, lists)
        more = [member.gate_weights(codes, numbers, lists) for member in self.more_members]  # type: ignore[operator]
        return torch.stack([own, *more]).mean(dim=0)

    @property
    def members(self) -> list[Member]:
        """The network itself, and further members of an ensemble."""
        return [self, *self.more_members]

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Parameters for an optimizer: weights decay; biases and the scales of normalisations do not.

        Tied weights are one parameter, and what the first of their names says is done.
        """
        groups: list[dict[str, Any]] = [{"params": []}, {"params": [], "weight_decay": 0.0}]
        seen: set[int] = set()
        for module in self.modules():
            for name, parameter in module.named_parameters(recurse=False):
                is_bias = name.startswith("bias") or name.endswith("_bias")
                is_scale = isinstance(module, NORMS) or (name == "scale" and isinstance(module, HiddenLayer))
                kept = is_bias or is_scale
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
        name = re.sub(r"^more_members\.\d+\.", "", name)
        top = name.partition(".")[0]
        if top == "bias_tower":
            return tensor if k == 0 else None
        axis = 0 if top in ("extractor", "towers") or name.startswith(PER_TASK) else 1
        if top in ("values", "slopes"):
            return None  # how values are measured, and what corrects the steps, which training does not change
        return tensor.chunk(self.n_learned, dim=axis)[k]

    @property
    def n_learned(self) -> int:
        """The number of targets: binary ones and values."""
        return len(self.link.parents) + (0 if self.values is None else self.values.n_values)

    @torch.no_grad()
    def init_from_base_rates(self, rates: Tensor, values: tuple[Tensor, Tensor] | None = None) -> None:
        """Let the towers' biases say the base rates `rates` ``(K,)``, and the distribution of all `values`.

        These and their weights are ``(n, V)``.
        """
        of_values = None if self.values is None or values is None else self.values.init_from_values(*values)
        for member in self.members:
            bias = member.towers.output.bias
            bias[: len(rates), 0] = self.link.prior_logits(rates)
            if of_values is not None:
                bias[len(rates) :] = of_values

    def start_from(self, learned: Learned) -> None:
        """Begin with what an autoencoder has learned: the embeddings, and the layer that reads them in each expert.

        What the layer makes of a row stays the same, in whatever size the embeddings are taken.
        """
        for member in self.members:
            factor = member.embedding.start_from(learned.vectors)
            factors = torch.ones(len(learned.positions), dtype=torch.float32)
            factors[: learned.n_embedded] /= factor
            for layer in member.first_layers:
                layer.start_from(learned.layer, learned.positions, factors)
