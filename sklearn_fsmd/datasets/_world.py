"""The users and items of a simulated log, and the log-odds of clicks and conversions."""

from __future__ import annotations

import numpy as np
import pandas as pd

N_POSITIONS = 10
N_DIMENSIONS = 4


class World:
    """Users and items with the traits that determine clicks and conversions."""

    def __init__(self, random: np.random.RandomState, n_users: int, n_items: int, conflict: float) -> None:
        self.random = random
        self.n_items = n_items
        self.segment = random.randint(5, size=n_users)
        self.brand = random.randint(40, size=n_items)
        self.age = random.randint(14, 80, size=n_users).astype(float)
        self.price = random.lognormal(3, 1, size=n_items)
        self.user_taste = grouped_normal(random, self.segment, N_DIMENSIONS)
        self.item_taste = grouped_normal(random, self.brand, N_DIMENSIONS)
        self.user_need = grouped_normal(random, self.segment, N_DIMENSIONS)
        self.item_use = grouped_normal(random, self.brand, N_DIMENSIONS)
        self.eagerness = grouped_normal(random, self.segment, 1)[:, 0]
        self.appeal = grouped_normal(random, self.brand, 1)[:, 0]
        independent = grouped_normal(random, self.brand, 1)[:, 0]
        self.quality = -conflict * self.appeal + np.sqrt(1 - conflict**2) * independent
        self.conflict = conflict

    def start_drift(self) -> None:
        """Draw the tastes, eagerness and appeal of the last day, towards which the traits drift."""
        self.later_taste = grouped_normal(self.random, self.segment, N_DIMENSIONS)
        self.later_eagerness = grouped_normal(self.random, self.segment, 1)[:, 0]
        self.later_appeal = grouped_normal(self.random, self.brand, 1)[:, 0]

    def click_logit(self, users: np.ndarray, items: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        eagerness, appeal = self.eagerness[users], self.appeal[items]
        if times is not None:
            eagerness = _drifted(eagerness, self.later_eagerness[users], times)
            appeal = _drifted(appeal, self.later_appeal[items], times)
        return 0.8 * self.taste(users, items, times) + 0.6 * eagerness + 0.9 * appeal

    def taste(self, users: np.ndarray, items: np.ndarray, times: np.ndarray | None) -> np.ndarray:
        match = self._match(self.user_taste, self.item_taste, users, items)
        if times is None:
            return match
        return _drifted(match, self._match(self.later_taste, self.item_taste, users, items), times)

    def conversion_logit(self, users: np.ndarray, items: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
        taste = self.taste(users, items, times)
        need = self._match(self.user_need, self.item_use, users, items)
        match = -self.conflict * taste + np.sqrt(1 - self.conflict**2) * need
        cheap = -np.log(self.price[items] / 20) * (1.2 - self.age[users] / 80)
        return 0.8 * match + 0.9 * self.quality[items] + 0.5 * cheap

    def context_logit(self, hours: np.ndarray, devices: np.ndarray) -> np.ndarray:
        return 0.4 * np.cos((hours - 20) * 2 * np.pi / 24) + np.array([0.3, 0.0, -0.3])[devices]

    def shown_items(
        self, users: np.ndarray, selection_bias: float, times: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The item and its position, 0 to 9, for each impression: one of the ten on a page of the logging system."""
        n = len(users)
        pages = self.random.randint(self.n_items, size=(n, N_POSITIONS))
        positions = self.random.randint(N_POSITIONS, size=n)
        if selection_bias:
            candidates = self.random.randint(self.n_items, size=(n, 3 * N_POSITIONS))
            column_times = None if times is None else times[:, None]
            score = selection_bias * self.click_logit(users[:, None], candidates, column_times)
            score += self.random.gumbel(size=score.shape)
            pages = np.take_along_axis(candidates, np.argsort(-score, axis=1)[:, :N_POSITIONS], axis=1)
        return pages[np.arange(n), positions], positions

    def describe(self, users: np.ndarray, items: np.ndarray) -> pd.DataFrame:
        return pd.DataFrame(
            {
                "user_id": users,
                "item_id": items,
                "segment": np.char.add("s", self.segment[users].astype(str)).astype(object),
                "age": self.age[users],
                "brand": np.char.add("b", self.brand[items].astype(str)).astype(object),
                "price": self.price[items],
            }
        )

    @staticmethod
    def _match(left: np.ndarray, right: np.ndarray, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        return (left[users] * right[items]).sum(axis=-1) / np.sqrt(N_DIMENSIONS)


def grouped_normal(random: np.random.RandomState, groups: np.ndarray, n_dimensions: int) -> np.ndarray:
    """Standard normal traits of each member; half of their variance is shared within the group."""
    group_traits = random.normal(size=(groups.max() + 1, n_dimensions))
    return np.sqrt(0.5) * (group_traits[groups] + random.normal(size=(len(groups), n_dimensions)))


def _drifted(first: np.ndarray, last: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Interpolate from `first` at time 0 to `last` at time 1, with constant variance."""
    angle = times * np.pi / 2
    return np.cos(angle) * first + np.sin(angle) * last


def sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


def intercept(logit: np.ndarray, rate: float) -> float:
    """The constant that, added to `logit`, gives the mean probability `rate`; by bisection."""
    low, high = -30.0, 30.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if sigmoid(logit + middle).mean() < rate else (low, middle)
    return middle
