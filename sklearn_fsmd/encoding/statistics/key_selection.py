"""Selection of the categories, and of the pairs of categories, that get statistics of the targets.

Columns of many values get them, except those whose rates do not predict the validation rows: the rates of a
meaningless id are noise, with which the network would memorise its rows. Of the other columns, of pairs with the column
that has most values, and of a few other pairs (see `crosses.py`), those are added whose rates improve the prediction
*of the validation rows*. Training rows cannot show this: what a user did in an hour predicts the other rows of that
hour well, and the next day not at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from sklearn.linear_model import LogisticRegression

from sklearn_fsmd.encoding.columns import evenly_spaced
from sklearn_fsmd.encoding.statistics.crosses import Residuals, most_surprising, n_rows_of, pairs_of
from sklearn_fsmd.encoding.statistics.keys import Key
from sklearn_fsmd.encoding.statistics.rates import units_of
from sklearn_fsmd.encoding.statistics.target_statistics import TargetStatistics
from sklearn_fsmd.encoding.table import FeatureEncoder
from sklearn_fsmd.encoding.targets import Targets

FEW_VALUES = 10
"""A column with no more values gets no statistics by itself: the network learns its rates anyway."""
MOST_ADDED, MOST_CROSSES = 4, 4
"""Largest numbers of keys that are added to the columns of many values: columns of few and pairs with the column of
most values; and other pairs."""
LEAST_GAIN = 10.0
"""Rise of the log-likelihood of the validation rows, in nats, for which a key is added."""
FEWEST_ROWS, LEAST_GAIN_OF_MANY = 500, 2.0
"""A column of many values is kept if it raises the log-likelihood by so many nats, more than chance would. With fewer
validation rows than the first number, all are kept."""

Rows = tuple[np.ndarray, Targets]
"""Codes and targets of some rows."""


def named_keys(selector: Sequence[Any], columns: Mapping[int, int], names: Sequence[str]) -> list[Key]:
    """Convert the list `selector`, the parameter `statistics_features`, to keys of code columns.

    Parameters
    ----------
    selector : columns and tuples of columns, by name or position.
    columns : maps the position in X of each category of the network to its code column.
    names : the names of the columns of X; empty if they have none.

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
    """Choose columns of many values and other keys; with enough validation rows, only those that help."""
    has_many = [column.has_many_values for column in encoder.categories.values()]
    keys: list[Key] = [(f,) for f, many in enumerate(has_many) if many]
    if not keys or valid is None:
        return keys
    search = _Search(encoder, parents, train, valid, random.randint(2**31 - 1))
    with ThreadPoolExecutor(2) as pool:  # numpy releases the GIL while it sorts
        chosen = list(pool.map(search.column, keys))
    if np.count_nonzero(valid[1].full_weights.any(axis=1)) >= FEWEST_ROWS:
        gains = search.gains([], chosen)
        chosen = [column for column, gain in zip(chosen, gains, strict=True) if gain > LEAST_GAIN_OF_MANY]
    sizes = search.sizes
    largest = int(np.argmax(sizes))
    singles = [(f,) for f, size in enumerate(sizes) if size > FEW_VALUES + 1 and not has_many[f]]
    pairs = [(largest, f) for f, size in enumerate(sizes) if f != largest and size > 3]
    with ThreadPoolExecutor(2) as pool:
        new = [key for key, is_new in zip(pairs, pool.map(search.is_new, pairs), strict=True) if is_new]
        candidates = list(pool.map(search.column, singles + new))
    chosen += search.best(chosen, candidates, MOST_ADDED)
    return [column.key for column in chosen + search.crosses(chosen, largest)]


class _Column(NamedTuple):
    """Log-odds of each step from the rates of a key: ``(n, K)`` for the training rows and for the validation rows."""

    key: Key
    train: np.ndarray
    valid: np.ndarray


