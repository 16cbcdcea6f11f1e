"""A data set: its source, the roles of its columns, and its validation rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from sklearn_fsmd.encoding.columns import twice_in
from sklearn_fsmd.encoding.sources import Block, Check, FactorySource, Group, LeftOut, ParquetSource
from sklearn_fsmd.parameters import warn
from sklearn_fsmd.training.streaming.holdout import HoldOut


@dataclass(frozen=True)
class Dataset:
    """Rows that are read block by block.

    Attributes
    ----------
    source : from which they are read.
    features, targets : names of columns; `targets` is a single name for a one-dimensional Y.
    weights : the name of the column of weights, or a list with one for each target; None if there are none.
    held : the hold-out, which chooses the validation rows.
    rates : rates of the targets in each row group, ``(G, K)``; None before the second pass.
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
        """The data set at `source`, without validation rows.

        With ``on_error="skip"`` files with wrong columns are left out; see :meth:`leave_out`.

        Raises
        ------
        ValueError
            If columns are missing.
        TypeError
            If `source` is a table, or an iterator.
        OSError
            If it does not exist, or cannot be read.
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
                    "on_error='skip' leaves out files, and a function returns tables. Let it return valid tables only."
                )
            opened: ParquetSource | FactorySource = FactorySource(source)
        else:
            selected = None if columns is None else [*columns, *others]
            opened = ParquetSource(source, selected, others if columns is None else selected or (), left_out)
            if not opened.footers:
                left_out.warn(0)
        for parameter, names in (("targets", listed(targets)), ("sample_weight", listed(weights))):
            _check_names(parameter, names, opened)
        if both := [name for name in listed(weights) if name in listed(targets)]:
            raise ValueError(f"Column {both[0]!r} is one of `targets`, and `sample_weight` too.")
        if not listed(targets):
            raise ValueError("`targets` names no column; at least one is needed.")
        if columns is not None:
            _check_names("columns", columns, opened)
            if both := [name for name in columns if name in others]:
                raise ValueError(f"Column {both[0]!r} is one of `columns`, and a target or weight too.")
        features = [name for name in opened.columns if name not in others] if columns is None else list(columns)
        if not features:
            raise ValueError(f"{opened.name} has no columns except targets and weights.")
        return cls(opened, features, targets, weights, HoldOut(opened.n_rows, 0))

    def warn_of_large_groups(self) -> None:
        """Warn of files with row groups too large to be mixed well."""
        if isinstance(self.source, ParquetSource):
            self.source.warn_of_large_groups()

    def warn_of_rows_of(self, train: Dataset) -> None:
        """Warn of validation files that are training files too."""
        if isinstance(self.source, FactorySource) or isinstance(train.source, FactorySource):
            return
        training_places = {footer.file.place for footer in train.source.footers}
        if both := [footer.file.name for footer in self.source.footers if footer.file.place in training_places]:
            more = f" and {len(both) - 1} more" if len(both) > 1 else ""
            warn(
                f"{both[0]}{more} of `validation` is in `source` too: scores of training rows are too good, and "
                "training stops too late. Leave it out of one of the two."
            )

    def leave_out(self, check: Check, new_check: Callable[[], Check] | None = None) -> Dataset:
        """Leave out the files for which `check` raises an error, if files may be left out.

        `new_check` creates another one, which has seen no file; see :meth:`ParquetSource.leave_out`.
        """
        if isinstance(self.source, FactorySource) or not self.source.left_out.skips:
            return self
        self.source.leave_out([*self.features, *self.labels], check, new_check, self._with_notes)
        return replace(self, held=HoldOut(self.source.n_rows, 0))

    @property
    def labels(self) -> list[Any]:
        """The columns of targets and weights."""
        return list(dict.fromkeys([*listed(self.targets), *listed(self.weights)]))

    def blocks(self, features: Sequence[Any] | None = None) -> Iterator[Block]:
        """All rows in their order, with these features, or all features if None."""
        return self._with_notes(self.source.blocks([*(self.features if features is None else features), *self.labels]))

    def _with_notes(self, blocks: Iterator[Block]) -> Iterator[Block]:
        """The same blocks, with a call of `note_work` for each."""
        for block in blocks:
            if self.note_work is not None:
                self.note_work()
            yield block

    def in_order(self, seed: int) -> list[Group]:
        """The row groups of files, in an order that the seed draws."""
        return self.source.in_order(seed, self.rates)

    def pools(self, seed: int, groups: Sequence[Group] | None = None) -> Iterator[list[Block]]:
        """All rows, or those of some row groups, in pools in an order that the seed draws."""
        return self.source.pools([*self.features, *self.labels], seed, groups, self.rates)

    def features_of(self, frame: pd.DataFrame) -> pd.DataFrame:
        return frame[list(self.features)]

    def targets_of(self, frame: pd.DataFrame) -> Any:
        return frame[self.targets]

    def weights_of(self, frame: pd.DataFrame) -> Any:
        return None if self.weights is None else frame[self.weights]


def as_given(parameter: str, names: Any) -> Any:
    """Return one name, a list of names, or None, and refuse anything else.

    Raises
    ------
    TypeError
        If it is a set or a dict: the order of the columns matters.
    """
    if isinstance(names, (Set, Mapping)) or callable(names):
        raise TypeError(f"`{parameter}` must be a name or a list of names, whose order counts. Got {names!r}.")
    return names if names is None or _is_single_name(names) else list(names)


def _is_single_name(names: Any) -> bool:
    return isinstance(names, str) or not isinstance(names, Iterable)


def listed(names: Any) -> list[Any]:
    """A list of the names: of none, one or several."""
    return [] if names is None else [names] if _is_single_name(names) else list(names)


def _check_names(parameter: str, names: Sequence[Any], source: ParquetSource | FactorySource) -> None:
    for name in names:
        if name not in source.columns:
            raise ValueError(f"`{parameter}` names {name!r}, and the columns of {source.name} are {source.columns}.")
    if twice := twice_in(names):
        raise ValueError(f"`{parameter}` names {twice[0]!r} twice.")
