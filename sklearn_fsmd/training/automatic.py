"""Values of parameters that are "auto", by the number of rows; docs/defaults.md has how they were chosen."""

from __future__ import annotations

from typing import Literal

from sklearn_fsmd.network import readers_of
from sklearn_fsmd.parameters import MultiTaskParameters

LRS, LR_OF_MANY = ((1000, 1e-2), (20_000, 5e-3)), 2e-3
"""Learning rates for fewer rows than these, on which a fit makes few steps, and the learning rate for more."""

MANY_ROWS = 100_000
"""So many rows or more without ids leave little to memorise."""
DROPOUT, DROPOUT_OF_MANY = 0.3, 0.1
EMBEDDING_DIM, EMBEDDING_DIM_OF_MANY = 16, 32
"""Dropout rate and length of the embeddings, and those for many rows without ids."""

MOST_EPOCHS = 30
STEPS_UNWATCHED, LEAST_EPOCHS = 30, 3
"""Without validation rows a fit stops after about this many steps, since more memorise the rows, but makes at least
this many passes."""


def lr_of(n_rows: int | None) -> float:
    """The learning rate; `n_rows` is None if the number of rows is not known yet."""
    return LR_OF_MANY if n_rows is None else next((lr for limit, lr in LRS if n_rows < limit), LR_OF_MANY)


def network_of(n_rows: int | None, has_ids: bool) -> dict[str, float]:
    """The values of the network's parameters; `n_rows` is None if the number of rows is not known yet."""
    is_safe = n_rows is not None and n_rows >= MANY_ROWS and not has_ids
    return {
        "dropout": DROPOUT_OF_MANY if is_safe else DROPOUT,
        "embedding_dim": EMBEDDING_DIM_OF_MANY if is_safe else EMBEDDING_DIM,
    }


def batch_size_of(p: MultiTaskParameters, n_rows: int, least: int) -> int:
    """Rows per step. With "auto" each member of an ensemble reads as many of them as a single network would."""
    if p.batch_size != "auto":
        return p.batch_size
    of_member = min(max(n_rows // 100, 32), 1024)
    return max(of_member * p.n_members // readers_of(p.n_members), least)


def epochs_of(epochs: int | Literal["auto"], n_steps: int, is_watched: bool) -> int:
    """The largest number of passes of `n_steps` each; `is_watched` is whether there are validation rows."""
    if epochs != "auto":
        return epochs
    return MOST_EPOCHS if is_watched else min(max(round(STEPS_UNWATCHED / n_steps), LEAST_EPOCHS), MOST_EPOCHS)
