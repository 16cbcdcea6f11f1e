"""New values get rows of the tables, and with them all that training remembers of a row."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from sklearn_fsmd.encoding import FeatureEncoder
from sklearn_fsmd.network import MultiTaskNetwork
from sklearn_fsmd.training.net import Net

NewRows = Callable[[Tensor, int], Tensor]
"""The first row of a column, that of unknown values, and how many rows are new → these."""


@torch.no_grad()
def grow(net: Net, before: FeatureEncoder, now: FeatureEncoder) -> None:
    """Give each new value a row in the tables of embeddings and of first-order weights.

    It begins as the row of unknown values, which is what the network has said of the value so far: so no prediction
    changes. Moments begin at 0, as those of a row that no batch has read.

    Parameters
    ----------
    net : is changed; the copy of a net for training that goes on.
    before, now : the encoders of its columns.

    Raises
    ------
    ValueError
        If the network has a table that is not of this library.
    """
    old, new = sizes_of(before), sizes_of(now)
    if old == new:
        return
    for table in tables_of(net.module_):
        if len(table.weight) != sum(old):
            raise ValueError(
                f"new_categories='grow' cannot give rows to a table of {len(table.weight)} rows, where the columns "
                f"have {sum(old)}. Keep new_categories='unknown' with a 'low_order' part of your own."
            )
        _grow_table(net, table, old, new)


def sizes_of(encoder: FeatureEncoder) -> list[int]:
    """The rows of each column, in the order of the table."""
    return [*encoder.cardinalities, *encoder.list_cardinalities]


def tables_of(network: MultiTaskNetwork) -> list[nn.Embedding]:
    """The tables whose rows are the values of the columns; not that of the bias tower."""
    parts = [part for member in network.members for part in (member.embedding, member.low_order) if part is not None]
    return [table for part in parts for table in part.modules() if isinstance(table, nn.Embedding)]


def _grow_table(net: Net, table: nn.Embedding, old: Sequence[int], new: Sequence[int]) -> None:
    """Let the table, its average and what the optimizer remembers of it have rows for the columns' new sizes."""
    weight = table.weight
    for i, tensor in enumerate(net.average_.tensors):
        if tensor is weight and net.average_.others:
            net.average_.others[i] = stretched(net.average_.others[i], old, new, like_the_first)
            if i in net.average_.last:
                net.average_.last[i] = stretched(net.average_.last[i], old, new, all_of(net.average_.step))
    state = net.optimizer_.state.get(weight, {})
    group = next(group for group in net.optimizer_.param_groups if any(p is weight for p in group["params"]))
    begin = {"last": int(state.get("step", 0)), "sum": group.get("initial_accumulator_value", 0)}  # that of Adagrad
    for name, value in state.items():
        if isinstance(value, Tensor) and value.ndim and len(value) == sum(old):
            state[name] = stretched(value, old, new, all_of(begin.get(name, 0)))
    weight.data = stretched(weight.detach(), old, new, like_the_first)
    weight.grad = None
    table.num_embeddings = len(weight)


def stretched(x: Tensor, old: Sequence[int], new: Sequence[int], fill: NewRows) -> Tensor:
    """`x` with further rows at the end of each column's."""
    parts: list[Tensor] = []
    for rows, n_old, n_new in zip(x.split(list(old)), old, new, strict=True):
        parts.append(rows)
        if n_new > n_old:
            parts.append(fill(rows[0], n_new - n_old))
    return torch.cat(parts)


def like_the_first(first: Tensor, n: int) -> Tensor:
    return first.expand(n, *first.shape)


def all_of(value: float) -> NewRows:
    return lambda first, n: torch.full((n, *first.shape), value, dtype=first.dtype, device=first.device)
