"""Counts, overall rates, and the strength by which the rates of a category are smoothed."""

from __future__ import annotations

import numpy as np

SMALLEST_STRENGTH, LARGEST_STRENGTH = 1.0, 1000.0
"""Range of the smoothing strength: how many rows with the overall rate are added to a rate."""


def split_sums(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Split sums into the weights of positive labels and of all labels of each event, ``(…, n_events)`` each."""
    n_events = sums.shape[-1] // 2
    return sums[..., :n_events], sums[..., n_events : 2 * n_events]


def counts_of(sums: np.ndarray) -> np.ndarray:
    """Number of rows of each value, ``(n,)``: the last column of the sums ``(n, 2 · n_events + 1)``.

    Sums from files of earlier versions lack this column. There the weights of the first event are used instead.
    """
    return sums[:, -1] if sums.shape[1] % 2 else sums[:, sums.shape[1] // 2]


def log_count(counts: np.ndarray, share: float = 1.0) -> np.ndarray:
    """``log(1 + share · counts)``, where `counts` is ``(n,)``."""
    # On arrays that are not contiguous, the last bits of numpy 2.0's results may differ from call to call.
    return np.log1p(share * np.ascontiguousarray(counts))


def units_of(total: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Typical weight of a label, ``(n_events,)``, from the sums of the weights and of their squares.

    The sum of the weights, divided by it, is the effective number of labels (Kish). If one row in twenty has a label,
    which then weighs 20, it still counts as one label.
    """
    return np.divide(squares, total, out=np.ones_like(total), where=total > 0)


def unweighted(contributions: np.ndarray) -> np.ndarray:
    """Replace weights by 1: whether each event is positive in a row, and whether it has a label there.

    Parameters
    ----------
    contributions : ``(n, 2 · n_events + 1)``, what each row adds to the sums.

    Returns
    -------
    ``(n, 2 · n_events)``, 0 or 1.
    """
    return np.asfortranarray(contributions[:, : contributions.shape[1] // 2 * 2] > 0, dtype=np.float64)


def strengths_of(tallies: np.ndarray) -> np.ndarray:
    """Smoothing strength of each event, ``(n_events,)``, estimated from the spread of its rates.

    The strength is the number of rows with the overall rate that are added to each rate. The rates of the values are
    treated as draws from a beta distribution around the overall rate. An analysis of variance estimates its intraclass
    correlation ρ; the best strength is then 1 / ρ − 1 rows. The estimate uses unweighted rows, since the weights do not
    show how much a rate varies by chance.

    Parameters
    ----------
    tallies : ``(n, 2 · n_events)``, the sums of :func:`unweighted` over the rows of each value.
    """
    positive, total = split_sums(tallies)
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


def sum_by_index(index: np.ndarray, contributions: np.ndarray, n: int) -> np.ndarray:
    """Sum the contributions ``(m, w)`` of rows by their index ``(m,)`` in a table of `n` rows; row 0 stays 0."""
    sums = np.stack([np.bincount(index, column, n) for column in contributions.T], axis=1)
    sums[0] = 0
    return sums


def n_counted(sums: np.ndarray) -> float:
    """Number of rows with known values that were counted."""
    return float(counts_of(sums).sum(dtype=np.float64))


def share_after_adding(share: float, old_sums: np.ndarray, new_sums: np.ndarray) -> float:
    """Share as which a row counts after more rows were added: the total count of all rows stays as it was."""
    n_old, n_new = n_counted(old_sums), n_counted(new_sums)
    return share * n_old / (n_old + n_new) if n_old else share


def compact(sums: np.ndarray) -> np.ndarray:
    """Convert sums to float32 if adding 1 to the largest still changes it, else to float64."""
    return sums.astype(np.float32 if sums.max(initial=0) < 2**24 else np.float64)
