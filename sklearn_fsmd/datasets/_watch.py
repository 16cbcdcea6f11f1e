"""For how long a clicked item is watched in a simulated log."""

from __future__ import annotations

import numpy as np

from sklearn_fsmd.datasets._world import World, half_of_group, sigmoid

SPREAD = 0.8
"""Standard deviation of the log seconds, where everything else is known."""


def watch_seconds(
    world: World, users: np.ndarray, items: np.ndarray, times: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """E[seconds | click] of each row, and seconds drawn from that distribution, ``(n,)`` float64.

    The distribution is a zero-inflated lognormal one: with some probability nothing is watched, otherwise the log
    seconds are normal. The better the item meets the user's taste, the rarer are zeros and the longer is the rest. The
    latter also depends on the user's patience and the item's length.
    """
    taste = world.taste(users, items, times)
    patience = half_of_group(world.random, world.segment, 1)[users, 0]
    length = half_of_group(world.random, world.brand, 1)[items, 0]
    p_nothing = sigmoid(-2.5 - 0.8 * taste)
    mean_log = np.log(20) + 0.5 * taste + 0.4 * patience + 0.4 * length
    expected = (1 - p_nothing) * np.exp(mean_log + SPREAD**2 / 2)
    drawn = np.exp(mean_log + SPREAD * world.random.normal(size=len(users)))
    return expected, np.where(world.random.uniform(size=len(users)) < p_nothing, 0.0, drawn)