class _StepRows(NamedTuple):
    """Rows of a step: their positions, the log-odds of the known keys ``(n, ·)``, labels and weights."""

    used: np.ndarray
    X: np.ndarray
    y: np.ndarray
    weight: np.ndarray


class _Search:
    """Computes how much a further key improves the prediction of each step over the chosen keys."""

    def __init__(
        self, encoder: FeatureEncoder, parents: Sequence[int | None], train: Rows, valid: Rows, seed: int
    ) -> None:
        self.encoder, self.parents, self.seed = encoder, parents, seed
        self.sizes = [int(size) for size in encoder.cardinalities[: len(encoder.categories)]]
        (self.codes, self.targets), (self.valid_codes, valid_targets) = train, valid
        plain = TargetStatistics([], parents)
        self.steps = [plain.events.index((k, parent)) for k, parent in enumerate(parents)]
        weights = [len(plain.events) + step for step in self.steps]
        self.train, self.valid = (
            in_rows(*np.split(plain.contributions(targets)[:, self.steps + weights], 2, axis=1))
            for targets in (self.targets, valid_targets)
        )

    def is_new(self, key: Key) -> bool:
        """Whether a pair neither repeats its first column nor is nearly unique in each row."""
        first, second = (self.codes[:, f].astype(np.int64) for f in key)
        n_pairs = len(np.unique(first * (second.max() + 1) + second))
        return 1.2 * self.encoder.cardinalities[key[0]] < n_pairs < 0.7 * len(self.codes)

    def column(self, key: Key) -> _Column:
        """Compute the log-odds of a key."""
        statistics = TargetStatistics([key], self.parents)
        random = np.random.RandomState(self.seed)
        train = statistics.learn_codes(self.encoder, self.codes, self.targets, random)
        columns = [1 + step for step in self.steps]
        return _Column(key, train[:, columns], statistics.look_up(self.valid_codes)[:, columns])

    def best(self, known: Sequence[_Column], candidates: Sequence[_Column], most: int) -> list[_Column]:
        """Choose up to `most` candidates, each by its gain over the known columns and those chosen before it."""
        candidates, chosen = list(candidates), list[_Column]()
        while candidates and len(chosen) < most:
            gains = self.gains([*known, *chosen], candidates)
            best = int(np.argmax(gains))
            if gains[best] < LEAST_GAIN:
                break
            chosen.append(candidates.pop(best))
        return chosen

    def crosses(self, chosen: Sequence[_Column], largest: int) -> list[_Column]:
        """Choose pairs without the column `largest` whose rates say more than those of all columns alone."""
        keys = [column.key for column in chosen]
        others = [(f,) for f, size in enumerate(self.sizes) if size > 2 and (f,) not in keys]
        ranked = self._ranked([*keys, *others], [pair for pair in pairs_of(self.sizes, largest) if pair not in keys])
        if not ranked:
            return []
        with ThreadPoolExecutor(2) as pool:
            known, candidates = [*chosen, *pool.map(self.column, others)], list(pool.map(self.column, ranked))
        return self.best(known, candidates, MOST_CROSSES)

    def _ranked(self, known: Sequence[Key], pairs: Sequence[Key]) -> list[Key]:
        """The most promising of these pairs beside the known keys, by a sample of the training rows."""
        n = n_rows_of(len(pairs), len(self.codes))
        if not pairs or not n:
            return []
        rows, valid = evenly_spaced(len(self.codes), n), (self.valid_codes[:0], self.targets.part(np.arange(0)))
        sample = _Search(self.encoder, self.parents, (self.codes[rows], self.targets.part(rows)), valid, self.seed)
        with ThreadPoolExecutor(2) as pool:
            columns = list(pool.map(sample.column, known))
        residuals = [sample.residuals(k, columns) for k in range(len(self.parents))]
        codes = sample.codes[:, : len(self.sizes)] - self.encoder.offsets[: len(self.sizes)]
        return most_surprising(codes, self.sizes, pairs, [step for step in residuals if step is not None])

    def residuals(self, k: int, known: Sequence[_Column]) -> Residuals | None:
        """What the known columns leave unexplained of a step; None if its labels are of one class."""
        if (step := self._training_rows(k, known)) is None:
            return None
        p, _ = _predicted(*step[1:], step.X[:1])
        return Residuals(step.used, step.weight * (step.y - p), step.weight**2 * p * (1 - p))

    def _training_rows(self, k: int, known: Sequence[_Column]) -> _StepRows | None:
        """The training rows in which a step took place; None if there are none, or their labels are of one class."""
        positive, weight = (part[:, k] for part in self.train)
        used = np.flatnonzero(weight > 0)
        y = positive[used] / weight[used]
        if not len(y) or not 0 < y.mean() < 1:
            return None
        return _StepRows(used, _side_by_side([column.train[used, k] for column in known], len(y)), y, weight[used])

    def gains(self, chosen: Sequence[_Column], candidates: Sequence[_Column]) -> np.ndarray:
        """Rise of the validation log-likelihood for each candidate, summed over the steps."""
        total = np.zeros(len(candidates))
        for k in range(len(self.parents)):
            total += self._gains_of_step(k, chosen, candidates)
        return total

    def _gains_of_step(self, k: int, chosen: Sequence[_Column], candidates: Sequence[_Column]) -> np.ndarray:
        """Gains for one step, by a Newton step from a logistic regression of the training rows on the chosen keys."""
        step, (valid_positive, valid_weight) = self._training_rows(k, chosen), (part[:, k] for part in self.valid)
        valid_used = valid_weight > 0
        if step is None or not valid_used.any():
            return np.zeros(len(candidates))
        used, X, y, weight = step
        X_valid = _side_by_side([column.valid[valid_used, k] for column in chosen], int(valid_used.sum()))
        p, p_valid = _predicted(X, y, weight, X_valid)
        residual, curvature = weight * (y - p), weight * p * (1 - p)
        residual_valid = valid_positive[valid_used] - valid_weight[valid_used] * p_valid
        curvature_valid = valid_weight[valid_used] * p_valid * (1 - p_valid)
        A, A_valid = (np.column_stack([np.ones(len(part)), part]) for part in (X, X_valid))
        project = np.linalg.pinv(A.T @ (A * curvature[:, None])) @ (A * curvature[:, None]).T
        gains = []
        for column in candidates:
            x = column.train[used, k].astype(np.float64)
            explained = project @ x  # by the chosen keys
            x = x - A @ explained
            x_valid = column.valid[valid_used, k] - A_valid @ explained
            slope = (x @ residual) / max(x @ (curvature * x), 1e-12)
            gains.append(slope * (x_valid @ residual_valid) - 0.5 * slope**2 * (x_valid @ (curvature_valid * x_valid)))
        return np.array(gains)


def _side_by_side(columns: Sequence[np.ndarray], n: int) -> np.ndarray:
    return np.column_stack(columns) if columns else np.empty((n, 0), np.float32)


def _predicted(X: np.ndarray, y: np.ndarray, weights: np.ndarray, X_valid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of a logistic regression for both tables; without columns, the rate."""
    if not X.shape[1]:
        rate = np.average(y, weights=weights)
        return np.full(len(X), rate), np.full(len(X_valid), rate)
    # The penalty is tiny, but without it the likelihood has no maximum if the rates separate the few events.
    model = LogisticRegression(C=1e3, solver="newton-cholesky").fit(X, y > 0, weights)
    return model.predict_proba(X)[:, 1], model.predict_proba(X_valid)[:, 1]


def in_rows(positive: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Divide both ``(n, K)`` by the typical weight of a label, so that gains do not depend on the scale of weights."""
    units = units_of(weights.sum(axis=0), np.square(weights).sum(axis=0))
    return positive / units, weights / units
