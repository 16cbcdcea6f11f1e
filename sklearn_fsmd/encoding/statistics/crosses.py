"""Find pairs of categories that say more about the targets together than alone, by a score test on training rows.

A query word and the topic of an ad may matter only in combination. The pair terms of the network need many steps to
learn that, while rates of the combinations show it at once. There are too many pairs to compute the rates of each, so
this module ranks them, as FAST [1]_ does for trees. It compares, per combination of two values, the labels with a
prediction from single columns.

References
----------
.. [1] Y. Lou, R. Caruana, J. Gehrke and G. Hooker, "Accurate Intelligible Models with Pairwise Interactions", KDD 2013.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from sklearn_fsmd.encoding.statistics.keys import Key

MOST_ROWS, FEWEST_ROWS, MOST_VISITS = 50_000, 5000, 30_000_000
"""A pair is ranked on so many rows, or on so many that all pairs together visit at most the last number; if that is
fewer than the second number, none is ranked."""
MOST_COMBINATIONS = 100_000
"""A pair whose columns may have more combinations is left out: each combination would have hardly a row."""
MOST_RANKED, LEAST_SCORE = 8, 6.0
"""How many pairs are returned at most, and the least score of one. Pairs of noise stay below 3, see the tests."""


class Residuals(NamedTuple):
    """What single columns leave unexplained of the labels of a step, for the rows in which it took place.

    Attributes
    ----------
    rows : (n,), their indices.
    scores : (n,), weight times the difference of label and prediction.
    variances : (n,), of the scores, if the prediction is right.
    """

    rows: np.ndarray
    scores: np.ndarray
    variances: np.ndarray


def n_rows_of(n_pairs: int, n: int) -> int:
    """The number of rows, of `n`, on which this number of pairs is ranked; 0 if it would be too few."""
    most = min(MOST_ROWS, MOST_VISITS // max(n_pairs, 1))
    return min(n, most) if min(n, FEWEST_ROWS) <= most else 0


def pairs_of(sizes: Sequence[int], largest: int) -> list[Key]:
    """The pairs of code columns with these numbers of codes, except those with the column `largest`."""
    columns = [f for f, size in enumerate(sizes) if f != largest and size > 2]
    return [(f, g) for f, g in combinations(columns, 2) if sizes[f] * sizes[g] <= MOST_COMBINATIONS]


def most_surprising(
    codes: np.ndarray, sizes: Sequence[int], pairs: Sequence[Key], steps: Sequence[Residuals]
) -> list[Key]:
    """The pairs whose combinations have residuals that chance and either column alone do not explain, best first.

    Parameters
    ----------
    codes : ``(n, F)``, from 0 in each column.
    sizes : ``(F,)``, the number of codes of each column.
    pairs : the pairs that are ranked.
    steps : the residuals of each step. The scores of a pair, where positive, are added over the steps.
    """
    scores = np.zeros(len(pairs))
    columns = sorted({f for pair in pairs for f in pair})
    for step in steps:
        of_step = {f: codes[step.rows, f] for f in columns}
        alone = {f: _excess(of_step[f], sizes[f], step)[0] for f in columns}
        for i, (f, g) in enumerate(pairs):
            excess, deviation = _excess(of_step[f] * sizes[g] + of_step[g], sizes[f] * sizes[g], step)
            scores[i] += max((excess - alone[f] - alone[g]) / deviation, 0)
    best = np.argsort(-scores, kind="stable")[:MOST_RANKED]
    return [pairs[i] for i in best if scores[i] >= LEAST_SCORE]


def _excess(groups: np.ndarray, n_groups: int, step: Residuals) -> tuple[float, float]:
    """Sum of squared standardised scores of the groups beyond what chance gives, and its standard deviation by chance.

    By chance the square of a group has the mean 1, and a variance of 2, to which few expected events add: at most one
    over the variance of its score.
    """
    scores, variances = (np.bincount(groups, x, n_groups) for x in (step.scores, step.variances))
    scores, variances = scores[variances > 0], variances[variances > 0]
    return float((scores**2 / variances).sum() - len(scores)), float(np.sqrt((2 + 1 / variances).sum()))
