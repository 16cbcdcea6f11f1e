"""The network of the paper: four parts, assembled. Read this file against sections III-A to III-D.

::

    codes, numbers ── embedding ──┬── low order (FM) ────────────┐
                                  └── extractor (PLE) ── towers ── + ── logits ── link ── P(click), P(conversion)
    position, … (training only) ── bias tower ───────────────────┘
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from numbers import Integral
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from sklearn_fsmd.network.bias_tower import BiasTower
from sklearn_fsmd.network.denoising_autoencoder import Learned
from sklearn_fsmd.network.embedding import Embedding
from sklearn_fsmd.network.extractors import PLE, MMoE, Separate, SharedBottom
from sklearn_fsmd.network.factorization_machine import FM, Linear
from sklearn_fsmd.network.links import TreeLink
from sklearn_fsmd.network.stacked_mlp import HiddenLayer, StackedLinear, StackedMLP


class Columns(NamedTuple):
    """The rows of the embedding table that each code column has, and the number of numeric columns."""

    cardinalities: Sequence[int]
    n_numeric: int


class Towers(nn.Module):
    """The towers h^k of Eqs. (3), (6) and (9): an MLP and a linear output a task.

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


class MultiTaskNetwork(nn.Module):
    """Embedding, low-order part, extractor, towers, link and, where there are bias features, their tower.

    **Shape**: codes ``(B, F)`` and numbers ``(B, N)`` → logits ``(B, K)``; see :class:`TreeLink` for what they mean.
    The codes and numbers of the bias features follow in training; without them their tower is neutral. An extractor
    of the user's own, `own_extractor`, is taken as it is.
    """

    def __init__(
        self,
        embedding: Embedding,
        low_order: nn.Module | None,
        extractor: nn.Module,
        towers: Towers,
        link: TreeLink,
        bias_tower: BiasTower | None = None,
        *,
        own_extractor: bool = False,
    ) -> None:
        super().__init__()
        self.own_extractor = own_extractor
        self.embedding = embedding
        self.low_order = low_order
        self.extractor = extractor
        self.towers = towers
        self.link = link
        self.bias_tower = bias_tower

    def forward(self, codes: Tensor, numbers: Tensor, *bias: Tensor) -> Tensor:
        x = self.embedding(codes, numbers)
        logits = self.towers(representations(self.extractor, x.flat()))  # y_deep, Eqs. (3), (6), (9)
        if self.low_order is not None:
            logits = logits + self.low_order(x)  # y_FM + y_deep, Eq. (1)
        if self.bias_tower is not None:
            level = self.bias_tower(*bias) if bias else self.bias_tower.neutral.expand(len(logits))
            logits = torch.cat((logits[:, :1] + level.unsqueeze(1), logits[:, 1:]), dim=1)
        return logits

    def gate_weights(self, codes: Tensor, numbers: Tensor) -> Tensor:
        """The experts' weights, ``(B, levels, K, E)``, of an extractor that has gates."""
        weights = self.extractor.gate_weights(self.embedding(codes, numbers).flat())  # type: ignore[operator]
        return torch.stack(list(weights), dim=1)

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

    @torch.no_grad()
    def start_at(self, rates: Tensor) -> None:
        """Let the towers' biases say the base rates `rates` ``(K,)`` of the targets."""
        self.towers.output.bias.copy_(self.link.prior_logits(rates).unsqueeze(1))

    @property
    def first_layer(self) -> HiddenLayer | None:
        """The layer of all experts, or bottoms, that reads the embedded row; None if they have none or are a user's."""
        if self.own_extractor:
            return None  # though it be one of these classes, its weights may mean something
        readers = cast("StackedMLP", self.extractor.readers)
        return readers.first if readers.layers else None

    def start_from(self, learned: Learned) -> None:
        """Begin with what an autoencoder has learned: the embeddings, and the layer that reads them in each expert.

        What the layer makes of a row stays the same, in whatever size the embeddings are taken.
        """
        factor = self.embedding.start_from(learned.vectors)
        if self.first_layer is not None:
            factors = torch.ones(len(learned.places))
            factors[: learned.n_embedded] /= factor
            self.first_layer.start_from(learned.layer, learned.places, factors)


def build_network(p: Any, columns: Columns, n_tasks: int, bias: Columns | None = None) -> MultiTaskNetwork:
    """Assemble the network that the parameters of `p`, a :class:`~sklearn_fsmd.MultiTaskClassifier`, describe.

    `columns` and `bias` are the encoded columns of the network and those of the bias tower.
    """
    cardinalities, n_numeric = columns
    n_sets = n_tasks if p.extractor == "separate" else 1
    embedding = Embedding(cardinalities, p.embedding_dim, n_sets=n_sets, std=p.embedding_std)
    in_features = len(cardinalities) * p.embedding_dim + n_numeric
    extractor = build_extractor(p, in_features, n_tasks)
    return MultiTaskNetwork(
        embedding=embedding,
        low_order=build_low_order(p, sum(cardinalities), n_numeric, n_tasks, n_sets),
        extractor=extractor,
        towers=Towers(
            n_tasks, width_of(extractor, in_features, n_tasks), p.tower_dims, dropout=p.dropout, batch_norm=p.batch_norm
        ),
        link=TreeLink(parents_of(p.link, n_tasks)),
        bias_tower=None if bias is None else BiasTower(*bias, p.embedding_dim, p.bias_tower_dims),
        own_extractor=not isinstance(p.extractor, str),
    )


