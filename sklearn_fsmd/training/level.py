"""The level of predictions: what to add to the log-odds for their mean to be the observed rate."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def levels(
    parents: Sequence[int | None], logits: np.ndarray, labels: np.ndarray, weights: np.ndarray | None
) -> np.ndarray:
    """What to add to each step's log-odds, for each target's mean probability to be its rate, ``(K,)``.

    A step is left as it is where its target's labels are all alike.

    Parameters
    ----------
    parents : of each task, as in the link.
    logits, labels, weights : (n, K)
    """
    counts = np.ones(labels.shape) if weights is None else weights.astype(np.float64)
    z, marginals, found = logits.astype(np.float64), np.ones(logits.shape), np.zeros(len(parents))
    for k, parent in enumerate(parents):
        before = np.ones(len(z)) if parent is None else marginals[:, parent]
        positive = counts[:, k] @ labels[:, k]
        if 0 < positive < counts[:, k].sum():
            found[k] = level_of(z[:, k], positive, counts[:, k] * before)
        marginals[:, k] = before * sigmoid(z[:, k] + found[k])
    return found


def level_of(z: np.ndarray, total: float, weights: np.ndarray) -> float:
    """The number that, added to the log-odds `z`, makes Σ w · P equal to `total`; by bisection."""
    low, high = -30.0 - z.max(), 30.0 - z.min()
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if weights @ sigmoid(z + middle) < total else (low, middle)
    return (low + high) / 2


def sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z.clip(-500, 500)))
