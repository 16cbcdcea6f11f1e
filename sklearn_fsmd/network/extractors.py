"""Extractors: modules that turn the embedded row into one representation per task.

Each is a module with ``forward(x) → (B, K, H)``. Here `x` is ``(B, I)`` or, if nothing is shared, ``(B, K, I)``.
The values of the parameter `extractor` are registered at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from sklearn_fsmd.network.seam import FORMULA, Execution, GateSpec
from sklearn_fsmd.network.stacked_mlp import StackedLinear, StackedMLP
from sklearn_fsmd.parameters import EXTRACTORS, NetworkParameters


class SharedBottom(nn.Module):
    """One MLP whose output is the input of every tower: the f(x) of Eq. (3)."""

    def __init__(
        self, in_features: int, n_tasks: int, dims: Sequence[int], *, dropout: float, batch_norm: bool
    ) -> None:
        super().__init__()
        self.n_tasks = n_tasks
        self.bottom = StackedMLP(1, in_features, dims, dropout=dropout, batch_norm=batch_norm)

    @property
    def readers(self) -> StackedMLP:
        """The MLPs whose input is the embedded row."""
        return self.bottom

    def forward(self, x: Tensor) -> Tensor:
        return self.bottom(x).transpose(0, 1).expand(-1, self.n_tasks, -1)


class Separate(nn.Module):
    """An MLP per task: with shared embeddings as in ESMM, with separate embeddings nothing is shared."""

    def __init__(
        self, in_features: int, n_tasks: int, dims: Sequence[int], *, dropout: float, batch_norm: bool
    ) -> None:
        super().__init__()
        self.bottoms = StackedMLP(n_tasks, in_features, dims, dropout=dropout, batch_norm=batch_norm)

    @property
    def readers(self) -> StackedMLP:
        """The MLPs whose input is the embedded row."""
        return self.bottoms

    def forward(self, x: Tensor) -> Tensor:
        return self.bottoms(x if x.dim() == 2 else x.transpose(0, 1)).transpose(0, 1)


class Gates(nn.Module):
    """Eq. (4): g(x) = softmax(W · MLP(x)), one gate per row of `selection`.

    The softmax follows directly after the last linear layer of a gate. `selection` ``(G, E)`` is the selection matrix S
    of Eq. (8): which experts a gate may mix. All other experts get the weight 0.

    **Shape**: ``(B, I)``, the input of all gates, or ``(B, G or more, I)``, one input per gate → ``(B, G, E)``, rows
    that sum to 1.
    """

    execution: Execution = FORMULA
    excluded: Tensor  # 0 if an expert may be mixed, else −∞; it is added to the logits

    def __init__(self, in_features: int, selection: Tensor, dims: Sequence[int]) -> None:
        super().__init__()
        n_gates, n_experts = selection.shape
        self.hidden = StackedMLP(n_gates, in_features, dims)
        self.logits = StackedLinear(n_gates, self.hidden.out_features, n_experts)
        excluded = torch.zeros(n_gates, n_experts).masked_fill_(~selection, -torch.inf)
        self.register_buffer("excluded", excluded, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        if self.hidden.layers:
            x = self.hidden(x if x.dim() == 2 else x[:, : self.hidden.n].transpose(0, 1)).transpose(0, 1)
        if self.training:
            gates = GateSpec(self.logits.weight, self.logits.bias, self.excluded)
            if (computed := self.execution.gates(gates, x)) is not None:
                return computed
        x = x if x.dim() == 2 else x[:, : self.hidden.n].transpose(0, 1)
        logits = self.logits(x) + self.excluded.unsqueeze(1)  # (G, B, E)
        if self.training:
            return logits.softmax(dim=2).transpose(0, 1)
        # A softmax over the few adjacent numbers of a row is far slower than one over a leading axis. But the last bits
        # of the latter depend on the number of threads, so training does not use it.
        return logits.transpose(1, 2).softmax(dim=1).permute(2, 0, 1).contiguous()


class ExpertLevel(nn.Module):
    """Experts, and gates that mix them: f^g(x) = Σ_e g(x)_e f_e(x), Eq. (5).

    Parameters
    ----------
    reads : for each expert the index of its input; all zero for a single input.
    selection : ``(G, E)``, the experts that each gate mixes.

    **Shape**: ``(B, I)`` or ``(B, groups, I)`` → ``(B, G, H)``. Gate `g` has the input `g`.
    """

    def __init__(
        self,
        in_features: int,
        selection: Tensor,
        reads: Sequence[int],
        dims: Sequence[int],
        *,
        gate_dims: Sequence[int],
        dropout: float,
        batch_norm: bool,
    ) -> None:
        super().__init__()
        self.experts = StackedMLP(len(reads), in_features, dims, dropout=dropout, batch_norm=batch_norm, reads=reads)
        self.gates = Gates(in_features, selection, gate_dims)

    @property
    def out_features(self) -> int:
        return self.experts.out_features

    def forward(self, x: Tensor) -> Tensor:
        return self.experts(x if x.dim() == 2 else x.transpose(0, 1), weights=self.gate_weights(x))

    def gate_weights(self, x: Tensor) -> Tensor:
        """The weights ``(B, G, E)`` with which this level mixes its experts."""
        return self.gates(x)


class MMoE(nn.Module):
    """Multi-gate mixture of experts: the gate of each task mixes all experts, Eqs. (4) to (6)."""

    def __init__(
        self,
        in_features: int,
        n_tasks: int,
        dims: Sequence[int],
        *,
        n_experts: int,
        gate_dims: Sequence[int],
        dropout: float,
        batch_norm: bool,
    ) -> None:
        super().__init__()
        self.level = ExpertLevel(
            in_features,
            torch.ones(n_tasks, n_experts, dtype=torch.bool),
            [0] * n_experts,
            dims,
            gate_dims=gate_dims,
            dropout=dropout,
            batch_norm=batch_norm,
        )

    @property
    def readers(self) -> StackedMLP:
        """The MLPs whose input is the embedded row."""
        return self.level.experts

    def forward(self, x: Tensor) -> Tensor:
        return self.level(x)

    def gate_weights(self, x: Tensor) -> list[Tensor]:
        """For each level the weights ``(B, K, E)`` of the experts for each task."""
        return [self.level.gate_weights(x)]


class PLE(nn.Module):
    """Progressive layered extraction, Eq. (8): levels of task-specific and shared experts.

    The experts are ordered by task, with the shared ones last. At each level the gate of a task mixes the experts of
    the task and the shared experts, and the shared gate mixes all experts. The input of an expert at the next level is
    the mixture of its group. The last level has no shared gate. With one level this is CGC (customized gate control).
    """

    def __init__(
        self,
        in_features: int,
        n_tasks: int,
        dims: Sequence[int],
        *,
        n_task_experts: int,
        n_shared_experts: int,
        n_levels: int,
        gate_dims: Sequence[int],
        dropout: float,
        batch_norm: bool,
    ) -> None:
        super().__init__()
        self.n_tasks = n_tasks
        self.groups = groups = [k for k in range(n_tasks) for _ in range(n_task_experts)] + [n_tasks] * n_shared_experts
        """The group of each expert: the index of its task, or the number of tasks for a shared expert."""
        group = torch.tensor(groups)
        is_task_expert = group == torch.arange(n_tasks).unsqueeze(1)  # (K, E)
        selection = is_task_expert | (group == n_tasks)
        selection = torch.cat((selection, torch.ones(1, len(groups), dtype=torch.bool)))  # the shared gate's row
        self.levels = nn.ModuleList()
        for j in range(n_levels):
            level = ExpertLevel(
                in_features,
                selection if j < n_levels - 1 else selection[:n_tasks],
                groups,
                dims,
                gate_dims=gate_dims,
                dropout=dropout,
                batch_norm=batch_norm,
            )
            self.levels.append(level)
            in_features = level.out_features

    @property
    def readers(self) -> StackedMLP:
        """The MLPs whose input is the embedded row."""
        return cast("ExpertLevel", self.levels[0]).experts

    def forward(self, x: Tensor) -> Tensor:
        for level in self.levels:
            x = level(x)
        return x

    def gate_weights(self, x: Tensor) -> list[Tensor]:
        """For each level the weights ``(B, K, E)`` of the experts for each task, without the shared gate."""
        weights = []
        for level in self.levels:
            assert isinstance(level, ExpertLevel)
            weights.append(level.gate_weights(x)[:, : self.n_tasks])
            x = level(x)
        return weights


def _layers(p: NetworkParameters) -> dict[str, Any]:
    return {"dims": p.expert_dims, "dropout": p.dropout, "batch_norm": p.batch_norm}


@EXTRACTORS.register("shared_bottom")
def _shared_bottom(p: NetworkParameters, in_features: int, n_tasks: int) -> SharedBottom:
    return SharedBottom(in_features, n_tasks, **_layers(p))


@EXTRACTORS.register("shared_embedding")
@EXTRACTORS.register("separate", own_embeddings=True)
def _separate(p: NetworkParameters, in_features: int, n_tasks: int) -> Separate:
    return Separate(in_features, n_tasks, **_layers(p))


@EXTRACTORS.register("mmoe", reads=("n_experts", "gate_dims"))
def _mmoe(p: NetworkParameters, in_features: int, n_tasks: int) -> MMoE:
    return MMoE(in_features, n_tasks, **_layers(p), n_experts=p.n_experts, gate_dims=p.gate_dims)


@EXTRACTORS.register("ple", reads=("n_task_experts", "n_shared_experts", "n_levels", "gate_dims"))
def _ple(p: NetworkParameters, in_features: int, n_tasks: int) -> PLE:
    return PLE(
        in_features,
        n_tasks,
        **_layers(p),
        n_task_experts=p.n_task_experts,
        n_shared_experts=p.n_shared_experts,
        n_levels=p.n_levels,
        gate_dims=p.gate_dims,
    )