def build_low_order(p: Any, n_rows: int, n_numeric: int, n_tasks: int, n_sets: int) -> nn.Module | None:
    """The parts that `low_order` names."""
    match p.low_order:
        case None:
            return None
        case "linear":
            return Linear(n_rows, n_numeric, n_tasks)
        case "fm":
            return FM(n_rows, n_numeric, n_tasks, p.embedding_dim, n_sets=n_sets, sharing=p.fm_sharing)
    raise ValueError(f"The 'low_order' parameter must be 'fm', 'linear' or None. Got {p.low_order!r} instead.")


def build_extractor(p: Any, in_features: int, n_tasks: int) -> nn.Module:
    """The extractor that `extractor` names, or the user's own."""
    layers: dict[str, Any] = {"dims": p.expert_dims, "dropout": p.dropout, "batch_norm": p.batch_norm}
    match p.extractor:
        case "ple":
            return PLE(
                in_features,
                n_tasks,
                **layers,
                n_task_experts=p.n_task_experts,
                n_shared_experts=p.n_shared_experts,
                n_levels=p.n_levels,
                gate_dims=p.gate_dims,
            )
        case "mmoe":
            return MMoE(in_features, n_tasks, **layers, n_experts=p.n_experts, gate_dims=p.gate_dims)
        case "shared_bottom":
            return SharedBottom(in_features, n_tasks, **layers)
        case "separate" | "shared_embedding":
            return Separate(in_features, n_tasks, **layers)
        case nn.Module():
            return copy.deepcopy(p.extractor)  # a parameter is never changed by fit
    made = p.extractor(in_features, n_tasks)
    if not isinstance(made, nn.Module):
        raise TypeError(
            "The 'extractor', called with the numbers of inputs and of tasks, must return a torch module. "
            f"Got {made!r} instead."
        )
    return made


def representations(extractor: nn.Module, x: Tensor) -> Tensor:
    """One representation a task, ``(B, K, H)``; an extractor may also return them as a sequence of ``(B, H)``."""
    out = extractor(x)
    return out if isinstance(out, Tensor) else torch.stack(tuple(out), dim=1)


@torch.no_grad()
def width_of(extractor: nn.Module, in_features: int, n_tasks: int) -> int:
    """The width H of what `extractor` returns, found by a trial; its shape is checked on the way."""
    was_training = extractor.training
    n = n_tasks + 1  # a number of rows that cannot be taken for the number of tasks
    shape = _shape_of(extractor.eval()(torch.zeros(n, in_features)))
    extractor.train(was_training)
    if not (isinstance(shape, tuple) and len(shape) == 3 and shape[:2] == (n, n_tasks) and shape[2] > 0):
        raise ValueError(
            f"The 'extractor' must map ({n}, {in_features}) to one representation a task, ({n}, {n_tasks}, H). "
            f"Got the shape {shape} instead."
        )
    return shape[2]


def _shape_of(out: Any) -> Any:
    """The shape of what an extractor returns; where it has none, what else can be said of it."""
    if isinstance(out, Tensor):
        return tuple(out.shape)
    if not isinstance(out, Sequence) or not all(isinstance(part, Tensor) for part in out):
        return f"of a {type(out).__name__}"
    shapes = [tuple(part.shape) for part in out]
    return (shapes[0][0], len(shapes), *shapes[0][1:]) if len(set(shapes)) == 1 else shapes


def parents_of(link: str | Sequence[int | None], n_tasks: int) -> tuple[int | None, ...]:
    """The parent of each task in the link named, or given, by the parameter `link`."""
    if link == "chain":
        return (None, *range(n_tasks - 1))
    if link == "independent":
        return (None,) * n_tasks
    if isinstance(link, str):
        raise ValueError(f"The 'link' parameter must be 'chain', 'independent' or a tuple of parents. Got {link!r}.")
    if len(link) != n_tasks:
        raise ValueError(f"The 'link' parameter names the parents of {len(link)} tasks, but Y has {n_tasks}: {link!r}.")
    for k, parent in enumerate(link):
        is_place = isinstance(parent, Integral) and not isinstance(parent, bool)
        if parent is not None and not (is_place and 0 <= parent < k):
            raise ValueError(
                f"The parent of task {k} in 'link' must be None{f' or a task before it, 0 to {k - 1}' if k else ''}. "
                f"Got {parent!r} in {link!r}."
            )
    return tuple(link)
