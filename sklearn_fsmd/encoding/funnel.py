"""What follows from a funnel: a step after an observed 0 is an observed 0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from sklearn_fsmd.parameters import warn


def settle_children(
    labels: np.ndarray, observed: np.ndarray, parents: Sequence[int | None], weights: np.ndarray | None = None
) -> dict[int, int]:
    """Write what follows from the funnel into `observed`, (n, K). From a label of weight 0, (n, K), nothing follows.

    Returns for each task how many rows contradict that, where there are any.
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
    """Steps of which these rows say no more than that they cannot have happened where the one before has not.

    That one has happened in some of the rows, and of none of these it is known what came next: they are too young. The
    steps after such a one are among them, unless something is known of their own.

    Parameters
    ----------
    labels, observed : ``(n, K)``, the latter with what follows from the funnel, see :func:`settle_children`.
    """
    found: list[int] = []
    for k, parent in enumerate(parents):
        if parent is None:
            continue
        has_not = observed[:, parent] & (labels[:, parent] == 0)
        has = observed[:, parent] & (labels[:, parent] == 1)
        if not (observed[:, k] & ~has_not).any() and (parent in found or has.any()):
            found.append(k)
    return found


def warn_of_contradictions(
    n_odd: Mapping[int, int], n_rows: int, names: Sequence[str], parents: Sequence[int | None]
) -> None:
    """Warn of rows in which a step has happened after one that has not.

    Parameters
    ----------
    n_odd : how many there are of each step, as :func:`settle_children` counts them.
    n_rows : of how many rows.
    """
    for k, n in n_odd.items():
        share = n / n_rows
        said = (
            f"{n} row{'s have' if n > 1 else ' has'} {names[k]!r} = 1 though {names[parents[k] or 0]!r}, "
            f"the step before it, is 0. That is {100 * share:.2g} % of the rows, which a chain cannot learn."
        )
        if share > 0.05:
            said += f" Are the columns of Y in the order of the funnel? They are taken for {list(names)}."
        warn(said)
