"""A data set: where its rows come from, which columns are read as what, and which rows validate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from sklearn_fsmd.streaming.factory import FactorySource
from sklearn_fsmd.streaming.frames import Block
from sklearn_fsmd.streaming.holdout import HoldOut
from sklearn_fsmd.streaming.parquet import ParquetSource


@dataclass(frozen=True)
class Dataset:
    """Rows that are read block by block.

    Attributes
    ----------
    source : where they are.
    features, targets : names of columns; `targets` is one name where there is one target, as a one-dimensional Y.
    weights : the name of the column of weights, or a list with one for each target; None if there are none.
    held : which rows validate.
    """

    source: ParquetSource | FactorySource
    features: Sequence[Any]
    targets: Any
    weights: Any
    held: HoldOut

    @classmethod
    def of(cls, source: Any, columns: Sequence[Any] | None, targets: Any, weights: Any) -> Dataset:
        """The data set at `source`, of which nothing is held out.

        Raises
        ------
        ValueError
            If it has no such columns.
        """
        if isinstance(source, pd.DataFrame):
            raise TypeError("A DataFrame is for `fit`; `fit_dataset` takes files, or a function that makes frames.")
        if isinstance(source, Iterator):
            raise TypeError(
                "An iterator can be read only once, and training reads the rows several times. Pass a function that "
                "returns one."
            )
        others = [*_listed(targets), *_listed(weights)]
        if callable(source):
            found: ParquetSource | FactorySource = FactorySource(source)
        else:
            found = ParquetSource(source, None if columns is None else [*columns, *others])
        for parameter, names in (("targets", _listed(targets)), ("sample_weight", _listed(weights))):
            _check_names(parameter, names, found)
        if not _listed(targets):
            raise ValueError("`targets` names no column; at least one is needed.")
        if columns is not None:
            _check_names("columns", columns, found)
            if both := [name for name in columns if name in others]:
                raise ValueError(f"Column {both[0]!r} is one of `columns`, and a target or weight too.")
        features = [name for name in found.columns if name not in others] if columns is None else list(columns)
        if not features:
            raise ValueError(f"{found.name} has no columns beside targets and weights.")
        return cls(found, features, targets, weights, HoldOut(found.n_rows, 0))

    @property
    def labels(self) -> list[Any]:
        """The columns of targets and weights."""
        return list(dict.fromkeys([*_listed(self.targets), *_listed(self.weights)]))

    def blocks(self, features: Sequence[Any] | None = None) -> Iterator[Block]:
        """All rows in their order, with these features or all."""
        return self.source.blocks([*(self.features if features is None else features), *self.labels])

    def pools(self, seed: int, groups: Sequence[tuple[int, int]] | None = None) -> Iterator[list[Block]]:
        """All rows in pools, in an order that the seed draws; or those of some row groups of files."""
        return self.source.pools([*self.features, *self.labels], seed, groups)

    def features_of(self, frame: pd.DataFrame) -> pd.DataFrame:
        return frame[list(self.features)]

    def targets_of(self, frame: pd.DataFrame) -> Any:
        return frame[self.targets]

    def weights_of(self, frame: pd.DataFrame) -> Any:
        return None if self.weights is None else frame[self.weights]


def _listed(names: Any) -> list[Any]:
    return [] if names is None else [names] if isinstance(names, str) else list(names)


def _check_names(parameter: str, names: Sequence[Any], source: ParquetSource | FactorySource) -> None:
    for name in names:
        if name not in source.columns:
            raise ValueError(f"`{parameter}` names {name!r}, and the columns of {source.name} are {source.columns}.")
        if list(names).count(name) > 1:
            raise ValueError(f"`{parameter}` names {name!r} twice.")
