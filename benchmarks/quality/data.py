"""The data of the protocol: one part for training, one for early stopping and choices, one for test.

KuaiRand is split by time: 25 April to 2 May 2022, 3 and 4 May, 5 and 6 May. If the files contain 7 and 8 May, these are
a further test part, which no choice has used. For Census the published test file is halved.
"""

from functools import lru_cache
from typing import Any, NamedTuple

from sklearn_fsmd.datasets import fetch_census_income, fetch_kuairand_pure

DAYS = {
    "train": ("2022-04-25", "2022-05-02"),
    "valid": ("2022-05-03", "2022-05-04"),
    "test": ("2022-05-05", "2022-05-06"),
    "later": ("2022-05-07", "2022-05-08"),
}


class Part(NamedTuple):
    """A table and its targets."""

    X: Any
    Y: Any


class Data(NamedTuple):
    """A data set in parts; `is_funnel` is true if the second target is a step after the first.

    When rows are resampled, rows with the same value of the column `group` are drawn together (None: each row alone).
    """

    name: str
    is_funnel: bool
    train: Part
    valid: Part
    tests: dict[str, Part]
    group: str | None


@lru_cache(maxsize=1)
def load(name):
    return {"kuairand": kuairand, "census": census}[name]()


def census():
    train, valid, test = (
        Part(*fetch_census_income(subset=subset, return_X_y=True)) for subset in ("train", "validation", "test")
    )
    return Data("census", False, train, valid, {"test": test}, None)


def kuairand():
    parts = {}
    for name, (start, end) in DAYS.items():
        try:
            parts[name] = Part(*fetch_kuairand_pure(start=start, end=end, return_X_y=True))
        except ValueError:  # the log ends earlier
            if name != "later":
                raise
    return Data("kuairand", True, parts.pop("train"), parts.pop("valid"), parts, "user_id")
