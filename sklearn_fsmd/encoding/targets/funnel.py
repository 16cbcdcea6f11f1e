"""The rule of a funnel: a step whose parent is an observed 0 is an observed 0 too."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sklearn_fsmd.parameters import warn

FEW = 0.1
"""If a larger share of a step happened without its parent, it is more likely that the parent is none."""


def settle_children(
    labels: np.ndarray, observed: np.ndarray, parents: Sequence[int | None], weights: np.ndarray | None = None
) -> np.ndarray:
    """Mark steps as observed, in place in `observed` (n, K), if their parent is an observed 0.

    A parent whose weight (n, K) is 0 has no effect.

    Returns
    -------
    n_happened : ``(2, K)``, the number of rows in which each step has happened, and in which it has though its parent
        has not; 0 for a step without a parent.
    """
    known = observed.copy() if weights is None else observed & (weights > 0)
    n_happened = np.zeros((2, len(parents)), dtype=np.int64)
    for k, parent in enumerate(parents):
        if parent is None:
            continue
        stopped = known[:, parent] & (labels[:, parent] == 0)
        happened = known[:, k] & (labels[:, k] == 1)
        n_happened[:, k] = happened.sum(), (happened & stopped).sum()
        observed[:, k] |= stopped
        known[:, k] |= stopped
    return n_happened


def warn_of_contradictions(n_happened: np.ndarray, names: Sequence[str], parents: Sequence[int | None]) -> None:
    """Warn of rows in which a step has happened though its parent has not.

    Parameters
    ----------
    n_happened : ``(2, K)``, as :func:`settle_children` returns them.
    """
    for k, (n_all, n) in enumerate(n_happened.T.tolist()):
        if not n:
            continue
        share, parent = n / n_all, names[parents[k] or 0]
        message = (
            f"{n} row{'s have' if n > 1 else ' has'} {names[k]!r} = 1 though {parent!r}, the step before it, is 0. "
            f"That is {100 * share:.3g} % of the rows with {names[k]!r} = 1, which a chain cannot learn. Are the "
            f"columns of Y in the order of the funnel? Their order is {list(names)}."
        )
        if share <= FEW:
            message += f" If they are, set {parent!r} to 1 in these rows, or leave them out."
        warn(message)
