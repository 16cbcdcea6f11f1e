"""The watch time of clicked items in a simulated log."""

from __future__ import annotations

import numpy as np

from sklearn_fsmd.datasets._world import World, grouped_normal, sigmoid

SPREAD = 0.8
"""Standard deviation of the log seconds, given user and item."""


def watch_seconds(
    world: World, users: np.ndarray, items: np.ndarray, times: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """E[seconds | click] of each row, and seconds drawn from their distribution, ``(n,)`` float64.

    The distribution is zero-inflated lognormal: with some probability the time is 0, otherwise its logarithm is normal.
    The better the item matches the user's taste, the rarer are zeros and the longer are the other times. The latter
    also depend on the patience of the user and the length of the item.
    """
    taste = world.taste(users, items, times)
    patience = grouped_normal(world.random, world.segment, 1)[users, 0]
    length = grouped_normal(world.random, world.brand, 1)[items, 0]
    p_zero = sigmoid(-2.5 - 0.8 * taste)
    mean_log = np.log(20) + 0.5 * taste + 0.4 * patience + 0.4 * length
    expected = (1 - p_zero) * np.exp(mean_log + SPREAD**2 / 2)
    drawn = np.exp(mean_log + SPREAD * world.random.normal(size=len(users)))
    return expected, np.where(world.random.uniform(size=len(users)) < p_zero, 0.0, drawn)
