"""Large embedding tables: whether they fit into memory, and which optimizer trains them."""

from __future__ import annotations

from typing import Any

import numpy as np

from sklearn_fsmd.encoding.table import FeatureEncoder
from sklearn_fsmd.inference import layout_of
from sklearn_fsmd.network import MultiTaskNetwork, embedding_dim_of, has_own_embeddings
from sklearn_fsmd.parameters import OPTIMIZERS, MultiTaskParameters, NetworkParameters, OptimizationParameters, warn
from sklearn_fsmd.parameters.machine import memory_of
from sklearn_fsmd.training.optimizers.rowwise_adagrad import RowWiseAdagrad, RowWiseAdagradW
from sklearn_fsmd.training.optimizers.rowwise_adam import RowWiseAdam, RowWiseAdamW

LARGE_TABLE = 2**19
"""With embedding_optimizer="auto" a table of this many weights or more is trained by rows; see docs/design.md."""

TABLE_COPIES = 4
"""Copies of a table in training by Adam, at least: the weights, two moments and the average."""

PRETRAINING_COPIES = 8
"""Copies of a table in pretraining: one for inputs and one for outputs, each with a gradient and two moments."""

ROW_WISE = {"adam": RowWiseAdam, "adamw": RowWiseAdamW}
ROW_WISE_ADAGRAD = {"adam": RowWiseAdagrad, "adamw": RowWiseAdagradW}


def check_table_size(
    p: MultiTaskParameters, network: NetworkParameters, encoder: FeatureEncoder, n_learned: int, device: str
) -> None:
    """Raise if an embedding table cannot be trained in the memory of the device, before it is made.

    Parameters
    ----------
    network : the parameters of the network, where the fit has replaced "auto".
    n_learned : number of targets, with value targets.

    Raises
    ------
    ValueError
        The message has the size, and the column that has most of the rows.
    """
    layout = layout_of(p, encoder)
    n_rows = encoder.n_rows if layout is None else sum(layout.rows) + sum(layout.quotients)
    of_value = embedding_dim_of(network)
    dim = of_value * p.n_members * (n_learned if has_own_embeddings(p) else 1)
    pretraining = PRETRAINING_COPIES * of_value if p.pretrain_epochs else 0
    copies = TABLE_COPIES - (p.average_decay == 0) - 2 * (p.embedding_optimizer == "rowwise_adagrad")
    needed, available = n_rows * 4 * (copies * dim + pretraining), memory_of(device)
    if needed > available:
        columns = [*encoder.categories.values(), *(encoder.numeric.values() if encoder.numeric_bins else ())]
        names = [column.name for column in (*columns, *encoder.lists.values())]
        sizes = [*encoder.cardinalities, *encoder.list_cardinalities] if layout is None else layout.rows
        largest = int(np.argmax(sizes))
        helps = {"embedding_dim": True, "n_members": p.n_members > 1, "max_embedding_rows": p.embedding_compression}
        lower = [f"`{name}`" for name, applies in helps.items() if applies]
        raise ValueError(
            f"The embedding table of {n_rows:,} rows of {dim} numbers needs {needed / 2**30:.1f} GiB in training, with "
            f"moments of gradients and averages, and {device!r} has {available / 2**30:.1f} GiB. Column "
            f"{names[largest]!r} has {sizes[largest]:,} of the rows. Raise `min_frequency`, lower {' or '.join(lower)}"
            f"{'.' if p.embedding_compression else ', or let values share rows by `embedding_compression`.'}"
        )


def warn_of_shared_rows(p: MultiTaskParameters, encoder: FeatureEncoder) -> None:
    """Warn of columns that have fewer table rows than values."""
    layout = layout_of(p, encoder)
    if layout is None or layout.has_quotients:
        return
    names = [column.name for column in encoder.categories.values()]
    names += [column.name for column in encoder.lists.values()]
    shared = []
    for name, r in zip(names, [*layout.columns[: len(encoder.categories)], *layout.own_of_lists], strict=True):
        if r.n_codes > r.n_rows:
            n, n_rows = r.n_codes - r.n_own, r.n_rows - r.n_own
            shared.append(f"{name!r} has {n:,} values in {n_rows:,} rows ({n / n_rows:.1f} share one in the mean)")
    if shared:
        warn(
            f"embedding_compression='hash': column {', column '.join(shared)}. Raise `max_embedding_rows`, or tell "
            "values apart by embedding_compression='quotient_remainder'."
        )


def trains_rows(p: OptimizationParameters, network: MultiTaskNetwork) -> bool:
    """Whether the tables are trained by rows, with sparse gradients.

    Raises
    ------
    ValueError
        If `embedding_optimizer` asks for that and the optimizer has no steps by rows.
    """
    if p.embedding_optimizer in ("sparse", "rowwise_adagrad") and p.optimizer not in ROW_WISE:
        raise ValueError(
            f"embedding_optimizer={p.embedding_optimizer!r} needs the optimizer 'adam' or 'adamw'. Got "
            f"optimizer={p.optimizer!r}."
        )
    if p.embedding_optimizer == "auto":
        return p.optimizer in ROW_WISE and network.embedding.table.weight.numel() >= LARGE_TABLE
    return p.embedding_optimizer != "dense"


def optimizer_of(p: OptimizationParameters) -> Any:
    """The class of the optimizer: one that can take steps by rows, if there is one."""
    row_wise = ROW_WISE_ADAGRAD if p.embedding_optimizer == "rowwise_adagrad" else ROW_WISE
    return row_wise.get(p.optimizer) or OPTIMIZERS.get(p.optimizer, p.optimizer)
