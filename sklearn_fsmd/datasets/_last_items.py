"""Clicks in a simulated log that depend on the items that the same user clicked last."""

from __future__ import annotations

import numpy as np

from sklearn_fsmd.datasets._world import intercept, sigmoid

MAX_LENGTH = 5
"""Largest number of items in a list."""
WEIGHT = 4.0
"""Weight of the similarity in the log-odds of a click."""
N_PASSES = 5
"""Number of simulations of the log. If the clicks no longer change between passes, the mean probability is exact."""
NONE = -1


def clicks_with_history(
    users: np.ndarray,
    items: np.ndarray,
    logit: np.ndarray,
    *,
    tastes: np.ndarray,
    rate: float,
    p_looked: np.ndarray,
    draws: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """P(click) of each row if the user looks at it, and the items that the user clicked last before it.

    The rows of a user are simulated in order, since each click changes the list of the next row. An item that is
    similar to one of the list is clicked more often than others.

    Parameters
    ----------
    users, items : (n,) int, in chronological order.
    logit : (n,), log-odds of a click without the effect of the list and without the intercept.
    tastes : (n_items, D); the similarity of two items is the cosine of their rows.
    rate : mean of P(click), which determines the intercept.
    p_looked, draws : (n,); a row is clicked if ``draws < P(click) * p_looked``.

    Returns
    -------
    p_click : (n,) float
    last_items : (n, MAX_LENGTH) int, the newest item last; short lists are padded with −1 on the left.
    """
    n, rounds = len(users), _rounds(users)
    directions = tastes / np.linalg.norm(tastes, axis=1, keepdims=True)
    mean_similarity = _mean_similarity(directions)
    p_click, effect, last_items = np.zeros(n), np.zeros(n), np.full((n, MAX_LENGTH), NONE)
    for _ in range(N_PASSES):
        base = logit + intercept(logit + effect, rate)
        current = np.full((users.max() + 1, MAX_LENGTH), NONE)  # the last items of each user, so far
        for rows in rounds:
            lists = last_items[rows] = current[users[rows]]
            similarity = _largest_similarity(directions, items[rows], lists)
            effect[rows] = WEIGHT * (similarity - mean_similarity[_lengths(lists)])
            p_click[rows] = sigmoid(base[rows] + effect[rows])
            clicked = rows[draws[rows] < p_click[rows] * p_looked[rows]]
            current[users[clicked]] = np.column_stack((last_items[clicked, 1:], items[clicked]))
    return p_click, last_items


def as_lists(last_items: np.ndarray) -> list[list[int]]:
    """Convert rows of items to lists without the padding."""
    return [[item for item in row if item != NONE] for row in last_items.tolist()]


def _rounds(users: np.ndarray) -> list[np.ndarray]:
    """The indices of the first row of each user, then of the second row of each user, and so on."""
    by_user = np.argsort(users, kind="stable")
    counts = np.bincount(users)
    round_of_row = np.empty(len(users), dtype=np.int64)
    round_of_row[by_user] = np.arange(len(users)) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.split(np.argsort(round_of_row, kind="stable"), np.cumsum(np.bincount(round_of_row))[:-1])


def _largest_similarity(directions: np.ndarray, items: np.ndarray, last_items: np.ndarray) -> np.ndarray:
    """The similarity of each item to the most similar one of its list, ``(m,)``; 0 for an empty list."""
    similarities = np.einsum("md,mld->ml", directions[items], directions[last_items])
    similarities[last_items == NONE] = -1.0
    return np.where(_lengths(last_items) > 0, similarities.max(axis=1), 0.0)


def _lengths(last_items: np.ndarray) -> np.ndarray:
    return (last_items != NONE).sum(axis=1)


def _mean_similarity(directions: np.ndarray) -> np.ndarray:
    """The mean of the largest similarity for random items and random lists of each length from 0 to MAX_LENGTH.

    It is subtracted, since otherwise clicks would become more likely with the length of a list, whatever its items.
    """
    random = np.random.RandomState(0)
    items = random.randint(len(directions), size=5000)
    last_items = random.randint(len(directions), size=(5000, MAX_LENGTH))
    similarities = np.einsum("md,mld->ml", directions[items], directions[last_items])
    return np.append(0.0, np.maximum.accumulate(similarities, axis=1).mean(axis=0))
