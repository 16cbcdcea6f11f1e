"""What statistics of the targets are computed by: counts, and smoothed rates."""

from __future__ import annotations

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


def log_count(counts: np.ndarray, share: float = 1.0) -> np.ndarray:
    """The log of counts, ``(n,)``, of which each row counts `share`."""
    # Of numbers with gaps between them numpy 2.0 computes other last bits in one call than in the next.
    return np.log1p(share * np.ascontiguousarray(counts))


def units_of(total: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """What a row weighs, ``(n_events,)``, of the sums of the weights and of their squares.

    The sum of the weights is so many times their effective number (Kish). Of a target that is known of every twentieth
    row a label weighs 20, and it is one label all the same.
    """
    return np.divide(squares, total, out=np.ones_like(total), where=total > 0)


def tallied(counted: np.ndarray) -> np.ndarray:
    """Whether each event came true in a row, and whether it was tried there, ``(n, 2 · n_events)``, as 0 and 1.

    `counted` ``(n, 2 · n_events + 1)`` is what a row adds to the sums.
    """
    return np.asfortranarray(counted[:, : counted.shape[1] // 2 * 2] > 0, dtype=np.float64)


def strengths_of(tallies: np.ndarray) -> np.ndarray:
    """By how many rows of the overall rate each event's rates are smoothed, as their spread says, ``(n_events,)``.

    The rates of the values are taken for draws of a beta distribution around the overall rate, whose intraclass
    correlation ρ an analysis of variance estimates; such a rate is best smoothed by 1 / ρ − 1 rows. It goes by numbers
    of rows, whatever these weigh: how much a rate varies by chance the weights do not say.

    Parameters
    ----------
    tallies : ``(n, 2 · n_events)``, of each value the sums of :func:`tallied`.
    """
    positive, total = halves(tallies)
    strengths = []
    for y, n in zip(positive.T, total.T, strict=True):
        y, n = y[n > 0], n[n > 0]
        n_values, n_rows = len(n), n.sum()
        if n_values < 2 or n_rows == n_values:
            strengths.append(LARGEST_STRENGTH)
            continue
        rates, p = y / n, y.sum() / n_rows
        between = (n * (rates - p) ** 2).sum() / (n_values - 1)
        within = (n * rates * (1 - rates)).sum() / (n_rows - n_values)
        size = (n_rows - (n**2).sum() / n_rows) / (n_values - 1)
        rho = (between - within) / max(between + (size - 1) * within, 1e-12)
        strengths.append(1 / max(rho, 1e-12) - 1)
    return np.clip(strengths, SMALLEST_STRENGTH, LARGEST_STRENGTH)


def summed(index: np.ndarray, counted: np.ndarray, n: int) -> np.ndarray:
    """What rows count, added up by the row of a table; nothing is known of row 0."""
    sums = np.stack([np.bincount(index, column, n) for column in counted.T], axis=1)
    sums[0] = 0
    return sums


def n_counted(sums: np.ndarray) -> float:
    """How many rows of known values were counted."""
    return float(counts_of(sums).sum(dtype=np.float64))


def share_of_more(share: float, former: np.ndarray, own: np.ndarray) -> float:
    """What a row counts, each having counted `share`, where more come: all together as many as before."""
    before, more = n_counted(former), n_counted(own)
    return share * before / (before + more) if before else share


def compact(sums: np.ndarray) -> np.ndarray:
    """Sums in float32 where that still counts a row that comes to them, and else in float64."""
    return sums.astype(np.float32 if sums.max(initial=0) < 2**24 else np.float64)
