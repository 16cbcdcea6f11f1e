"""Building a network from its parameters: each part is chosen by name."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sklearn_fsmd.network import extractors
from sklearn_fsmd.network.bias_tower import BiasTower
from sklearn_fsmd.network.embedding import Columns, Embedding, embedding_dim_of
from sklearn_fsmd.network.factorization_machine import FM, FieldWeightedFM, Linear
from sklearn_fsmd.network.links import TreeLink, parents_of
from sklearn_fsmd.network.member import Member, Towers
from sklearn_fsmd.network.multitask_network import MultiTaskNetwork
from sklearn_fsmd.network.values import VALUE_LOSSES, build_values
from sklearn_fsmd.parameters import EXTRACTORS, LOW_ORDER, NetworkParameters


def build_network(
    p: NetworkParameters, columns: Columns, n_tasks: int, bias: Columns | None = None
) -> MultiTaskNetwork:
    """Build the network with the parameters `p` for `n_tasks` binary targets.

    `columns` are the encoded columns of the network, and `bias` those of the bias tower.
    """
    link, values = TreeLink(parents_of(p.link, n_tasks)), build_values(p.value_targets, p.value_loss)
    n_sets = n_tasks + n_values_of(p) if has_own_embeddings(p) else 1

    def parts() -> dict[str, Any]:
        return parts_of_member(p, columns, n_tasks + n_values_of(p), n_sets)

    first_parts = parts()
    return MultiTaskNetwork(
        **first_parts,
        link=link,
        values=values,
        bias_tower=None if bias is None else BiasTower(bias, embedding_dim_of(p), p.bias_tower_dims),
        more_members=[Member(**parts()) for _ in range(p.n_members - 1)],
        shares_nothing=_is_separate(first_parts) and n_sets > 1 and link.stands_alone,
    )


def _is_separate(parts: dict[str, Any]) -> bool:
    """Whether the weights of each task are known; not those of parts that a user has registered."""
    low_order_here = (type(None), Linear, FM, FieldWeightedFM)
    return type(parts["extractor"]) is extractors.Separate and type(parts["low_order"]) in low_order_here


def parts_of_member(p: NetworkParameters, columns: Columns, n_tasks: int, n_sets: int) -> dict[str, Any]:
    """Build embedding, low-order part, extractor and towers; each category has `n_sets` embeddings.

    `n_tasks` is the number of binary targets and value targets.
    """
    assert p.dropout != "auto"  # a fit replaces "auto" by a number
    dim = embedding_dim_of(p)
    in_features = columns.n_fields * dim + columns.n_numeric
    embedding = Embedding(columns, dim, n_sets=n_sets, std=p.embedding_std, pooling=p.list_pooling)
    extractor = build_extractor(p, in_features, n_tasks)
    width = width_of(extractor, in_features, n_tasks)
    low_order = build_low_order(p, columns, n_tasks, n_sets)
    towers = Towers(
        n_tasks,
        width,
        p.tower_dims,
        dropout=p.dropout,
        batch_norm=p.batch_norm,
        n_values=n_values_of(p),
        n_outputs=VALUE_LOSSES[p.value_loss].n_outputs if p.value_targets else 1,
    )
    return {
        "embedding": embedding,
        "low_order": low_order,
        "extractor": extractor,
        "towers": towers,
        "own_extractor": not isinstance(p.extractor, str),
    }


def n_values_of(p: NetworkParameters) -> int:
    """Number of value targets."""
    return len(p.value_targets or ())


def has_own_embeddings(p: NetworkParameters) -> bool:
    """Whether each task has separate embeddings."""
    return isinstance(p.extractor, str) and EXTRACTORS.parts[p.extractor].own_embeddings


def build_low_order(p: NetworkParameters, columns: Columns, n_tasks: int, n_sets: int) -> nn.Module | None:
    """Build the low-order part, or None."""
    return None if p.low_order is None else LOW_ORDER.parts[p.low_order].build(p, columns, n_tasks, n_sets)


def build_extractor(p: NetworkParameters, in_features: int, n_tasks: int) -> nn.Module:
    """Build the extractor by its name, or from a callable or module of the user."""
    if isinstance(p.extractor, str):
        return EXTRACTORS.parts[p.extractor].build(p, in_features, n_tasks)
    if isinstance(p.extractor, nn.Module):
        return copy.deepcopy(p.extractor).cpu()  # fit must not change a parameter; networks are built on the CPU
    extractor = p.extractor(in_features, n_tasks)
    if not isinstance(extractor, nn.Module):
        raise TypeError(
            "The 'extractor', called with the numbers of inputs and of tasks, must return a torch module. "
            f"Got {extractor!r} instead."
        )
    return extractor


@torch.no_grad()
def width_of(extractor: nn.Module, in_features: int, n_tasks: int) -> int:
    """The width H of the output of `extractor`, by a trial on zeros; the shape of the output is checked."""
    was_training = extractor.training
    n = n_tasks + 1  # differs from the number of tasks, so swapped axes are detected
    try:
        out = extractor.eval()(torch.zeros(n, in_features))
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        raise ValueError(
            f"The 'extractor' fails on an input of the shape ({n}, {in_features}), float32, which it must map to one "
            f"representation per task, ({n}, {n_tasks}, H): {error}."
        ) from error
    shape = _shape_of(out)
    extractor.train(was_training)
    if not (isinstance(shape, tuple) and len(shape) == 3 and shape[:2] == (n, n_tasks) and shape[2] > 0):
        raise ValueError(
            f"The 'extractor' must map ({n}, {in_features}) to one representation per task, ({n}, {n_tasks}, H). "
            f"Got the shape {shape} instead."
        )
    return shape[2]


def _shape_of(out: Any) -> Any:
    """The shape of the output of an extractor; if it has none, a description of the output for an error message."""
    if isinstance(out, Tensor):
        return tuple(out.shape)
    if not isinstance(out, Sequence) or not all(isinstance(part, Tensor) for part in out):
        return f"of a {type(out).__name__}"
    shapes = [tuple(part.shape) for part in out]
    return (shapes[0][0], len(shapes), *shapes[0][1:]) if len(set(shapes)) == 1 else shapes
