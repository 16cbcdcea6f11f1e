"""The network of the paper, assembled from four parts; see sections III-A to III-D.

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

NORMS = (
    *(nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, nn.SyncBatchNorm),
    *(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d),
    *(nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d),
)
"""Normalisations of torch, which an extractor of the user may contain: their weights are scales."""

PER_TASK = ("low_order.weights", "low_order.pair_weights", "embedding.attention.", "embedding.vectors.")
"""Weights of embeddings and low-order part with the tasks on axis 0; all others have rows or columns there."""


class MultiTaskNetwork(Member):
    """Embedding, low-order part, extractor, towers, link and, if there are bias features, the bias tower.

    **Shape**: codes ``(B, F)`` and numbers ``(B, N)`` → logits ``(B, K)``; see :class:`TreeLink` for their meaning.
    With `values` the outputs of the value targets follow in further columns; :meth:`split` separates them.
    If there are columns of lists, the lists are the next input. In training the codes and numbers of the bias features
    follow; without them the bias tower contributes its neutral level.

    The network is a :class:`Member` with the parts `own_parts`. In an ensemble it is the first member, and
    `more_members` are the others. In prediction their probabilities are averaged. In training each of the `R` members
    that use a row has separate logits, ``(R, B, K)``.

    `shares_nothing` is True if each task has a separate network.

    `slopes` ``(K,)`` are factors of the log-odds of each step. They are 1 until the end of training, see
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
        **own_parts: Any,
    ) -> None:
        super().__init__(**own_parts)
        self.shares_nothing = shares_nothing
        self.link = link
        self.values = values
        self.bias_tower = bias_tower
        self.more_members = nn.ModuleList(more_members)
        self.register_buffer("slopes", torch.ones(len(link.parents)))

    def forward(self, codes: Tensor, numbers: Tensor, *more: Any) -> Tensor:
        n_lists = int(self.embedding.n_lists > 0)
        lists, bias = more[:n_lists], more[n_lists:]
        bias_level = self.bias_tower(*bias) if self.bias_tower is not None and bias else None
        return self.finish(self.logits_of_members(codes, numbers, *lists), bias_level)

    def logits_of_members(self, codes: Tensor, numbers: Tensor, *lists: Lists) -> Tensor:
        """The logits ``(R, B, K)`` of the members that use each row; ``(B, K)`` if there is a single member."""
        if not self.more_members:
            return self.logits(codes, numbers, *lists)
        members = [member.logits for member in self.members]
        return logits_of_readers(members, codes, numbers, *lists, training=self.training)

    def outputs_of(self, embedded: Sequence[Embedded]) -> Tensor:
        """The output of :meth:`forward` for rows that each member has embedded already."""
        logits = [member.logits_of(x) for member, x in zip(self.members, embedded, strict=True)]
        return self.finish(torch.stack(logits) if self.more_members else logits[0])

    def finish(self, logits: Tensor, bias_level: Tensor | None = None) -> Tensor:
        """The outputs, from the logits of :meth:`logits_of_members` and the output ``(B,)`` of the bias tower.

        Without the latter the neutral level of the tower is used.
        """
        n_tasks = len(self.link.parents)
        step_logits = logits[..., :n_tasks] * self.slopes
        logits = step_logits if self.values is None else torch.cat((step_logits, logits[..., n_tasks:]), dim=-1)
        if self.bias_tower is not None:
            level = self.bias_tower.neutral.expand(logits.shape[-2]) if bias_level is None else bias_level
            logits = torch.cat((logits[..., :1] + level.unsqueeze(1), logits[..., 1:]), dim=-1)
        return self._mean(logits) if self.more_members and not self.training else logits

    def split(self, outputs: Tensor) -> tuple[Tensor, Tensor | None]:
        """The logits ``(…, B, K)`` of the binary targets, and the outputs ``(…, B, V, P)`` of the values, or None."""
        if self.values is None:
            return outputs, None
        n_tasks = len(self.link.parents)
        return outputs[..., :n_tasks], outputs[..., n_tasks:].unflatten(-1, (-1, self.values.n_outputs))

    def _mean(self, outputs: Tensor) -> Tensor:
        """The outputs whose probabilities and expected values are the means over the members."""
        logits, value_outputs = self.split(outputs)
        if self.values is None or value_outputs is None:
            return self.link.mean(logits)
        return torch.cat((self.link.mean(logits), self.values.mean(value_outputs).flatten(1)), dim=1)

    def gate_weights(self, codes: Tensor, numbers: Tensor, lists: Lists | None = None) -> Tensor:
        """The weights of the experts, as the mean over the members; the extractor must have gates."""
        first = super().gate_weights(codes, numbers, lists)
        others = [member.gate_weights(codes, numbers, lists) for member in self.more_members]  # type: ignore[operator]
        return torch.stack([first, *others]).mean(dim=0)

    @property
    def members(self) -> list[Member]:
        """The members of the ensemble; the first one is the network itself."""
        return [self, *self.more_members]

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Parameter groups for an optimizer: weights decay; biases and the scales of normalisations do not.

        Tied weights are one parameter; the first of their names decides.
        """
        groups: list[dict[str, Any]] = [{"params": []}, {"params": [], "weight_decay": 0.0}]
        seen: set[int] = set()
        for module in self.modules():
            for name, parameter in module.named_parameters(recurse=False):
                is_bias = name.startswith("bias") or name.endswith("_bias")
                is_scale = isinstance(module, NORMS) or (name == "scale" and isinstance(module, HiddenLayer))
                without_decay = is_bias or is_scale
                if id(parameter) not in seen:
                    groups[without_decay]["params"].append(parameter)
                seen.add(id(parameter))
        return [group for group in groups if group["params"]]

    def use_sparse_gradients(self, on: bool) -> None:
        """Switch sparse gradients of the tables on or off; these have only the rows that occur in the batch."""
        for module in self.modules():
            if isinstance(module, nn.Embedding):
                module.sparse = on

    def part_of_task(self, name: str, tensor: Tensor, k: int) -> Tensor | None:
        """The part of a tensor of the state that belongs to task `k`, or None; for a network that shares nothing.

        The bias tower belongs to the first task.
        """
        name = re.sub(r"^more_members\.\d+\.", "", name)
        top = name.partition(".")[0]
        if top == "bias_tower":
            return tensor if k == 0 else None
        axis = 0 if top in ("extractor", "towers") or name.startswith(PER_TASK) else 1
        if top in ("values", "slopes"):
            return None  # units of the values and corrections after training: training steps do not change them
        return tensor.chunk(self.n_learned, dim=axis)[k]

    @property
    def n_learned(self) -> int:
        """Number of targets: binary targets and values."""
        return len(self.link.parents) + (0 if self.values is None else self.values.n_values)

    @torch.no_grad()
    def init_from_base_rates(self, rates: Tensor, values: tuple[Tensor, Tensor] | None = None) -> None:
        """Set the biases of the towers to the base rates ``(K,)`` and to the distribution of the values.

        `values` are the values and their weights, both ``(n, V)``.
        """
        value_biases = None if self.values is None or values is None else self.values.init_from_values(*values)
        for member in self.members:
            bias = member.towers.output.bias
            bias[: len(rates), 0] = self.link.prior_logits(rates)
            if value_biases is not None:
                bias[len(rates) :] = value_biases

    def start_from(self, learned: Learned) -> None:
        """Start from the weights of an autoencoder: the embeddings, and the first layer of each expert.

        The embeddings are scaled, and the weights of the layer are divided by the same factor, so its outputs stay the
        same.
        """
        for member in self.members:
            factor = member.embedding.start_from(learned.vectors)
            factors = torch.ones(len(learned.positions), dtype=torch.float32)
            factors[: learned.n_embedded] /= factor
            for layer in member.first_layers:
                layer.start_from(learned.layer, learned.positions, factors)
