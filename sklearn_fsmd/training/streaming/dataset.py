"""A data set: where its rows come from, which columns are read as what, and which rows validate."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from sklearn_fsmd.encoding import twice_in
from sklearn_fsmd.encoding.sources import Block, Check, FactorySource, Group, LeftOut, ParquetSource
from sklearn_fsmd.parameters import warn
from sklearn_fsmd.training.streaming.holdout import HoldOut


@dataclass(frozen=True)
class Dataset:
    """Rows that are read block by block.

    Attributes
    ----------
    source : where they are.
    features, targets : names of columns; `targets` is one name where there is one target, as a one-dimensional Y.
    weights : the name of the column of weights, or a list with one for each target; None if there are none.
    held : which rows validate.
    rates : of the targets in each row group, ``(G, K)``, once these are known; None before.
    note_work : is called for each block that was read, see `Processes.note_work`.
    """

    source: ParquetSource | FactorySource
    features: Sequence[Any]
    targets: Any
    weights: Any
    held: HoldOut
    rates: np.ndarray | None = None
    note_work: Callable[[], None] | None = None

    @classmethod
    def from_source(
        cls, source: Any, columns: Sequence[Any] | None, targets: Any, weights: Any, on_error: str = "raise"
    ) -> Dataset:
        """The data set at `source`, of which nothing is held out.

        With ``on_error="skip"`` files whose columns are not as they should be are left out; see :meth:`leave_out`.

        Raises
        ------
        ValueError
            If it has no such columns.
        TypeError
            If it is a table, or an iterator.
        OSError
            If it is not there, or cannot be read.
        """
        if isinstance(source, pd.DataFrame):
            raise TypeError("A DataFrame is for `fit`; `fit_dataset` takes files, or a function that makes frames.")
        if isinstance(source, Iterator):
            raise TypeError(
                "An iterator can be read only once, and training reads the rows several times. Pass a function that "
                "returns one."
            )
        targets, weights = as_given("targets", targets), as_given("sample_weight", weights)
        columns = None if columns is None else listed(as_given("columns", columns))
        others = [*listed(targets), *listed(weights)]
        left_out = LeftOut(on_error)
        if callable(source):
            if left_out.skips:
                raise ValueError(
                    "on_error='skip' leaves out files, and a function makes the tables. Let it make those that can be "
                    "learned from."
                )
            found: ParquetSource | FactorySource = FactorySource(source)
        else:
            wanted = None if columns is None else [*columns, *others]
            found = ParquetSource(source, wanted, others if columns is None else wanted or (), left_out)
            if not found.footers:
                left_out.warn(0)
        for parameter, names in (("targets", listed(targets)), ("sample_weight", listed(weights))):
            _check_names(parameter, names, found)
        if both := [name for name in listed(weights) if name in listed(targets)]:
            raise ValueError(f"Column {both[0]!r} is one of `targets`, and `sample_weight` too.")
        if not listed(targets):
            raise ValueError("`targets` names no column; at least one is needed.")
        if columns is not None:
            _check_names("columns", columns, found)
            if both := [name for name in columns if name in others]:
                raise ValueError(f"Column {both[0]!r} is one of `columns`, and a target or weight too.")
        features = [name for name in found.columns if name not in others] if columns is None else list(columns)
        if not features:
            raise ValueError(f"{found.name} has no columns beside targets and weights.")
        return cls(found, features, targets, weights, HoldOut(found.n_rows, 0))

    def warn_of_large_groups(self) -> None:
        """Warn of files that would be badly mixed."""
        if isinstance(self.source, ParquetSource):
            self.source.warn_of_large_groups()

    def warn_of_rows_of(self, train: Dataset) -> None:
        """Warn of files of validation that are files of training too."""
        if isinstance(self.source, FactorySource) or isinstance(train.source, FactorySource):
            return
        known = {footer.file.place for footer in train.source.footers}
        if both := [footer.file.name for footer in self.source.footers if footer.file.place in known]:
            more = f" and {len(both) - 1} more" if len(both) > 1 else ""
            warn(
                f"{both[0]}{more} of `validation` is in `source` too: rows that are learned from say nothing of new "
                "ones, and training stops too late. Leave it out of one of the two."
            )

    def leave_out(self, check: Check, new_check: Callable[[], Check] | None = None) -> Dataset:
        """Leave out the files for which `check` raises an error, if files may be left out.

        `new_check` creates another one, which has seen no file; see :meth:`ParquetSource.leave_out`.
        """
        if isinstance(self.source, FactorySource) or not self.source.left_out.skips:
            return self
        self.source.leave_out([*self.features, *self.labels], check, new_check, self._noted)
        return replace(self, held=HoldOut(self.source.n_rows, 0))

    @property
    def labels(self) -> list[Any]:
        """The columns of targets and weights."""
        return list(dict.fromkeys([*listed(self.targets), *listed(self.weights)]))

    def blocks(self, features: Sequence[Any] | None = None) -> Iterator[Block]:
        """All rows in their order, with these features or all."""
        return self._noted(self.source.blocks([*(self.features if features is None else features), *self.labels]))

    def _noted(self, blocks: Iterator[Block]) -> Iterator[Block]:
        for block in blocks:
            if self.note_work is not None:
                self.note_work()
            yield block

    def in_order(self, seed: int) -> list[Group]:
        """The row groups of files, in an order that the seed draws."""
        return self.source.in_order(seed, self.rates)

    def pools(self, seed: int, groups: Sequence[Group] | None = None) -> Iterator[list[Block]]:
        """All rows in pools, in an order that the seed draws; or those of some row groups of files."""
        return self.source.pools([*self.features, *self.labels], seed, groups, self.rates)

    def features_of(self, frame: pd.DataFrame) -> pd.DataFrame:
        return frame[list(self.features)]

    def targets_of(self, frame: pd.DataFrame) -> Any:
        return frame[self.targets]

    def weights_of(self, frame: pd.DataFrame) -> Any:
        return None if self.weights is None else frame[self.weights]


def as_given(parameter: str, names: Any) -> Any:
    """One name, a list of names, or None.

    Raises
    ------
    TypeError
        If it is a set or a dict: the order of the columns matters.
    """
    if isinstance(names, (Set, Mapping)) or callable(names):
        raise TypeError(f"`{parameter}` must be a name or a list of names, whose order counts. Got {names!r}.")
    return names if names is None or _is_one(names) else list(names)


def _is_one(names: Any) -> bool:
    return isinstance(names, str) or not isinstance(names, Iterable)


def listed(names: Any) -> list[Any]:
    """The names, of which there may be one or none."""
    return [] if names is None else [names] if _is_one(names) else list(names)


def _check_names(parameter: str, names: Sequence[Any], source: ParquetSource | FactorySource) -> None:
    for name in names:
        if name not in source.columns:
            raise ValueError(f"`{parameter}` names {name!r}, and the columns of {source.name} are {source.columns}.")
    if twice := twice_in(names):
        raise ValueError(f"`{parameter}` names {twice[0]!r} twice.")
