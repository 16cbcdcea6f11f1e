"""The rule of a funnel: a step whose parent is an observed 0 is an observed 0 too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from sklearn_fsmd.parameters import warn


def settle_children(
    labels: np.ndarray, observed: np.ndarray, parents: Sequence[int | None], weights: np.ndarray | None = None
) -> dict[int, int]:
    """Mark steps as observed, in place in `observed` (n, K), if their parent is an observed 0.

    A parent whose weight (n, K) is 0 has no effect. Returns the number of contradicting rows for each task that has
    some.
    """
    n_odd, known = {}, observed.copy() if weights is None else observed & (weights > 0)
    for k, parent in enumerate(parents):
        if parent is None:
            continue
        stopped = known[:, parent] & (labels[:, parent] == 0)
        n = int((stopped & known[:, k] & (labels[:, k] == 1)).sum())
        if n:
            n_odd[k] = n
        observed[:, k] |= stopped
        known[:, k] |= stopped
    return n_odd


def young_steps(labels: np.ndarray, observed: np.ndarray, parents: Sequence[int | None]) -> list[int]:
    """Find the steps whose only labels in these rows are 0s that follow from their parents.

    The parent has happened in some rows, and in none of these the label of the step is known yet: the rows are too
    young. A step whose parent is such a step is one too, unless it has labels itself.

    Parameters
    ----------
    labels, observed : ``(n, K)``; `observed` includes the labels that follow from the funnel, see
        :func:`settle_children`.
    """
    young: list[int] = []
    for k, parent in enumerate(parents):
        if parent is None:
            continue
        parent_is_0 = observed[:, parent] & (labels[:, parent] == 0)
        parent_is_1 = observed[:, parent] & (labels[:, parent] == 1)
        if not (observed[:, k] & ~parent_is_0).any() and (parent in young or parent_is_1.any()):
            young.append(k)
    return young


def warn_of_contradictions(
    n_odd: Mapping[int, int], n_rows: int, names: Sequence[str], parents: Sequence[int | None]
) -> None:
    """Warn of rows in which a step has happened though its parent has not.

    Parameters
    ----------
    n_odd : the number of such rows for each step, as returned by :func:`settle_children`.
    n_rows : the number of all rows.
    """
    for k, n in n_odd.items():
        share, parent = n / n_rows, names[parents[k] or 0]
        message = (
            f"{n} row{'s have' if n > 1 else ' has'} {names[k]!r} = 1 though {parent!r}, the step before it, is 0. "
            f"That is {100 * share:.2g} % of the rows, which a chain cannot learn. Are the columns of Y in the order "
            f"of the funnel? Their order is {list(names)}."
        )
        if share <= 0.05:
            message += f" If they are, set {parent!r} to 1 in these rows, or leave them out."
        warn(message)
