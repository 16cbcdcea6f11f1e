"""What "auto" is in a fit, by its rows; docs/design.md says how each was chosen."""

from __future__ import annotations

from typing import Literal

from sklearn_fsmd.network import readers_of
from sklearn_fsmd.parameters import MultiTaskParameters

LRS, LR_OF_MANY = ((1000, 1e-2), (20_000, 5e-3)), 2e-3
"""Learning rates of fewer rows than these, of which a fit makes few steps, and that of all others."""

DROPOUT, DROPOUT_OF_MANY, MANY_ROWS = 0.3, 0.1, 100_000
"""How much is dropped, and how much where so many rows have no ids that there is less to learn by heart."""

MOST_EPOCHS = 30
STEPS_UNWATCHED, LEAST_EPOCHS = 30, 3
"""Without validation rows, more steps than these learn the rows by heart; of many rows, more passes than these."""


def lr_of(n_rows: int | None) -> float:
    """The learning rate; None is a number of rows that is not known yet."""
    return LR_OF_MANY if n_rows is None else next((lr for limit, lr in LRS if n_rows < limit), LR_OF_MANY)


def dropout_of(n_rows: int | None, has_ids: bool) -> float:
    """The share of the hidden units that is dropped; None is a number of rows that is not known yet."""
    return DROPOUT_OF_MANY if n_rows is not None and n_rows >= MANY_ROWS and not has_ids else DROPOUT


def batch_size_of(p: MultiTaskParameters, n_rows: int, least: int) -> int:
    """Rows per step. By "auto" each member of an ensemble reads as many of them as one alone would."""
    if p.batch_size != "auto":
        return p.batch_size
    of_one = min(max(n_rows // 100, 32), 1024)
    return max(of_one * p.n_members // readers_of(p.n_members), least)


def epochs_of(epochs: int | Literal["auto"], n_steps: int, is_watched: bool) -> int:
    """How many passes of `n_steps` each there may be; `is_watched` says whether there are validation rows."""
    if epochs != "auto":
        return epochs
    return MOST_EPOCHS if is_watched else min(max(round(STEPS_UNWATCHED / n_steps), LEAST_EPOCHS), MOST_EPOCHS)
