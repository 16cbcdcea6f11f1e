"""The data of the protocol: trained on the first part, stopped and chosen on the second, read on the third.

KuaiRand is split by time: 25 April to 2 May 2022, 3 and 4 May, 5 and 6 May; and 7 and 8 May where the user has them,
which took no part in any choice. Census has the published test file halved.
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
    """A data set in parts; `is_funnel` says whether the second target is a step after the first.

    `group` is the column whose values are drawn together when rows are resampled; None if each row stands for itself.
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
        except ValueError:  # the log at hand ends before
            if name != "later":
                raise
    return Data("kuairand", True, parts.pop("train"), parts.pop("valid"), parts, "user_id")
