"""Extractors: what turns the embedded row into one representation per task.

Each is a module with ``forward(x) → (B, K, H)``. Here `x` is ``(B, I)`` or, where nothing is shared, ``(B, K, I)``.
What the parameter `extractor` may name is registered at the end.
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
    """One MLP, whose output every tower reads: the f(x) of Eq. (3)."""

    def __init__(
        self, in_features: int, n_tasks: int, dims: Sequence[int], *, dropout: float, batch_norm: bool
    ) -> None:
        super().__init__()
        self.n_tasks = n_tasks
        self.bottom = StackedMLP(1, in_features, dims, dropout=dropout, batch_norm=batch_norm)

    @property
    def readers(self) -> StackedMLP:
        """What reads the embedded row."""
        return self.bottom

    def forward(self, x: Tensor) -> Tensor:
        return self.bottom(x).transpose(0, 1).expand(-1, self.n_tasks, -1)


class Separate(nn.Module):
    """An MLP per task; with shared embeddings this is ESMM's, with separate ones nothing is shared."""

    def __init__(
        self, in_features: int, n_tasks: int, dims: Sequence[int], *, dropout: float, batch_norm: bool
    ) -> None:
        super().__init__()
        self.bottoms = StackedMLP(n_tasks, in_features, dims, dropout=dropout, batch_norm=batch_norm)

    @property
    def readers(self) -> StackedMLP:
        """What reads the embedded row."""
        return self.bottoms

    def forward(self, x: Tensor) -> Tensor:
        return self.bottoms(x if x.dim() == 2 else x.transpose(0, 1)).transpose(0, 1)


class Gates(nn.Module):
    """Eq. (4): g(x) = softmax(W · MLP(x)), one gate per row of `selection`.

    Nothing stands between a gate's last linear layer and its softmax. `selection` ``(G, E)`` says which experts a
    gate may mix, the selection matrix S of Eq. (8); the others get the weight 0.

    **Shape**: ``(B, I)``, read by all gates, or ``(B, G or more, I)``, of which each reads one → ``(B, G, E)``, rows
    that sum to 1.
    """

    execution: Execution = FORMULA
    excluded: Tensor  # 0 where an expert may be mixed, else −∞; added to the logits

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
        # Over a handful of neighbouring numbers a softmax takes far longer than over rows of numbers; but how it
        # ends a row depends on the number of threads, by a bit, so training does without.
        return logits.transpose(1, 2).softmax(dim=1).permute(2, 0, 1).contiguous()


class ExpertLevel(nn.Module):
    """Experts, and gates that mix them: f^g(x) = Σ_e g(x)_e f_e(x), Eq. (5).

    Parameters
    ----------
    reads : for each expert, which of the inputs it reads (all zero where there is a single one).
    selection : ``(G, E)``, which experts each gate mixes.

    **Shape**: ``(B, I)`` or ``(B, groups, I)`` → ``(B, G, H)``. Gate `g` reads input `g`.
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
    """Multi-gate mixture of experts: every task's gate mixes all experts, Eqs. (4) to (6)."""

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
        """What reads the embedded row."""
        return self.level.experts

    def forward(self, x: Tensor) -> Tensor:
        return self.level(x)

    def gate_weights(self, x: Tensor) -> list[Tensor]:
        """For each level, the weights ``(B, K, E)`` of the experts in each task."""
        return [self.level.gate_weights(x)]


class PLE(nn.Module):
    """Progressive layered extraction, Eq. (8): levels of task-specific and shared experts.

    Experts are ordered task by task, the shared ones last. At each level a task's gate mixes its own experts and the
    shared ones; the shared gate mixes all of them; the next level's experts read the mixture of their group. The
    last level has no shared gate. With one level this is CGC (customized gate control).
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
        """Whose each expert is: the index of a task, or the number of tasks for a shared one."""
        group = torch.tensor(groups)
        own = group == torch.arange(n_tasks).unsqueeze(1)  # (K, E)
        selection = own | (group == n_tasks)
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
        """What reads the embedded row."""
        return cast("ExpertLevel", self.levels[0]).experts

    def forward(self, x: Tensor) -> Tensor:
        for level in self.levels:
            x = level(x)
        return x

    def gate_weights(self, x: Tensor) -> list[Tensor]:
        """For each level, the weights ``(B, K, E)`` of the experts in each task (the shared gate left out)."""
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
