"""Which categories, and which pairs of them, have statistics of the targets.

Columns of many values have them, but those whose rates say nothing of the validation rows: to the network the rates of
an id that means nothing are columns of noise, by which it learns its rows by heart. Of the others, and of pairs with
the column that has most values, those are added whose rates tell something new *of the validation rows*. Training rows
would not do: what a user did in an hour tells much of the other rows of that hour, and nothing of the next day.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from sklearn.linear_model import LogisticRegression

from sklearn_fsmd.encoding.key_rows import Key
from sklearn_fsmd.encoding.rates import units_of
from sklearn_fsmd.encoding.table_encoder import FeatureEncoder
from sklearn_fsmd.encoding.target_statistics import TargetStatistics
from sklearn_fsmd.encoding.targets import Targets

FEW_VALUES = 10
"""One of no more values has none by itself: the network learns its rates anyway."""
MOST_ADDED = 4
LEAST_GAIN = 10.0
"""By how much the log-likelihood of the validation rows has to rise, in nats."""
FEWEST_ROWS, LEAST_GAIN_OF_MANY = 500, 2.0
"""So many rows of validation say whether a column of many values means something, by so many nats; chance has less."""

Rows = tuple[np.ndarray, Targets]
"""Codes and targets."""


def named_keys(selector: Sequence[Any], columns: Mapping[int, int], names: Sequence[str]) -> list[Key]:
    """The code columns that the list `selector`, the parameter `statistics_features`, means.

    Parameters
    ----------
    selector : columns and tuples of columns, by name or position.
    columns : for each column of X that holds categories of the network, by its position, its code column.
    names : of the columns of X; empty if they have none.

    Raises
    ------
    ValueError
        If a column does not exist, or holds no categories.
    """
    keys = []
    for item in selector:
        parts = item if isinstance(item, (tuple, list)) else (item,)
        key = tuple(_code_column(part, columns, names) for part in parts)
        if not key or len(set(key)) < len(key):
            raise ValueError(f"The 'statistics_features' parameter has {item!r}, which is no combination of columns.")
        keys.append(key)
    return list(dict.fromkeys(keys))


def _code_column(item: Any, columns: Mapping[int, int], names: Sequence[str]) -> int:
    if isinstance(item, str):
        if item not in names:
            raise ValueError(
                f"statistics_features has an item value {item!r} which is not a valid feature name of the training "
                f"data. Observed feature names: {list(names)}"
            )
        item = list(names).index(item)
    if not isinstance(item, (int, np.integer)) or isinstance(item, bool):
        raise ValueError(
            f"'statistics_features' takes names or positions of columns, and tuples of these. Got {item!r}."
        )
    item = int(item)
    if item not in columns:
        name = repr(names[item]) if names and 0 <= item < len(names) else item
        raise ValueError(
            f"statistics_features has the column {name}, which is not one of the categories that the network reads."
        )
    return columns[item]


def automatic_keys(
    encoder: FeatureEncoder,
    parents: Sequence[int | None],
    train: Rows,
    valid: Rows | None,
    random: np.random.RandomState,
) -> list[Key]:
    """Columns of many values and others, as far as they say something of the validation rows, if there are any."""
    sizes = encoder.cardinalities[: len(encoder.categories)]
    has_many = [column.has_many_values for column in encoder.categories.values()]
    keys: list[Key] = [(f,) for f, many in enumerate(has_many) if many]
    if not keys or valid is None:
        return keys
    search = _Search(encoder, parents, train, valid, random.randint(2**31 - 1))
    with ThreadPoolExecutor(2) as pool:  # numpy sorts without the interpreter's lock
        chosen = list(pool.map(search.column, keys))
    if len(valid[0]) >= FEWEST_ROWS:
        gains = search.gains([], chosen)
        chosen = [column for column, gain in zip(chosen, gains, strict=True) if gain > LEAST_GAIN_OF_MANY]
    largest = int(np.argmax(sizes))
    singles = [(f,) for f, size in enumerate(sizes) if size > FEW_VALUES + 1 and not has_many[f]]
    pairs = [(largest, f) for f, size in enumerate(sizes) if f != largest and size > 3]
    with ThreadPoolExecutor(2) as pool:
        new = [key for key, is_new in zip(pairs, pool.map(search.is_new, pairs), strict=True) if is_new]
        candidates = list(pool.map(search.column, singles + new))
    most = len(chosen) + MOST_ADDED
    while candidates and len(chosen) < most:
        gains = search.gains(chosen, candidates)
        best = int(np.argmax(gains))
        if gains[best] < LEAST_GAIN:
            break
        chosen.append(candidates.pop(best))
    return [column.key for column in chosen]


class _Column(NamedTuple):
    """The log-odds of each step, for the rows of training ``(n, K)`` and of validation."""

    key: Key
    train: np.ndarray
    valid: np.ndarray


class _Search:
    """How much better than by the chosen keys each step is foretold if a further key is added to them."""

    def __init__(
        self, encoder: FeatureEncoder, parents: Sequence[int | None], train: Rows, valid: Rows, seed: int
    ) -> None:
        self.encoder, self.parents, self.seed = encoder, parents, seed
        (self.codes, self.targets), (self.valid_codes, valid_targets) = train, valid
        plain = TargetStatistics([], parents)
        self.steps = [plain.events.index((k, parent)) for k, parent in enumerate(parents)]
        weights = [len(plain.events) + step for step in self.steps]
        self.train, self.valid = (
            in_rows(*np.split(plain.counted(targets)[:, self.steps + weights], 2, axis=1))
            for targets in (self.targets, valid_targets)
        )

    def is_new(self, key: Key) -> bool:
        """Whether a pair is neither a column once more, nor nearly a row each."""
        first, second = (self.codes[:, f].astype(np.int64) for f in key)
        n_pairs = len(np.unique(first * (second.max() + 1) + second))
        return 1.2 * self.encoder.cardinalities[key[0]] < n_pairs < 0.7 * len(self.codes)

    def column(self, key: Key) -> _Column:
        statistics = TargetStatistics([key], self.parents)
        random = np.random.RandomState(self.seed)
        train = statistics.learn_codes(self.encoder, self.codes, self.targets, random)
        at = [1 + step for step in self.steps]
        return _Column(key, train[:, at], statistics.look_up(self.valid_codes)[:, at])

    def gains(self, chosen: Sequence[_Column], candidates: Sequence[_Column]) -> np.ndarray:
        """For each candidate the rise of the log-likelihood of validation, summed over the steps."""
        total = np.zeros(len(candidates))
        for k in range(len(self.parents)):
            total += self._gains_of_step(k, chosen, candidates)
        return total

    def _gains_of_step(self, k: int, chosen: Sequence[_Column], candidates: Sequence[_Column]) -> np.ndarray:
        """By one step of Newton from a logistic regression on the chosen keys, fitted on training."""
        (positive, weight), (valid_positive, valid_weight) = ((p[:, k], w[:, k]) for p, w in (self.train, self.valid))
        used, valid_used = weight > 0, valid_weight > 0
        y = positive[used] / weight[used]
        if not used.any() or not valid_used.any() or not 0 < y.mean() < 1:
            return np.zeros(len(candidates))
        X = _side_by_side([column.train[used, k] for column in chosen], len(y))
        X_valid = _side_by_side([column.valid[valid_used, k] for column in chosen], int(valid_used.sum()))
        p, p_valid = _foretold(X, y, weight[used], X_valid)
        residual, curvature = weight[used] * (y - p), weight[used] * p * (1 - p)
        residual_valid = valid_positive[valid_used] - valid_weight[valid_used] * p_valid
        curvature_valid = valid_weight[valid_used] * p_valid * (1 - p_valid)
        A, A_valid = (np.column_stack([np.ones(len(part)), part]) for part in (X, X_valid))
        project = np.linalg.pinv(A.T @ (A * curvature[:, None])) @ (A * curvature[:, None]).T
        gains = []
        for column in candidates:
            x = column.train[used, k].astype(np.float64)
            shared = project @ x  # what the chosen keys say already
            x = x - A @ shared
            x_valid = column.valid[valid_used, k] - A_valid @ shared
            slope = (x @ residual) / max(x @ (curvature * x), 1e-12)
            gains.append(slope * (x_valid @ residual_valid) - 0.5 * slope**2 * (x_valid @ (curvature_valid * x_valid)))
        return np.array(gains)


def _side_by_side(columns: Sequence[np.ndarray], n: int) -> np.ndarray:
    return np.column_stack(columns) if columns else np.empty((n, 0), np.float32)


def _foretold(X: np.ndarray, y: np.ndarray, weights: np.ndarray, X_valid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The probabilities of a logistic regression for both tables; without columns, the rate."""
    if not X.shape[1]:
        rate = np.average(y, weights=weights)
        return np.full(len(X), rate), np.full(len(X_valid), rate)
    # Next to no penalty, but where few events are told apart by the rates the likelihood alone has no maximum.
    model = LogisticRegression(C=1e3, solver="newton-cholesky").fit(X, y > 0, weights)
    return model.predict_proba(X)[:, 1], model.predict_proba(X_valid)[:, 1]


def in_rows(positive: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both ``(n, K)`` in units of a row, so that a gain is one of so many rows, whatever they weigh."""
    units = units_of(weights.sum(axis=0), np.square(weights).sum(axis=0))
    return positive / units, weights / units
