"""What statistics of the targets are computed by: counts, and smoothed rates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

SMALLEST_STRENGTH, LARGEST_STRENGTH = 1.0, 1000.0
"""A rate is smoothed by so many rows of the overall rate."""


def halves(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The weights of what has come true of each event, and of what was tried, ``(…, n_events)`` each."""
    n_events = sums.shape[-1] // 2
    return sums[..., :n_events], sums[..., n_events : 2 * n_events]


def counts_of(sums: np.ndarray) -> np.ndarray:
    """How many rows each value has, ``(n,)``, of sums ``(n, 2 · n_events + 1)``, whose last column counts them.

    Sums of former versions lack it: the weights of the first event stand for it.
    """
    return sums[:, -1] if sums.shape[1] % 2 else sums[:, sums.shape[1] // 2]


def log_count(sums: np.ndarray, share: float = 1.0) -> np.ndarray:
    """The log of the counts, ``(n,)``, of which each row counts `share`."""
    # Of numbers with gaps between them numpy 2.0 computes other last bits in one call than in the next.
    return np.log1p(share * np.ascontiguousarray(counts_of(sums)))


def units_of(total: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """What a row weighs, ``(n_events,)``, of the sums of the weights and of their squares.

    The sum of the weights is so many times their effective number (Kish). Of a target that is known of every twentieth
    row a label weighs 20, and it is one label all the same.
    """
    return np.divide(squares, total, out=np.ones_like(total), where=total > 0)


def strengths_of(sums: np.ndarray, priors: np.ndarray, units: np.ndarray) -> np.ndarray:
    """By what weight of the overall rate each event's rates are smoothed, as their spread says.

    The rates of the values are taken for draws of a beta distribution around the overall rate, whose intraclass
    correlation ρ an analysis of variance estimates; such a rate is best smoothed by 1 / ρ − 1 rows. Of these each
    weighs `units`.
    """
    positive, total = (half / units for half in halves(sums))
    strengths = []
    for y, n, p in zip(positive.T, total.T, priors, strict=True):
        y, n = y[n > 0], n[n > 0]
        n_values, n_rows = len(n), n.sum()
        if n_values < 2 or n_rows <= n_values:
            strengths.append(LARGEST_STRENGTH)
            continue
        rates = y / n
        between = (n * (rates - p) ** 2).sum() / (n_values - 1)
        within = (n * rates * (1 - rates)).sum() / (n_rows - n_values)
        size = (n_rows - (n**2).sum() / n_rows) / (n_values - 1)
        rho = (between - within) / max(between + (size - 1) * within, 1e-12)
        strengths.append(1 / max(rho, 1e-12) - 1)
    return np.clip(strengths, SMALLEST_STRENGTH, LARGEST_STRENGTH) * units


def renumbered(combined: np.ndarray, old: Sequence[int], new: Sequence[int]) -> np.ndarray:
    """The numbers of combinations where the columns have other sizes; their order stays."""
    parts = []
    for size in reversed(old[1:]):
        combined, last = np.divmod(combined, size)
        parts.append(last)
    for size, last in zip(new[1:], reversed(parts), strict=True):
        combined = combined * size + last
    return combined
