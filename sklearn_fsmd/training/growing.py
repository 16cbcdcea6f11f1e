"""Grow embedding tables: rows for new values, with their averages and optimizer state."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from sklearn_fsmd.encoding.table import FeatureEncoder
from sklearn_fsmd.network import Layout, Member, Quotients
from sklearn_fsmd.training.net import Net

NewRows = Callable[[Tensor, int], Tensor]
"""Maps the rows of a column, of which the first is for unknown values, and the number of new rows to the new rows."""


@torch.no_grad()
def grow(net: Net, before: FeatureEncoder, now: FeatureEncoder, layout: Layout | None) -> None:
    """Give each new value a row in the tables of embeddings and of first-order weights.

    The row is initialised with the row of unknown values, which has represented the value so far, so no prediction
    changes. Moments start at 0, like those of a row that no batch has read.

    Parameters
    ----------
    net : is changed; a copy of the net whose training is continued.
    before, now : the encoders of its columns.
    layout : which rows values share from now on. A value that shares a row starts with its trained weights.

    Raises
    ------
    ValueError
        If the network has a table that is not of this library.
    """
    old, new = rows_of_columns(before), rows_of_columns(now)
    if old == new:
        return
    for member in net.module_.members:
        old_layout = member.embedding.layout
        rows = (old, new) if old_layout is None or layout is None else (old_layout.rows, layout.rows)
        for table in tables_of(member):
            if isinstance(table, Quotients) and old_layout is not None and layout is not None:
                _grow_table(net, table, old_layout.quotients, layout.quotients, drawn)
                continue
            if len(table.weight) != sum(rows[0]):
                raise ValueError(
                    f"new_categories='grow' cannot give rows to a table of {len(table.weight)} rows, where the columns "
                    f"have {sum(rows[0])}. Keep new_categories='unknown' with a 'low_order' part of your own."
                )
            _grow_table(net, table, rows[0], rows[1], like_the_first)
        member.embedding.layout = copy.deepcopy(layout)
        member.embedding.set_cardinalities(rows[1][: len(now.cardinalities)])
    net.module_.to(net.device)


def rows_of_columns(encoder: FeatureEncoder) -> list[int]:
    """The number of rows of each column, in the order of the table, if values share none."""
    return [*encoder.cardinalities, *encoder.list_cardinalities]


def tables_of(member: Member) -> list[nn.Embedding]:
    """The tables that have a row per value of the columns; not the table of the bias tower."""
    parts = [part for part in (member.embedding, member.low_order) if part is not None]
    return [table for part in parts for table in part.modules() if isinstance(table, nn.Embedding)]


def _grow_table(net: Net, table: nn.Embedding, old: Sequence[int], new: Sequence[int], fill: NewRows) -> None:
    """Add rows to a table, its average and its optimizer state for the columns' new sizes."""
    weight = table.weight
    if list(old) == list(new):
        return
    for i, tensor in enumerate(net.average_.tensors):
        if tensor is weight and net.average_.others:
            net.average_.others[i] = stretched(net.average_.others[i], old, new, fill)
            if i in net.average_.last:
                net.average_.last[i] = stretched(net.average_.last[i], old, new, constant(net.average_.step))
    state = net.optimizer_.state.get(weight, {})
    group = next(group for group in net.optimizer_.param_groups if any(p is weight for p in group["params"]))
    initial = {
        "last": int(state.get("step", 0)),
        "sum": group.get("initial_accumulator_value", 0),
    }  # "sum" is of Adagrad
    for name, value in state.items():
        if isinstance(value, Tensor) and value.ndim and len(value) == sum(old):
            state[name] = stretched(value, old, new, constant(initial.get(name, 0)))
    weight.data = stretched(weight.detach(), old, new, fill)
    weight.grad = None
    table.num_embeddings = len(weight)


def stretched(x: Tensor, old: Sequence[int], new: Sequence[int], fill: NewRows) -> Tensor:
    """`x` with new rows at the end of the rows of each column."""
    parts: list[Tensor] = []
    for rows, n_old, n_new in zip(x.split(list(old)), old, new, strict=True):
        parts.append(rows)
        if n_new > n_old:
            parts.append(fill(rows, n_new - n_old))
    return torch.cat(parts)


def like_the_first(rows: Tensor, n: int) -> Tensor:
    """Copies of the row of unknown values."""
    return rows[0].expand(n, *rows.shape[1:])


def drawn(rows: Tensor, n: int) -> Tensor:
    """Random factors that distinguish values: the same for a table and its average, others for rows that come later."""
    random = torch.Generator().manual_seed(1_000_003 * len(rows) + n)
    return torch.randn((n, *rows.shape[1:]), generator=random, dtype=torch.float32).to(rows)


def constant(value: float) -> NewRows:
    """Rows filled with `value`."""
    return lambda rows, n: rows.new_full((n, *rows.shape[1:]), value)
