"""Clicks that depend on the items which the same user clicked last, in a simulated log."""

from __future__ import annotations

import numpy as np

from sklearn_fsmd.datasets._world import intercept, sigmoid

N_LAST = 5
"""How many items a list holds at most."""
WEIGHT = 4.0
"""By how much the log-odds of a click rise with the similarity."""
N_PASSES = 5
"""How often the log is simulated. The mean probability is as wanted when two passes give the same clicks."""
NONE = -1


def clicks_in_turn(
    users: np.ndarray,
    items: np.ndarray,
    logit: np.ndarray,
    *,
    tastes: np.ndarray,
    rate: float,
    looked: np.ndarray,
    luck: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """P(click) of each row that is looked at, and the items that the user clicked before it.

    The rows of a user follow each other: whether the first one is clicked decides what the list of the second one
    holds, and so on. An item that resembles one of the list is clicked more often than others.

    Parameters
    ----------
    users, items : (n,) int, in the order of time.
    logit : (n,), the log-odds of a click apart from the list and a constant.
    tastes : (n_items, D); the similarity of two items is the cosine of theirs.
    rate : the mean of P(click), for which the constant is chosen.
    looked, luck : (n,); a row is clicked if ``luck < P(click) * looked``.

    Returns
    -------
    p_click : (n,) float
    last : (n, N_LAST) int, the newest last, −1 where there are fewer.
    """
    n, turns = len(users), _turns(users)
    direction = tastes / np.linalg.norm(tastes, axis=1, keepdims=True)
    usual = _usual(direction)
    p_click, pull, last = np.zeros(n), np.zeros(n), np.full((n, N_LAST), NONE)
    for _ in range(N_PASSES):
        base = logit + intercept(logit + pull, rate)
        known = np.full((users.max() + 1, N_LAST), NONE)  # the last items of each user, so far
        for rows in turns:
            last[rows] = known[users[rows]]
            pull[rows] = WEIGHT * (_closest(direction, items[rows], last[rows]) - usual[_lengths(last[rows])])
            p_click[rows] = sigmoid(base[rows] + pull[rows])
            clicked = rows[luck[rows] < p_click[rows] * looked[rows]]
            known[users[clicked]] = np.column_stack((last[clicked, 1:], items[clicked]))
    return p_click, last


def as_lists(last: np.ndarray) -> list[list[int]]:
    """Rows of items as lists, without what is missing."""
    return [[item for item in row if item != NONE] for row in last.tolist()]


def _turns(users: np.ndarray) -> list[np.ndarray]:
    """The first row of each user, then the second of each, and so on."""
    by_user = np.argsort(users, kind="stable")
    counts = np.bincount(users)
    turn = np.empty(len(users), dtype=np.int64)
    turn[by_user] = np.arange(len(users)) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.split(np.argsort(turn, kind="stable"), np.cumsum(np.bincount(turn))[:-1])


def _closest(direction: np.ndarray, items: np.ndarray, last: np.ndarray) -> np.ndarray:
    """The similarity of each item to the most similar one of its list, ``(m,)``, 0 if that is empty."""
    similar = np.einsum("md,mld->ml", direction[items], direction[last])
    similar[last == NONE] = -1.0
    return np.where(_lengths(last) > 0, similar.max(axis=1), 0.0)


def _lengths(last: np.ndarray) -> np.ndarray:
    return (last != NONE).sum(axis=1)


def _usual(direction: np.ndarray) -> np.ndarray:
    """The mean of :func:`_closest` over random items, for random lists of each length from 0 to N_LAST.

    Without it a click would be the more likely the longer the list is, whatever it holds.
    """
    random = np.random.RandomState(0)
    items, last = random.randint(len(direction), size=5000), random.randint(len(direction), size=(5000, N_LAST))
    similar = np.einsum("md,mld->ml", direction[items], direction[last])
    return np.append(0.0, np.maximum.accumulate(similar, axis=1).mean(axis=0))
