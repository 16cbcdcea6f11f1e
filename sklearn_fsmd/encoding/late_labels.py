"""Further rows, of whose later steps nothing is known yet: what those count in which the step before did not happen.

A row without a click has no conversion, and that is known at once; a clicked one may have none for days. If all of the
former counted and none of the latter, rates of conversions would fall with every young row. So of the former as many
count as the known labels of the latter say: rows without the step before, and labels of those with it, are added in the
proportion that training has seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from sklearn_fsmd.encoding.rates import halves

Event = tuple[int, int | None]
NEARLY = 1e-9
"""By so much the share of 1 may be missed by rounding alone."""
FEW = 0.05
"""If more of a step's positive labels are of rows without the step before, that one is missing and not the step."""


def in_proportion(counted: np.ndarray, total: np.ndarray, former: np.ndarray, events: Sequence[Event]) -> np.ndarray:
    """What further rows count, ``(…, 2 · n_events + 1)``, be it row by row or summed.

    Parameters
    ----------
    counted : the same, if each row without the step before counts as any other.
    total, former : ``(2 · n_events + 1,)``, the sums of that over all further rows, and over those of before.
    events : a task and None, or a task and its parent.
    """
    shares: dict[int, float] = {}
    for step in _steps(events):
        if _is_known_elsewhere(total, *step):
            continue
        shares[step[0]] = 1.0
        now = _labels_per_row_without(_counting(total, shares, events), *step)
        then = _labels_per_row_without(former, *step)
        if now is not None and then and abs(now / then - 1) > NEARLY:
            shares[step[0]] = now / then
    return _counting(counted, shares, events)


def _counting(counted: np.ndarray, shares: Mapping[int, float], events: Sequence[Event]) -> np.ndarray:
    """What rows count where one without the step before counts such a share in a marginal; of those left out, all."""
    if all(share == 1 for share in shares.values()):
        return counted
    made = np.copy(counted)  # which keeps the order in memory
    (positive, was), (_, tried) = halves(counted), halves(made)
    for marginal, given, before in _steps(events):
        if marginal not in shares:
            continue
        of_parent = was[..., before] - positive[..., before]
        kept = np.divide(
            tried[..., before] - positive[..., before], of_parent, out=np.ones_like(of_parent), where=of_parent > 0
        )
        tried[..., marginal] -= _rows_without(counted, marginal, given) * (1 - shares[marginal] * kept)
    return made


def _labels_per_row_without(sums: np.ndarray, marginal: int, given: int, before: int) -> float | None:
    """How many labels of a step are known, by what they would be if all were; None where that cannot be told.

    That is, of the rows with the step before, those with a label, in proportion to the same of the rows without it.
    """
    positive, tried = halves(sums.astype(np.float64))
    without, happened = float(_rows_without(sums, marginal, given)), float(positive[before])
    if without <= 0 or happened <= 0 or _is_known_elsewhere(sums, marginal, given, before):
        return None
    return float(tried[given]) / happened * float(tried[before] - positive[before]) / without


def _is_known_elsewhere(sums: np.ndarray, marginal: int, given: int, before: int) -> bool:
    """Whether a step is known where the one before it is not, a label in the middle that is missing."""
    positive, _ = halves(sums)
    return bool(positive[marginal] - positive[given] > FEW * positive[marginal])


def _rows_without(sums: np.ndarray, marginal: int, given: int) -> np.ndarray:
    """What rows count for a step without the one before it: they have no positive label of it."""
    positive, tried = halves(sums)
    return tried[..., marginal] - tried[..., given] - (positive[..., marginal] - positive[..., given])


def _steps(events: Sequence[Event]) -> list[tuple[int, int, int]]:
    """Of each step, earlier ones first, where its marginal, its conditional and its parent's marginal stand."""
    at = {event: i for i, event in enumerate(events)}
    parents = {k: parent for k, parent in events if parent is not None}

    def depth(task: int) -> int:
        return 1 + depth(parents[task]) if task in parents else 0

    return [(at[k, None], at[k, parents[k]], at[parents[k], None]) for k in sorted(parents, key=depth)]
